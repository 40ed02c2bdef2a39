"""Words that commands of several engines share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from archcalc.engines.plan import Named

TORCH = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
"""What PyTorch calls a dtype of safetensors."""


def word(named: Named) -> str:
    # A placeholder's brackets would be redirections.
    return shlex.quote(named.name)


def revision(named: Named) -> Iterator[str]:
    if named.revision:
        yield f"--revision {shlex.quote(named.revision)}"


def overrides(flag: str, named: Named) -> Iterator[str]:
    """The keys set in the config, as one flag takes them."""
    if named.overrides:
        yield f"{flag} {shlex.quote(json.dumps(dict(named.overrides)))}"


def not_set(title: str, named: Named) -> tuple[str, ...]:
    """A note where an engine has no flag for the keys set in the config."""
    if not named.overrides:
        return ()
    keys = ", ".join(key for key, _ in named.overrides)
    return (f"the command loads the model as published: {title} has no flag that sets {keys}",)


def everywhere(machines: int) -> tuple[str, str]:
    """Where a command runs beside the first machine, and the ranks there."""
    if machines > 2:
        return f"on machines 2 to {machines}", f"1 to {machines - 1}"
    return "on the second machine", "1"
