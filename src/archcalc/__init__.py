"""archcalc: what a model is made of, what it costs and where it fits, from its config.json."""

__version__ = "0.1.0"
