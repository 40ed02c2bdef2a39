"""What a command asks for that no measurement behind a forecast was run with: then the answer is the bound, and says why."""

from __future__ import annotations

import json
from collections.abc import Mapping

from archcalc.analysis.speed.coefficients import device_class, fitted
from archcalc.analysis.speed.work import Work
from archcalc.commands.speeds import VARIABLES, Unmeasured, Where, departs, switched_on
from archcalc.commands.words import Engine
from archcalc.engines.engine import server
from archcalc.engines.plan import Ask, Fit
from archcalc.records import NamedTuple

_POOLS = {
    "--runner": ("pooling",), "--convert": ("embed", "classify", "reward"), "--is-embedding": ("true",),
    "--task": ("embed", "embedding", "classify", "score", "reward"), "--embeddings": ("true",), "--embedding": ("true",),
    "--rerank": ("true",), "--reranking": ("true",),
}  # fmt: skip
"""The flags with which a decoder makes vectors or scores: vLLM 0.33, config/model.py; SGLang 0.5.23, srt/configs/model_config.py
`is_generation_model`; llama.cpp 0c1e57098, tools/server/server-context.cpp."""
_APART = "--disaggregation-mode", "--kv-transfer-config"


class Departure(NamedTuple):
    """Why nothing is forecast, and how many times the bound of plain decoding a step can reach; None where that is not known."""

    why: str
    faster: int | None = 1


class Flags(NamedTuple):
    """A command's flags by their full names, with their values as written, its variables, and what a layer can be split over."""

    engine: Engine
    given: Mapping[str, str]
    environment: Mapping[str, str]
    gpus: int


def departure(flags: Flags | None, ask: Ask, fit: Fit, work: Work, requests: int) -> Departure | None:
    """Why a plan for so many requests is run otherwise than the measurements were; None where it is not."""
    if flags is None:
        return _kernels(ask, fit) or _graphs({}, ask, fit, requests)
    given, found = flags.given, dict[str, Unmeasured]()
    for flag, value in given.items():
        row = departs(flags.engine, flag, value)
        if row is not None and _holds(row.where, fit, work, requests):
            found[flag] = row
    # How many tokens are drafted for each step, where the engine's own settings say it.
    drafted = getattr(ask.own, "draft_tokens", 0) if server(ask.engine).torch else 0
    if flag := next((flag for flag, row in found.items() if row.drafts), ""):
        # A step keeps the drafted tokens that it accepts, and makes one more (Leviathan et al. 2022, arXiv:2211.17192, algorithm 1).
        return Departure(
            f"tokens are drafted ({flag}): how many are accepted depends on the text, and no measurements of that stand behind a forecast",
            drafted + 1 if drafted else None,
        )
    for flag, values in _POOLS.items():
        if given.get(flag) in values:
            return Departure(f"the command pools what the model makes ({flag}): it writes no tokens", None)
    for flag in (flag for flag in _APART if flag in given):
        if _apart(given[flag]):
            return Departure(
                f"prompts are read on other machines than tokens are made ({flag}): no measurements stand behind a forecast"
            )
        if given[flag].startswith("{"):
            return Departure(
                f"{flag}: parts of the cache go elsewhere and back, and no measurements of that stand behind a forecast"
            )
    if given.get("--split-mode", "layer") in ("row", "tensor"):
        return Departure(
            f"--split-mode {given['--split-mode']}: the measurements behind a forecast split models by layers, one GPU after the other",
            flags.gpus,
        )
    if slow := _kernels(ask, fit) or _graphs(given, ask, fit, requests):
        return slow
    said = [f"{_named(flag, given[flag])}: {row.what}" for flag, row in found.items()]
    for name, value in flags.environment.items():
        if name in VARIABLES and switched_on(value) and _holds(VARIABLES[name][1], fit, work, requests):
            said.append(f"{name}={value[:40]}: {VARIABLES[name][0]}")
    return Departure(f"{'; '.join(said)}: no measurements of that stand behind a forecast") if said else None


def _holds(where: Where, fit: Fit, work: Work, requests: int) -> bool:
    return {
        "": True,
        "ranks": fit.placement.gpus > 1,
        "several": requests > fit.placement.dp,
        "experts": work.experts > 0,
        "windows": any(r.window is not None for r in work.reads),
    }[where]


def _named(flag: str, value: str) -> str:
    if value == "false":
        return f"--no-{flag.removeprefix('--')}"
    return flag if value in ("true", "") else f"{flag} {value[:60]}"


def _kernels(ask: Ask, fit: Fit) -> Departure | None:
    """What of a step runs by other kernels than in the measurements."""
    said = server(ask.engine).unmeasured(ask, fit)
    return Departure(f"{said}: no measurements of that stand behind a forecast") if said else None


def _graphs(given: Mapping[str, str], ask: Ask, fit: Fit, requests: int) -> Departure | None:
    """Why a step is not one graph, where the measurements were: none is captured, or none of so large a batch."""
    most = server(ask.engine).captured(ask, fit)
    each = -(-requests // fit.placement.dp)
    if most is None or each <= most:
        return None
    flag = next((_named(flag, given[flag]) for flag in server(ask.engine).graph_flags if flag in given), "by default")
    measured = fitted(ask.engine, device_class(ask.gpus.device, ask.engine)) if flag == "by default" else None
    if measured is not None and each <= measured.batch:
        # The measurements of such batches were run by default too.
        return None
    of = f"graphs are captured of batches up to {most:,}, and {each:,} run at once" if most else "no graphs are captured"
    started = "kernels are started one by one, and the measurements behind a forecast ran with graphs"
    if server(ask.engine).pieces(ask):
        of, started = "graphs are captured in pieces alone", f"attention's {started} of whole steps"
    return Departure(f"{of} ({flag}): {started}")


def _apart(value: str) -> bool:
    """Whether a server does one half of the work: a mode by its name, or vLLM's role (config/kv_transfer.py `KVTransferConfig`)."""
    try:
        held = json.loads(value)
    except ValueError:
        return value in ("prefill", "decode")
    return isinstance(held, dict) and held.get("kv_role") in ("kv_producer", "kv_consumer")
