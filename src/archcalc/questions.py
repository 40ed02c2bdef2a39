"""The questions of the command line as functions: the same options by the same names, and reports in place of pages.

A command defines its options once, and these functions ask it: what it refuses, they refuse, with the same words
(`archcalc.errors.ArchcalcError`, with `message` and `hint`). Values are written as on the command line (`ctx="128k"`, `gpu="8xH100"`);
numbers may be numbers. A model is a bundled name, a Hub repo id, a path, a config as a mapping, or what `archcalc.load` made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union, cast

from archcalc import api, report
from archcalc.api import check_set
from archcalc.errors import UsageError
from archcalc.loader import Given, Kept, Loaded
from archcalc.model import Architecture
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from typing import TypeAlias

    from archcalc.analysis.charts import Chart

Source: TypeAlias = Union[str, "os.PathLike[str]", Mapping[str, Any], Loaded, Architecture]
Text: TypeAlias = str | int
"""What may be a number or a text such as `"128k"`."""
Number: TypeAlias = str | int | float


def inspect(
    source: Source,
    *,
    ctx: Text | None = None,
    batch: int = 1,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    engine: str = "textbook",
    explain: bool = False,
    loaded: bool = False,
    set: Mapping[str, Any] | None = None,
    offline: bool = False,
    refresh: bool = False,
    reference: bool = False,
    context: Text | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> report.Inspection:
    """What a model is made of: parameters by component, checkpoint, caches, knobs.

    `ctx` is tokens, the model's own maximum by default (`context` and `overrides` are other names of `ctx` and `set`). Figures are
    integers, bytes and tokens in the field's name; `status` says whether they are counted or guessed. `explain` fills `explain` with
    every figure's formula and source, `loaded` fills `loaded` with what weights take in other formats and the cards that hold them.

    >>> import archcalc
    >>> r = archcalc.inspect("deepseek-v3", ctx="128k", offline=True)
    >>> r.params.total, r.params.active, r.status
    (671026419200, 37552297472, 'counted')
    >>> r.kv_cache.bytes
    9210691584
    """
    given = {**locals()}
    for name, other in (("ctx", "context"), ("set", "overrides")):
        second = given.pop(other)
        if second is not None and given[name] is not None:
            raise UsageError(f"{name} and {other} are one option", f"give {name} alone")
        given[name] = second if given[name] is None else given[name]
    return cast("report.Inspection", _ask("inspect", given))


def kv(
    source: Source,
    *,
    ctx: Text | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
    engine: str = "textbook",
    engine_version: str | None = None,
    tp: int | None = None,
    dcp: int | None = None,
    pp: int | None = None,
    block_size: int | None = None,
    max_num_batched_tokens: int | None = None,
    no_prefix_caching: bool = False,
    capability: Number | None = None,
    kv_cache_memory: Text | None = None,
    page_size: int | None = None,
    swa_full_tokens_ratio: Number | None = None,
    np: int | None = None,
    unified: bool = False,
    ubatch: int | None = None,
    swa_full: bool = False,
    static: bool = False,
    set: Mapping[str, Any] | None = None,
    offline: bool = False,
    refresh: bool = False,
) -> report.KvReport:
    """What caches and recurrent states take as an engine allocates them, in bytes of one GPU, with the rule that made each figure.

    `engine` is one of `archcalc.engines.engine.names()`, the textbook by default.

    >>> import archcalc
    >>> archcalc.kv("llama-3.1-8b", engine="vllm", ctx="8k", offline=True).bytes
    1073741824
    """
    (found,) = _ask("kv", {**locals()}).found
    return cast("report.KvReport", found)


def fit(
    source: Source,
    *,
    gpu: str | None = None,
    vram: Text | None = None,
    ctx: Text | None = None,
    concurrency: int | None = None,
    isl: Text | None = None,
    osl: Text | None = None,
    tpot: str | None = None,
    ttft: str | None = None,
    engine: str | None = None,
    tp: int | None = None,
    pp: int | None = None,
    ep: int | None = None,
    dp: int | None = None,
    dcp: int = 1,
    quant: str | None = None,
    max_quant: str | None = None,
    kv_dtype: str | None = None,
    utilization: Number | None = None,
    max_num_batched_tokens: int | None = None,
    engine_version: str | None = None,
    calibration: str | None = None,
    ram: Text | None = None,
    ram_bandwidth: Text | None = None,
    set: Mapping[str, Any] | None = None,
    offline: bool = False,
    refresh: bool = False,
) -> report.FitReport:
    """Whether a model fits a machine under an engine, with what to spare, and how to start it.

    Options given are constraints; those left out are chosen, and `plan` says what was: without `ctx` the longest context that fits, without
    `gpu` this machine. `fits` is the verdict, `per_gpu` the fullest GPU in
    bytes, `command` what starts the plan.

    >>> import archcalc
    >>> r = archcalc.fit("llama-3.1-8b", gpu="h100", ctx="32k", offline=True)
    >>> r.fits, r.plan.tp
    (True, 1)
    """
    return cast("report.FitReport", _ask("fit", {**locals()}))


def train(
    source: Source | None = None,
    *,
    seq: Text | None = None,
    micro_batch: int | None = None,
    accumulate: int | None = None,
    optimizer: str | None = None,
    precision: str | None = None,
    checkpointing: str | None = None,
    checkpoint_every: int | None = None,
    recompute_modules: str | None = None,
    attention: str | None = None,
    implementation: str | None = None,
    loss: str | None = None,
    loss_chunks: int | None = None,
    grad_dtype: str | None = None,
    moment_dtype: str | None = None,
    ema: bool = False,
    offload: str | None = None,
    capacity: Number | None = None,
    dropout: bool | None = None,
    dp: int | None = None,
    fsdp: int | None = None,
    zero: int | None = None,
    tp: int | None = None,
    sp: bool = False,
    pp: int | None = None,
    interleave: int | None = None,
    cp: int | None = None,
    ep: int | None = None,
    etp: int | None = None,
    lora: int | None = None,
    lora_targets: str | None = None,
    dora: bool = False,
    modules_to_save: str | None = None,
    qlora: bool = False,
    int8: bool = False,
    double_quant: bool | None = None,
    freeze: str | None = None,
    method: str | None = None,
    completion: Text | None = None,
    reference: bool | None = None,
    rollout_share: Number | None = None,
    gpu: str | None = None,
    vram: Text | None = None,
    tokens: Text | None = None,
    mfu: Number | None = None,
    recipe: str | None = None,
    framework: str | None = None,
    framework_version: str | None = None,
    set: Mapping[str, Any] | None = None,
    offline: bool = False,
    refresh: bool = False,
) -> report.TrainReport:
    """What training takes of each GPU, term by term in bytes, whether it fits, and what it costs.

    `recipe` is a framework's own configuration, which may name the model itself.

    >>> import archcalc
    >>> archcalc.train("llama-3.1-8b", seq="8k", lora=16, gpu="h100", offline=True).fits
    True
    """
    return cast("report.TrainReport", _ask("train", {**locals()}))


def compare(
    *sources: Source,
    ctx: Text | None = None,
    kv_dtype: str | None = None,
    baseline: Source | None = None,
    rows: str | Sequence[str] | None = None,
    gpu: str | None = None,
    vram: str | None = None,
    engine: str | None = None,
    quant: str | None = None,
    concurrency: int | None = None,
    isl: Text | None = None,
    osl: Text | None = None,
    tpot: str | None = None,
    ttft: str | None = None,
    ram: str | None = None,
    ram_bandwidth: str | None = None,
    engine_version: str | None = None,
    calibration: str | None = None,
    set: Mapping[str, Any] | None = None,
    offline: bool = False,
    refresh: bool = False,
) -> report.Comparison:
    """Models side by side: knobs, parameters, cache and weights; with `baseline` also what each changes against it.

    `rows` are the keys of the rows to keep. The cache is of one sequence of `ctx` tokens, by default the longest that all have. With `gpu`
    the plan of each on that machine, its forecast and the price stand below.

    >>> import archcalc
    >>> found = archcalc.compare("llama-3.1-8b", "qwen3-8b", rows=["total"], offline=True)
    >>> found.rows[0].exact
    [8030261248, 8190735360]
    """
    from importlib import import_module

    from archcalc import units
    from archcalc.analysis.compare import compare as analyse

    if isinstance(rows, str):
        rows = [row.strip() for row in rows.split(",") if row.strip()]
    if not sources:
        raise UsageError("no model is named: what should be compared?", 'such as archcalc.compare("llama-3.1-8b", "qwen3-8b")')
    lengths = {name: None if text is None else str(text) for name, text in (("ctx", ctx), ("isl", isl), ("osl", osl))}
    return analyse(
        [loaded(source, set, offline, refresh) for source in sources],
        context_tokens=None if ctx is None else units.parse_tokens(str(ctx)),
        kv_dtype="bf16" if kv_dtype is None else units.parse_cache_dtype(kv_dtype),
        baseline=None if baseline is None else loaded(baseline, None, offline, refresh),
        rows=None if rows is None else list(rows),
        failed=[],
        on=import_module("archcalc.cli.compare").asked(
            gpu,
            vram=vram,
            engine=engine,
            quant=quant,
            kv_dtype=kv_dtype,
            concurrency=concurrency,
            tpot=tpot,
            ttft=ttft,
            ram=ram,
            ram_bandwidth=ram_bandwidth,
            engine_version=engine_version,
            calibration=calibration,
            **lengths,
        ),
        alone=engine is not None or engine_version is not None,
    )


def check(
    *file: str | os.PathLike[str],
    model: str | None = None,
    config: str | None = None,
    tolerance: Number | None = None,
    baseline: str | None = None,
    offline: bool = False,
) -> report.CheckReport:
    """Hold the claims of model cards against configs: Markdown, JSON or YAML files, folders, glob patterns.

    Nothing is rewritten. A file that cannot be read stands in `errors`. `tolerance` is a share, such as `"1%"`.
    """
    from archcalc.cards import baseline as standing
    from archcalc.cards import check as cards
    from archcalc.cards import pages, settings
    from archcalc.errors import ArchcalcError

    found = settings.find(config)
    for given in file:
        if not isinstance(given, (str, os.PathLike)):
            raise UsageError(f"a file of type {type(given).__name__}", 'give a path, as in archcalc.check("README.md")')
    names = [os.fspath(one) for one in file] or list(found.files)
    if not names:
        raise UsageError("no file is given", 'as in archcalc.check("README.md")')
    if model is not None:
        from archcalc.cards.models import load

        load(model, offline)
    share = None if tolerance is None else settings.tolerance(str(tolerance))
    place = baseline or found.baseline
    known = standing.Baseline(place) if place else None
    done, errors = [], []
    for path in pages.expand(names, found.exclude):
        try:
            one = cards.check_file(path, found, offline=offline, tolerance=share, model=model)
        except ArchcalcError as error:
            errors.append(report.CheckError(path, 0, error.code, error.message, error.hint))
            continue
        done.append(one if known is None else known.without(one))
    return cards.summarize(done, errors)


def plot(
    kind: Literal["kv", "memory", "params", "roofline", "pareto", "sequences", "cost"],
    *sources: Source,
    ctx: Text | None = None,
    gpu: str | None = None,
    vram: Text | None = None,
    engine: str | None = None,
    isl: Text | None = None,
    osl: Text | None = None,
    quant: str | None = None,
    kv_dtype: str | None = None,
    set: Mapping[str, Any] | None = None,
    offline: bool = False,
    refresh: bool = False,
) -> Plot:
    """A chart of models: what `archcalc plot` draws. A notebook shows it; `save` writes SVG or PNG, `to_frame` gives its points."""
    from archcalc import hardware
    from archcalc.analysis import charts

    if kind not in charts.KINDS:
        raise UsageError(f"kind={kind!r} is no chart", f"one of {', '.join(charts.KINDS)}")
    if not sources:
        raise UsageError("no model is named: what should be drawn?", 'such as archcalc.plot("kv", "llama-3.1-8b")')
    options = {"ctx": ctx, "gpu": gpu, "vram": vram, "engine": engine, "isl": isl, "osl": osl, "quant": quant, "kv_dtype": kv_dtype}
    given = {name: None if value is None else str(value) for name, value in options.items()}
    charts.check(kind, given)
    named, memory = given.pop("gpu"), given.pop("vram")
    machines: list[hardware.GpuSpec] = []
    if named is not None or memory is not None:
        from importlib import import_module

        machines = import_module("archcalc.cli._machines").machines_of([named] if named else None, memory)
    return Plot(charts.drawn(kind, [loaded(source, set, offline, refresh) for source in sources], machines, **given))


class Plot(NamedTuple):
    """A chart, not drawn yet."""

    chart: Chart

    def __repr__(self) -> str:
        return f"Plot({self.chart.title!r}, {len(self.chart.series)} series)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Draw it to FILE.svg or FILE.png. Raises `UsageError` where matplotlib is missing, `OSError` where it cannot be written."""
        from archcalc.render import plot as render

        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"path={path!r}: the name of a file was expected", "such as chart.svg")
        render.write_file(self.chart, os.fspath(path))

    def to_rows(self) -> list[dict[str, Any]]:
        """Its points: series, position, value."""
        c = self.chart
        return [
            {"series": s.name, c.axis: position, c.unit: value}
            for s in c.series
            for position, value in zip(c.positions, s.values, strict=False)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Its title, and its points as `to_rows` has them."""
        return {"title": self.chart.title, "points": self.to_rows()}

    def to_frame(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """`to_rows` as a DataFrame of pandas or polars."""
        from archcalc.render import notebook

        return notebook.frame(self.to_rows(), library)

    def _repr_html_(self) -> str:
        """The drawing where matplotlib is installed, else the chart of text."""
        import io

        from archcalc.render import notebook
        from archcalc.render import plot as render

        try:
            return render.drawn(self.chart, "svg").decode()
        except UsageError:
            out = io.StringIO()
            render.write_text(self.chart, out)
            return notebook.preformatted(out.getvalue())


def loaded(source: Source, set_: Mapping[str, Any] | None, offline: bool, refresh: bool) -> Loaded:
    """The model of a SOURCE of any kind, with config keys set."""
    check_set(set_)
    if isinstance(source, Architecture):
        source = Loaded(report.SourceInfo(source.model_type, "file", "hf-config"), source)
    if isinstance(source, Loaded):
        if set_:
            raise UsageError("set is for a config that is yet to be read", "give it to archcalc.load")
        return source
    return api.load(source, offline=offline, refresh=refresh, overrides=set_)


def _ask(name: str, options: dict[str, Any]) -> Any:
    """The report of a command for these options.

    The command is imported by its name, as the command line does: it alone defines what its options take.
    """
    from importlib import import_module
    from inspect import signature
    from types import SimpleNamespace

    command = import_module(f"archcalc.cli.{name}").command
    kept = Kept()
    given: dict[str, Any] = {"form": kept}
    known = _options(command)
    if "call" in command.__annotations__:
        given["call"] = SimpleNamespace(meta={})
    source, set_ = options.pop("source"), options.pop("set")
    check_set(set_)
    sources = source if isinstance(source, list) else [source]
    texts = [one if isinstance(one, str) else os.fspath(one) for one in sources if isinstance(one, (str, os.PathLike))]
    if len(texts) < len(sources):
        texts = [Given.of(loaded(one, set_, options["offline"], options["refresh"])) for one in sources]
        set_ = None
    given["source"] = texts
    if set_:
        given["set_"] = [f"{key}={api.json_of(key, value)}" for key, value in set_.items()]
    for option, value in options.items():
        parameter, annotation = known[option]
        if value is not None:
            given[parameter] = _value(option, value, annotation)
    asked = signature(command).bind(**given)
    asked.apply_defaults()
    command(*asked.args, **asked.kwargs)
    if len(kept.reports) != 1:
        several = options.get("gpu")
        instead = (
            f"archcalc.sweep with gpu={several!r} asks of all" if isinstance(several, str) else "archcalc.sweep asks of several"
        )
        raise UsageError(f"{name} is asked about one model and one machine here", f"ask once for each; {instead}")
    return kept.reports[0]


def _options(command: Any) -> dict[str, tuple[str, Any]]:
    """The options of a command by their names without dashes: the parameter, and its annotation."""
    from typing import get_type_hints

    found = {}
    for parameter, hint in get_type_hints(command, include_extras=True).items():
        info = getattr(hint, "__metadata__", (None,))[0]
        # In an annotation the first name of an option stands where its default would.
        words = (getattr(info, "default", None), *(getattr(info, "param_decls", None) or ()))
        named = [text for text in words if isinstance(text, str) and text.startswith("--")]
        found[named[0].partition("/")[0][2:].replace("-", "_") if named else parameter] = (parameter, hint)
    return found


def _engine(value: str) -> str:
    """The name of an engine. Raises `UsageError`, in the words of Python, for one that there is not."""
    from archcalc.analysis.speed.forecast import STANDS_IN
    from archcalc.engines.engine import check_engine

    name = value.lower()
    try:
        return name if name in STANDS_IN else check_engine(value)
    except UsageError as error:
        message, hint = (text.replace("--engine ", "engine=") for text in (error.message, error.hint))
        raise UsageError(message, hint) from None


def _value(option: str, value: Any, annotation: Any) -> Any:
    """A value as the command takes it. Raises `UsageError` for one that the command line would refuse."""
    from enum import Enum
    from typing import get_args, get_origin

    if option == "engine" and isinstance(value, str):
        value = _engine(value)
    inner, info = get_args(annotation)[:2]
    kinds = [kind for kind in (inner, *get_args(inner)) if isinstance(kind, type)]
    choices = next((kind for kind in kinds if issubclass(kind, Enum)), None)
    if choices is not None:
        names = [member.value for member in choices]
        if value not in names:
            raise UsageError(f"{option}={value!r} is no choice", f"one of {', '.join(names)}")
        return choices(value)
    if bool in kinds:
        if not isinstance(value, bool):
            raise UsageError(f"{option}={value!r}: True or False was expected")
        return value
    if int in kinds:
        least, most = info.min, info.max
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or (least is not None and value < least) or (most is not None and value > most):
            raise UsageError(f"{option}={value!r}: a whole number from {least:,} to {most:,} was expected")
        return value
    listed = any(get_origin(kind) is list for kind in (inner, *get_args(inner)))
    if listed and isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, tuple)):
        raise UsageError(
            f"{option}={value!r}: one is asked about here", f"archcalc.sweep(models, {option}={list(value)!r}) answers for several"
        )
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(f"{option}={value!r}: a text or a number was expected", "written as on the command line")
    # What may be given several times on the command line is given once here.
    return [str(value)] if listed else str(value)
