"""Words that commands of several engines share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from archcalc.engines.plan import Named
from archcalc.engines.served import TRUST, code_of, needs_newer
from archcalc.model import Architecture

if TYPE_CHECKING:
    from archcalc.commands.words import Engine

TORCH = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
"""What PyTorch calls a dtype of safetensors."""


def word(named: Named) -> str:
    return shlex.quote(named.name) if named.ready else named.name


def revision(named: Named) -> Iterator[str]:
    if named.revision:
        yield f"--revision {shlex.quote(named.revision)}"


def overrides(flag: str, named: Named) -> Iterator[str]:
    """The keys set in the config, as one flag takes them."""
    if named.overrides:
        yield f"{flag} {shlex.quote(json.dumps(dict(named.overrides)))}"


def told(architecture: Architecture) -> Iterator[str]:
    """The method of a quantization that config.json does not state: engines look for the file that does once they are told."""
    config = architecture.quantization or {}
    if config.get("stated_in"):
        yield f"--quantization {config['quant_method']}"


def not_set(title: str, named: Named) -> tuple[str, ...]:
    """A note where an engine has no flag for the keys set in the config."""
    if not named.overrides:
        return ()
    keys = ", ".join(key for key, _ in named.overrides)
    return (f"the command loads the model as published: {title} has no flag that sets {keys}",)


def trusted(folder: str, title: str, architecture: Architecture, version: str | None) -> tuple[list[str], tuple[str, ...]]:
    """The flag that lets a repository's own code run, where a start needs it, and a note that it does."""
    held = code_of(folder, title, architecture, version)
    if not held and architecture.coded and needs_newer(folder, architecture, title, version):
        held = "the class of its config"
    if not held:
        return [], ()
    return [TRUST], (f"{TRUST} lets the repository's own code run, which holds {held.rstrip(',')}: read it first",)


def untold(engine: Engine, words: Iterable[str], version: str | None) -> str:
    """Why a release cannot be told these flags of a plan; empty where it can."""
    if version is None:
        return ""
    from archcalc.commands.flags import lacks

    flags = (word for line in words for word in line.split() if word.startswith("--"))
    return next((why for flag in flags if (why := lacks(engine, flag, version))), "")


def everywhere(machines: int) -> tuple[str, str]:
    """Where a command runs beside the first machine, and the ranks there."""
    if machines > 2:
        return f"on machines 2 to {machines}", f"1 to {machines - 1}"
    return "on the second machine", "1"
