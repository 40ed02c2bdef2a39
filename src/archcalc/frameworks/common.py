"""What frameworks that train published models have in common: from fields of a run to its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archcalc import report
from archcalc.analysis.training.method import Asked, with_method
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks import flash
from archcalc.frameworks.framework import VERSIONED, Ask, length, planner_of, taken_by
from archcalc.frameworks.keys import Keys
from archcalc.frameworks.launch import PROCESSES
from archcalc.loader import Loaded


def reported(
    ask: Ask,
    keys: Keys,
    framework: str,
    inert: str,
    model: str | Loaded | None,
    fields: Mapping[str, Any],
    notes: Sequence[str] = (),
    method: Asked | None = None,
) -> report.TrainReport:
    """The report of a recipe's run: `fields` are those of `Run` that the file decides, options of the command line win. Raises
    `UsageError`
    where no model is named."""
    from archcalc.analysis.train_report import train_report
    from archcalc.analysis.training import Run
    from archcalc.loader import load

    _all_here(keys)
    _counted(keys, ask)
    given = ask.source or model
    if given is None:
        raise UsageError(f"{keys.path} names no model", "give SOURCE beside --recipe, such as llama-3.1-8b")
    loaded = load(given, offline=ask.offline, refresh=ask.refresh) if isinstance(given, str) else given
    # What a framework sets by the model's shape is decided when that is known.
    fields = {name: value(loaded.architecture) if callable(value) else value for name, value in fields.items()}
    whole = {name: value for name, value in {**fields, **ask.changes}.items() if value is not None}
    if "seq" not in whole:
        whole["seq"], assumed = length(framework, loaded.architecture)
        keys.notes.append(assumed)
    recipe = keys.recipe(framework, ask.version, inert)
    said = [*notes, *keys.notes]
    if ask.version is not None and framework not in VERSIONED:
        said.append(f"--framework-version changes nothing here: {framework}'s rules are those of one release")
    if recipe.unmodelled:
        said.append(f"not modelled, taken as changing nothing: {', '.join(recipe.unmodelled)}")
    run, told = with_method(Run(**whole), ask.method or method or Asked())
    said += told
    planner = planner_of(loaded.architecture, run, ask.gpus)
    r = train_report(
        loaded, run, gpus=ask.gpus, mfu=ask.mfu, tokens=ask.tokens, recipe=recipe, planner=planner,
        takes=taken_by(framework, world(ask)),
    )  # fmt: skip
    if run.unfrozen:
        said.append("activations are counted as if all layers were trained: frozen ones keep less")
    if run.size == 2 and (half := flash.half(ask.gpus)):
        said.append(half)
    r.notes[:0] = said
    return r


def _counted(keys: Keys, ask: Ask) -> None:
    """How many processes the file itself starts, where that is another number than that of the GPUs named."""
    if ask.gpus is None:
        return
    for name in (PROCESSES, "num_processes", "devices"):
        if name not in keys.values or str(keys.values[name]).lower() in ("auto", "gpu", "none"):
            continue
        stated = str(keys.get(name))
        if stated.isdecimal() and int(stated) not in (0, ask.gpus.count):
            keys.notes.append(f"{name}: {stated}, and {ask.gpus.count} GPUs are named: counted for {ask.gpus.count}")


_ELSEWHERE = (
    "base_config", "extends", "_base_", "include", "includes", "inherits", "config_file", "accelerate_config", "deepspeed",
    "deepspeed_config", "deepspeed_config_file", "fsdp_config", "peft_config", "lora_config",
)  # fmt: skip


def _all_here(keys: Keys) -> None:
    """Raises `UnsupportedError` for another file that may decide memory, named by a key that its framework's reader here does not
    follow."""
    found = [
        name
        for name in _ELSEWHERE
        if name not in keys.used and isinstance(keys.values.get(name), (str, list)) and keys.values[name]
    ]
    if found:
        raise UnsupportedError(
            f"{keys.path}: {', '.join(found)}: what another file says is not read, and memory may depend on it",
            f"write its keys into this one, or --set {found[0]}=null to see the rest of the run",
        )


def world(ask: Ask) -> int:
    """The number of GPUs that the command line names."""
    return ask.gpus.count if ask.gpus is not None else 1
