"""archcalc: what a model is made of, what it costs and where it fits, from its config.json.

>>> import archcalc
>>> archcalc.inspect("llama-3.1-8b", offline=True).params.total
8030261248
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes longer than the rest of this file
if TYPE_CHECKING:
    from archcalc import sweep as sweep
    from archcalc.api import inspect as inspect
    from archcalc.api import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "inspect", "load", "sweep"]


def __getattr__(name: str) -> object:
    if name in ("inspect", "load"):
        from archcalc import api

        return getattr(api, name)
    if name == "sweep":
        from importlib import import_module

        return import_module("archcalc.sweep")
    raise AttributeError(f"module 'archcalc' has no attribute {name!r}")
