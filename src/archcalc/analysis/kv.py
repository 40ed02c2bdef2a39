"""`archcalc kv`: one model's cache under one engine, or under all of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import report, units
from archcalc.analysis.refusals import refuse_headers, refuse_part
from archcalc.engines._allocation import Allocation, Workload
from archcalc.engines.asked import Asked
from archcalc.engines.engine import check_engine, engine, names, server
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.loader import Loaded
from archcalc.model import Architecture
from archcalc.records import NamedTuple

Options = Mapping[str, Any]
"""What the user asked of engines, by the names of `Engine.options`; absent is the engine's own default."""


class Skipped(NamedTuple):
    """An engine that cannot hold the model so, and why."""

    engine: str
    error: ArchcalcError


class Comparison(NamedTuple):
    """One model's cache under several engines."""

    source: report.SourceInfo
    context_tokens: int
    batch: int
    found: list[report.KvReport | Skipped]
    notes: list[str]


def takers(option: str) -> list[str]:
    """The engines that have an option."""
    return [name for name in names() if option in engine(name).options]


def check_options(name: str | None, options: Options) -> None:
    """Every option must belong to the engine asked for, and the engine must exist."""
    if name is not None:
        check_engine(name)
    for option in options:
        if option == "engine_version" and name is None:
            raise UsageError("--engine-version needs an --engine", f"{' and '.join(takers(option))} have rules of several versions")
        if name is not None and option not in engine(name).options:
            raise UsageError(
                f"--{option.replace('_', '-')} is an option of {' and '.join(takers(option))}, not of {name}", "leave it out"
            )


def allocate(
    architecture: Architecture, name: str, work: Workload, options: Options | None = None, asked: Asked | None = None
) -> Allocation:
    """The cache of `work` under an engine, as a command asks for it where there is one. Options that the engine does not have are passed
    over."""
    settings = None if asked is None else server(name).cache_settings(architecture, asked, work.batch)
    return engine(name).allocate(architecture, work, options, settings)


def refuse_command(architecture: Architecture, asked: Asked) -> None:
    """Raises what `fit` refuses of a command whatever the memory: on a GPU of no known kind with more of it than anything takes.

    Raises `UsageError` where the engine does not start, and what its rules raise."""
    from archcalc import hardware
    from archcalc.analysis.fit import plans
    from archcalc.engines.plan import Ask

    engine = server(asked.engine)
    known = next((device for device in map(hardware.device, _STAND_FOR) if not engine.runs_on(device)), None)
    if known is None:
        return
    anywhere = known._replace(compute=None, visible_bytes=_ENDLESS, driver_bytes=_ENDLESS, name="any GPU")
    values = dict(asked.values)
    if str(values.get("quant") or "").startswith("~"):
        del values["quant"]
    elif str(values.get("quant") or "").startswith("?"):
        values["quant"] = values["quant"][1:] if architecture.quantization is None else None
    gpus = hardware.GpuSpec(anywhere, asked.gpus or 1)
    best = plans(architecture, Ask(gpus=gpus, engine=asked.engine, version=asked.version, own=asked.own, **values)).best
    if not best.start.starts:
        hint = f"to start: {best.start.flag}" if best.start.flag else "change the command"
        raise UsageError(f"{engine.title} does not start: {best.start.limit}", hint)


_STAND_FOR, _ENDLESS = ("h100-sxm-80gb", "apple-m3"), 1 << 48


def context(architecture: Architecture, asked: int | None) -> int:
    """The context asked for, else the model's own maximum.

    Raises `UnsupportedError` for a model that is known from its headers alone, as what it caches is not known then, and for an
    encoder alone that states no context.
    """
    refuse_headers(architecture)
    tokens = asked or architecture.facts.context_tokens
    if tokens is None:
        refuse_part(architecture)
        raise UsageError("the config states no context", "give --ctx")
    return tokens


def notes(architecture: Architecture, tokens: int) -> list[str]:
    """What qualifies every figure of this model and context."""
    out = [*architecture.doubts]
    if architecture.status == "guessed":
        out.append("no adapter reads this model type: every figure is a guess, marked ~")
    return [*out, *crossing(architecture), *beyond(architecture, tokens)]


def crossing(architecture: Architecture) -> list[str]:
    """A note where layers keep keys and values of an encoder's output, which is as long as its input."""
    if not architecture.crosses:
        return []
    return ["caches are the decoder's own tokens': what cross-attention keeps of the encoder's output comes on top"]


def beyond(architecture: Architecture, tokens: int) -> list[str]:
    """A note where more is asked for than the model's own context."""
    longest = architecture.longest
    if not longest or tokens <= longest:
        return []
    return [f"{units.format_tokens(tokens)} is beyond the model's {units.format_tokens(longest)} of context"]


def kv(
    loaded: Loaded,
    name: str,
    *,
    context_tokens: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
    options: Options | None = None,
    asked: Asked | None = None,
) -> report.KvReport:
    """The report on one model under one engine."""
    architecture = loaded.architecture
    tokens = context(architecture, context_tokens)
    made = allocate(architecture, name, Workload(tokens, batch, kv_dtype), options, asked)
    return report.KvReport(
        schema_version=report.SCHEMA_VERSION,
        source=loaded.source.name,
        status=architecture.status,
        engine=made.engine,
        engine_version=made.version or None,
        gpus=made.gpus,
        context_tokens=tokens,
        batch=batch,
        dtype=made.dtype,
        bytes=made.bytes,
        bytes_per_token=made.bytes_per_token,
        state_bytes=made.state_bytes,
        by_kind=[report.KvFigure(*figure) for figure in made.figures],
        rule=made.rule,
        details=dict(made.details),
        notes=[*notes(architecture, tokens), *made.notes],
    )


def compare(
    loaded: Loaded,
    name: str | None,
    *,
    context_tokens: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
    options: Options | None = None,
    asked: Asked | None = None,
) -> Comparison:
    """The cache under one engine, or under all where none is named; one that cannot hold the model stands with its reason.

    Raises the engine's error where one is named, and one that tells all of theirs where none can.
    """
    tokens = context(loaded.architecture, context_tokens)
    found: list[report.KvReport | Skipped] = []
    for each in (name,) if name else names():
        try:
            found.append(kv(loaded, each, context_tokens=tokens, batch=batch, kv_dtype=kv_dtype, options=options, asked=asked))
        except ArchcalcError as error:
            found.append(Skipped(each, error))
    reports = [item for item in found if isinstance(item, report.KvReport)]
    if not reports:
        errors = [item.error for item in found if isinstance(item, Skipped)]
        if len(errors) == 1:
            raise errors[0]
        said = "; ".join(dict.fromkeys(error.message for error in errors))
        raise UnsupportedError(f"{loaded.source.name}: no engine holds it: {said}", errors[0].hint)
    return Comparison(loaded.source, tokens, batch, found, notes(loaded.architecture, tokens))
