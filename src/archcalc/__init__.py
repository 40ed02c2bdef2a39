"""archcalc: what a model is made of, what it costs and where it fits, from its config.json.

>>> import archcalc
>>> archcalc.inspect("llama-3.1-8b", offline=True).params.total
8030261248
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes longer than the rest of this file
if TYPE_CHECKING:
    from archcalc.api import load as load
    from archcalc.questions import check as check
    from archcalc.questions import compare as compare
    from archcalc.questions import fit as fit
    from archcalc.questions import inspect as inspect
    from archcalc.questions import kv as kv
    from archcalc.questions import plot as plot
    from archcalc.questions import train as train
    from archcalc.sweep import Sweep

    sweep: Sweep

__version__ = "0.1.0"
__all__ = ["__version__", "check", "compare", "fit", "inspect", "kv", "load", "plot", "sweep", "train"]


def __getattr__(name: str) -> object:
    if name == "__version__" or name not in __all__:
        raise AttributeError(f"module 'archcalc' has no attribute {name!r}: it has {', '.join(__all__[1:])}")
    if name == "sweep":
        from importlib import import_module

        return import_module("archcalc.sweep")
    if name == "load":
        from archcalc import api

        return api.load
    from archcalc import questions

    return getattr(questions, name)


def __dir__() -> list[str]:
    return sorted(__all__)
