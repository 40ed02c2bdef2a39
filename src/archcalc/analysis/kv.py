"""`archcalc kv`: one model's cache under one engine, or under all of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from archcalc import report, units
from archcalc.engines import ENGINES, Allocation, Workload
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.loader import Loaded
from archcalc.model import Architecture

Options = Mapping[str, Any]
"""What the user asked of engines, by the names of `TAKES`; absent is the engine's own default."""

TAKES: Mapping[str, tuple[str, ...]] = {
    "tp": ("vllm", "sglang"),
    "pp": ("vllm",),
    "dcp": ("vllm", "sglang"),
    "block_size": ("vllm",),
    "max_num_batched_tokens": ("vllm",),
    "prefix_caching": ("vllm",),
    "capability": ("vllm",),
    "kv_cache_memory": ("vllm",),
    "page_size": ("sglang",),
    "swa_full_tokens_ratio": ("sglang",),
    "np": ("llama.cpp",),
    "unified": ("llama.cpp",),
    "ubatch": ("llama.cpp",),
    "swa_full": ("llama.cpp",),
    "static": ("transformers",),
    "engine_version": ("vllm", "transformers"),
}
"""The options, and the engines that have each."""


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


def check_options(engine: str | None, options: Options) -> None:
    """Every option must belong to the engine asked for, and the engine must exist."""
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"--engine {engine}: no such engine", f"one of {', '.join(ENGINES)}")
    for name in options:
        engines = TAKES[name]
        if name == "engine_version" and engine is None:
            raise UsageError("--engine-version needs an --engine", f"{' and '.join(engines)} have rules of several versions")
        if engine is not None and engine not in engines:
            raise UsageError(f"--{name.replace('_', '-')} is an option of {' and '.join(engines)}, not of {engine}", "leave it out")


def allocate(architecture: Architecture, engine: str, work: Workload, options: Options | None = None) -> Allocation:
    """The cache of `work` under `engine`. Options that the engine does not have are passed over."""
    check_options(engine, {})
    return _ALLOCATORS[engine](architecture, work, options or {})


def _textbook(architecture: Architecture, work: Workload, options: Options) -> Allocation:
    from archcalc.engines import textbook

    return textbook.allocate(architecture, work)


def _vllm(architecture: Architecture, work: Workload, options: Options) -> Allocation:
    from archcalc.engines import vllm

    names = {"engine_version": "version"}
    asked = vllm.Options(**_own("vllm", options, names, without=("kv_cache_memory",)))
    return vllm.allocate(architecture, work, asked, options.get("kv_cache_memory"))


def _sglang(architecture: Architecture, work: Workload, options: Options) -> Allocation:
    from archcalc.engines import sglang

    return sglang.allocate(architecture, work, sglang.Options(**_own("sglang", options)))


def _llamacpp(architecture: Architecture, work: Workload, options: Options) -> Allocation:
    from archcalc.engines import llamacpp

    names = {"np": "n_parallel", "unified": "kv_unified", "ubatch": "n_ubatch"}
    return llamacpp.allocate(architecture, work, llamacpp.Options(**_own("llama.cpp", options, names)))


def _transformers(architecture: Architecture, work: Workload, options: Options) -> Allocation:
    from archcalc.engines import transformers

    return transformers.allocate(
        architecture, work, transformers.Options(**_own("transformers", options, {"engine_version": "version"}))
    )


_ALLOCATORS: Mapping[str, Callable[[Architecture, Workload, Options], Allocation]] = {
    "textbook": _textbook, "vllm": _vllm, "sglang": _sglang, "llama.cpp": _llamacpp, "transformers": _transformers,
}  # fmt: skip


def _own(engine: str, options: Options, names: Mapping[str, str] | None = None, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options that one engine has, by its record's names."""
    return {(names or {}).get(k, k): v for k, v in options.items() if engine in TAKES[k] and k not in without}


def context(architecture: Architecture, asked: int | None) -> int:
    """The context asked for, else the model's own maximum.

    Raises `UnsupportedError` for a model that is known from its headers alone: what it caches is not known then.
    """
    if architecture.status == "header":
        raise UnsupportedError(
            f"{architecture.model_type} is counted from a checkpoint's headers, which do not say what it caches",
            "archcalc models --types lists what is read exactly",
        )
    tokens = asked or architecture.facts.context_tokens
    if tokens is None:
        raise UsageError("the config states no context", "give --ctx")
    return tokens


def notes(architecture: Architecture, tokens: int) -> list[str]:
    """What qualifies every figure of this model and context."""
    out = []
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
    engine: str,
    *,
    context_tokens: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
    options: Options | None = None,
) -> report.KvReport:
    """The report on one model under one engine."""
    architecture = loaded.architecture
    tokens = context(architecture, context_tokens)
    made = allocate(architecture, engine, Workload(tokens, batch, kv_dtype), options)
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
    engine: str | None,
    *,
    context_tokens: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
    options: Options | None = None,
) -> Comparison:
    """The cache under one engine, or under all where none is named; one that cannot hold the model stands with its reason.

    Raises the error of the last engine if none can.
    """
    tokens = context(loaded.architecture, context_tokens)
    found: list[report.KvReport | Skipped] = []
    for name in (engine,) if engine else ENGINES:
        try:
            found.append(kv(loaded, name, context_tokens=tokens, batch=batch, kv_dtype=kv_dtype, options=options))
        except ArchcalcError as error:
            found.append(Skipped(name, error))
    reports = [item for item in found if isinstance(item, report.KvReport)]
    if not reports:
        raise [item.error for item in found if isinstance(item, Skipped)][-1]
    return Comparison(loaded.source, tokens, batch, found, notes(loaded.architecture, tokens))
