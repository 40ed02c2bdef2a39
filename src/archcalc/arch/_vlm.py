"""What configs and checkpoints of multimodal models have in common: flat text configs, and parts named below a prefix.

Source: openbmb/MiniCPM-V-2_6 and deepseek-ai/DeepSeek-OCR, config.json (the text model's keys beside the others).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._decoder import join
from archcalc.model import Architecture, Group, Tensor


def flat(config: dict[str, Any], own: Iterable[str], key: str = "text_config", **extra: Any) -> dict[str, Any]:
    """A config whose text model's keys stand beside its own, with the former moved below `key`."""
    if key in config:
        return config
    mine = {name: config[name] for name in own if name in config}
    return {**mine, key: {name: value for name, value in config.items() if name not in mine} | extra}


def under(a: Architecture, prefix: str) -> Architecture:
    """A whole model, head and all, as a part of another: every tensor named below `prefix`."""

    def named(t: Tensor) -> Tensor:
        return t._replace(name=join(prefix, t.name), stored=tuple(join(prefix, s) for s in t.stored))

    return a._replace(
        groups=tuple(Group(g.part, tuple(map(named, g.tensors))) for g in a.groups),
        stacks=tuple(s._replace(prefix=join(prefix, s.prefix)) for s in a.stacks),
        renames=tuple((old if old.startswith(".") else join(prefix, old), new) for old, new in a.renames),
    )
