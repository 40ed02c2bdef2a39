"""Everything that is printed as JSON, typed. The JSON keys are the field names; `archcalc schema` prints the JSON schema.

Plain records: importing pydantic, or compiling a dataclass for each, would take longer than analysing a bundled model.
`archcalc.api.schema_model` turns one into a pydantic model, which gives the JSON schema and validates.
Bytes and tokens are named in the key; counts are integers; what does not apply is null.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from archcalc.records import dataclass_transform

SCHEMA_VERSION = 1


@dataclass_transform(eq_default=True)
class Record:
    """The base of all reports: the annotations of a subclass are its fields, in order, as in a dataclass."""

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any) -> None:
        self.__dict__.update(zip(self._fields, values, strict=False))
        if len(values) == len(self._fields) and not named:
            return
        self.__dict__.update(named)
        # The fields stand in order: reports are printed as their attributes stand.
        if tuple(self.__dict__) != self._fields or len(values) + len(named) != len(self._fields):
            self._complete(values, named)

    def _complete(self, values: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Fill in defaults, or say what is wrong with the call, in the order of the fields."""
        given = {**dict(zip(self._fields, values, strict=False)), **named}
        wrong = [name for name in named if name not in self._fields or name in self._fields[: len(values)]]
        missing = [name for name in self._fields if name not in given and not hasattr(type(self), name)]
        if wrong or missing or len(values) > len(self._fields):
            raise TypeError(f"{type(self).__name__}({', '.join(self._fields)}): wrong {wrong}, missing {missing}")
        self.__dict__.clear()
        self.__dict__.update((name, given[name] if name in given else getattr(type(self), name)) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in vars(self).items())})"


class Report(Record):
    """What a question is answered with: as dicts, as JSON, as a frame, and as the page of the terminal in a notebook."""

    _shown: ClassVar[tuple[str, ...]] = ("source",)

    def __repr__(self) -> str:
        """The fields that matter most: the whole is `to_dict()`."""
        shown = (f"{name}={_short(getattr(self, name))}" for name in self._shown)
        return f"{type(self).__name__}({', '.join(shown)}, ...)"

    def to_dict(self) -> dict[str, Any]:
        """As dicts, lists, numbers and strings: what the command prints with `--format json`."""
        made: dict[str, Any] = to_plain(self)
        return made

    def to_json(self, indent: int | None = 2) -> str:
        """The JSON that the command prints."""
        import json

        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows that the command prints with `--format csv`, exact numbers by name."""
        made: list[dict[str, Any]] = _notebook().rows(self)
        return made

    def to_frame(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """`to_rows` as a pandas or polars DataFrame, pandas if both are installed and none is named.

        Raises `archcalc.errors.UsageError` where none is installed.
        """
        return _notebook().frame(self.to_rows(), library)

    def _repr_html_(self) -> str:
        return str(_notebook().html(self))


def _notebook() -> Any:
    """How reports are shown. By name: a report is made without it, and what shows reports imports them."""
    from importlib import import_module

    return import_module("archcalc.render.notebook")


def _short(value: object) -> str:
    return repr(value.name if isinstance(value, SourceInfo) else value)


class SourceInfo(Record):
    """Where the config came from."""

    name: str
    kind: Literal["bundled", "file", "hub", "cache", "stdin"]
    format: str
    revision: str | None = None


class MoeInfo(Record):
    """The routed experts of one MoE layer, how many a token visits, those all tokens visit, and how many layers have them."""

    experts: int
    active: int
    shared: int
    layers: int
    intermediate_size: int


class LayerKind(Record):
    """Layers of one kind, as ranges of their numbers, with what mixes tokens and what follows it."""

    layers: str
    count: int
    mixer: str
    ffn: str


class ArchitectureInfo(Record):
    """The knobs. `pattern` has one letter a layer: `mixer` F full, W window, C chunk, M latent (MLA), L linear, H both attention and
    linear, - none; `ffn` d dense, e experts, - none."""

    model_type: str
    kind: Literal["dense", "moe"]
    layers: int
    hidden_size: int | None
    vocab_size: int | None
    context_tokens: int | None
    attention: str
    heads: int | None
    kv_heads: int | None
    head_dim: int | None
    norm: str
    activation: str
    position: str
    intermediate_size: int | None
    ffn_ratio: float | None
    sliding_window: int | None
    tied_embeddings: bool
    moe: MoeInfo | None
    mtp_layers: int
    layer_kinds: list[LayerKind]
    pattern: dict[str, str]
    more: dict[str, str]


class Component(Record):
    """Parameters of one role in one part; `active` are those a token visits."""

    part: str
    role: str
    total: int
    active: int


class Params(Record):
    """Every trained weight once, router correction biases included. `mtp` stands apart from `total`; `components` lists both.
    `active_by_convention` is `active` as publishers also count it: of the text model, without its embedding, without its head."""

    total: int
    active: int
    mtp: int
    by_part: dict[str, int]
    by_role: dict[str, int]
    active_by_convention: dict[str, int]
    components: list[Component]


class Checkpoint(Record):
    """What the publisher's files hold. `elements` counts as the Hub does, in all and by dtype: scales left out, packed weights
    unpacked where the Hub knows how. `weights` are those that the files hold, each once; null where headers alone say what they hold.
    `bytes` is everything stored, and `stored_elements` every element of every tensor as it lies in the files. `asked` is the dtype of a
    question what all weights would take in it: then no file holds them so."""

    elements: int
    bytes: int
    by_dtype: dict[str, int]
    stored_elements: int
    asked: str | None = None
    weights: int | None = None


class KvKind(Record):
    """One kind of cache: its layers, bytes, and what one more token costs one sequence."""

    kind: str
    window: int | None
    layers: int
    bytes: int
    bytes_per_token: int
    state_bytes: int


class KvCache(Record):
    """The cache of `batch` sequences of `context_tokens` tokens. `bytes` holds `state_bytes`, the part that does not grow."""

    engine: str
    context_tokens: int
    batch: int
    dtype: str
    bytes: int
    bytes_per_token: int
    state_bytes: int
    by_kind: list[KvKind]


class KvAt(Record):
    """The cache of one sequence at one length."""

    context_tokens: int
    bytes: int
    bytes_per_token: int


class FlopsPerToken(Record):
    """Floating-point operations to decode one token after `context_tokens`: a multiply and an add are two."""

    context_tokens: int
    matmul: int
    attention: int
    scan: int
    total: int


class ForwardMemory(Record):
    """Activations alive at once in one forward pass of `tokens` tokens without gradients, and the logits of one position in fp32."""

    tokens: int
    dtype: str
    bytes: int
    logits_bytes: int
    basis: Literal["formula"] = "formula"


class CardsNeeded(Record):
    """How many of one card hold a model under an engine; null for more than 16, and where the engine does not start with as many as hold
    it: `why` says what stops it then."""

    gpu: str
    gpus: int | None
    why: str | None = None


class LoadedWeights(Record):
    """Weights in one format as an engine holds them on one GPU: `bytes` with its scales and whatever it keeps unquantized.

    `published` says whether it is how the checkpoint is stored. `cards` are the smallest numbers of them that hold the weights and one
    sequence of `context_tokens`.
    """

    quant: str
    published: bool
    bytes: int
    engine: str
    context_tokens: int
    cards: list[CardsNeeded]


class Inspection(Report):
    """What `archcalc inspect` says of one model.

    `loaded` is the table of weights in several formats, empty for a guess and for what the engine does not serve. It takes longer than
    all else, so it is null in lists of more than 8 models and in `archcalc.inspect` unless it is asked for (`loaded=True`).
    """

    _shown = ("source", "status", "summary")

    schema_version: int
    source: SourceInfo
    status: Literal["counted", "partial", "reference", "header", "guessed"]
    summary: str
    unmodelled_keys: list[str]
    architecture: ArchitectureInfo
    params: Params
    checkpoint: Checkpoint | None
    kv_cache: KvCache | None
    kv_contexts: list[KvAt]
    flops_per_token: FlopsPerToken | None
    forward: ForwardMemory | None
    notes: list[str]
    explain: list[ExplainedFigure]
    loaded: list[LoadedWeights] | None = None


class KvFigure(Record):
    """One kind of cache as an engine holds it: `formula` has the numbers in it, `citation` is where the rule stands.

    The kind `padding` is memory that the engine reserves and no layer uses, `draft` that of layers which draft.
    """

    kind: str
    window: int | None
    layers: int
    bytes: int
    bytes_per_token: int
    state_bytes: int
    formula: str
    citation: str


class KvReport(Report):
    """What `archcalc kv` says of one model under one engine, for each of `gpus` GPUs.

    `rule` is the engine's rule in words, `details` its own figures by name (blocks, slots, cells).
    """

    _shown = ("source", "engine", "context_tokens", "batch", "bytes")

    schema_version: int
    source: str
    status: Literal["counted", "partial", "reference", "header", "guessed"]
    engine: str
    engine_version: str | None
    gpus: int
    context_tokens: int
    batch: int
    dtype: str
    bytes: int
    bytes_per_token: int
    state_bytes: int
    by_kind: list[KvFigure]
    rule: str
    details: dict[str, int | float]
    notes: list[str]


class TensorLine(Record):
    """One line of `archcalc tensors`: a tensor, or with `count` above one all those that differ by layer and expert alone."""

    source: str
    name: str
    shape: list[int]
    dtype: str
    role: str
    part: str
    count: int
    elements: int
    layers: str | None
    experts: int | None


class FitPlan(Record):
    """How the model is split, how its weights are stored, and what the cache is kept in."""

    tp: int
    pp: int
    ep: int
    dp: int
    quant: str
    kv_dtype: str


class FitPerGpu(Record):
    """The fullest GPU. Weights, activations, overhead and room for the cache add up to the budget; headroom is room less need."""

    memory_bytes: int
    budget_bytes: int
    weights_bytes: int
    activation_bytes: int
    overhead_bytes: int
    kv_room_bytes: int
    kv_needed_bytes: int
    headroom_bytes: int


class FitAlternative(Record):
    """Another way to place the model on the same GPUs; `tokens_per_s` is the forecast of all requests together as they decode, and
    `requests_per_s` of whole ones; null where nothing is forecast. `bound_tokens_per_s` is what the bandwidth allows."""

    plan: FitPlan
    fits: bool
    weights_bytes: int
    headroom_bytes: int
    max_concurrency: float
    tokens_per_s: float | None = None
    requests_per_s: float | None = None
    bound_tokens_per_s: float | None = None


class FitChange(Record):
    """A change that makes it fit, and was tried: what to do, the options for it, and what is to spare then."""

    what: str
    options: str
    headroom_bytes: int
    max_concurrency: float
    usd_per_hour: float | None


class Explained(Record):
    """A figure, its formula with the numbers in it, and where that is said."""

    name: str
    bytes: int
    formula: str
    source: str


class FitStart(Record):
    """Whether the engine starts as `command` says; the limit that stops it, or would have, and the flag that lifts it."""

    starts: bool
    limit: str | None
    flag: str | None


class FitOptions(Record):
    """What became of the flags of an engine's command: in the figures, without effect on memory, or not taken into account."""

    used: dict[str, str]
    inert: list[str]
    unmodelled: list[str]


class FitRam(Record):
    """The CPU's memory: what was given as a budget, and what the plan takes of it. `assumed_bytes` are what `fits` takes for granted where
    no budget is given and more lies there than tables that are read by row; 0 else.

    Where an engine leaves layers there, `gpu_layers` of `layers` are on the GPUs (the head counts as one), and so many of those
    without their experts; `gpu_layers` is null where all are.
    """

    budget_bytes: int | None
    used_bytes: int
    assumed_bytes: int
    layers: int
    gpu_layers: int | None
    without_experts: int


class SpeedTerm(Record):
    """One term of a forecast: its time, the quantity's formula, the coefficient, and the rows and sources that stand behind that."""

    phase: Literal["decode", "prefill", "ttft"]
    name: str
    ms: float
    formula: str
    coefficient: float
    rows: int
    sources: int


class FitTarget(Record):
    """Targets, and whether the plan keeps them, else how near any comes: the time to a token times `margin`, the upper end of the time to
    the first. `limit` is what stops at so many requests where the target would let more run."""

    tpot_ms: float | None
    ttft_ms: float | None
    margin: float
    met: bool
    why: str | None
    limit: str | None


class FitSpeed(Record):
    """How fast, for requests of `isl` prompt and `osl` output tokens: forecasts with the ends of their 80 %, or bounds and `why`.

    `concurrency` is how many of them there are at once, `decode_tokens_per_s` of all requests and replicas while they decode,
    `requests_per_s` of whole requests, the wait for the first token included: null where that is not forecast. Requests of one output
    token have no time between two, and a rate of `requests_per_s` tokens. `stands_on` says what the forecast was fitted to.
    """

    basis: Literal["fitted", "bound"]
    isl: int
    osl: int
    concurrency: int
    tpot_ms: float | None
    tpot_ms_low: float | None
    tpot_ms_high: float | None
    ttft_ms: float | None
    ttft_ms_low: float | None
    ttft_ms_high: float | None
    decode_tokens_per_s: float | None
    decode_tokens_per_s_low: float | None
    decode_tokens_per_s_high: float | None
    requests_per_s: float | None
    requests_per_s_low: float | None
    requests_per_s_high: float | None
    prefill_tokens_per_s: float | None
    prefill_tokens_per_s_low: float | None
    prefill_tokens_per_s_high: float | None
    bound_tokens_per_s: float | None
    bound_tokens_per_s_whole_context: float | None
    prefill_ms_floor: float | None
    why: str | None
    stands_on: str | None
    target: FitTarget | None
    terms: list[SpeedTerm]


class Calibrated(Record):
    """One measurement beside its forecast; `ratio` is measured over forecast, null where nothing is forecast."""

    phase: Literal["decode", "prefill", "ttft"]
    isl: int
    osl: int
    concurrency: int
    measured_ms: float
    forecast_ms: float | None
    ratio: float | None


class CalibrationReport(Record):
    """What a host's measurements say: `factors` multiply the forecast times of a phase, `spreads` bound 80 % around them (`spread` is the
    widest). `gpus` is how many were measured, `terms` are those of the forecast that the measurements had a part of."""

    schema_version: int
    source: str
    gpu: str
    engine: str
    factors: dict[str, float]
    spread: float
    spreads: dict[str, float]
    rows: int
    gpus: int
    terms: list[str]
    measurements: list[Calibrated]
    notes: list[str]


class FitCost(Record):
    """List prices: of the machine for an hour, and of a million tokens; `of` says which machine.

    Output is paid with whole requests, their prompts included, and has no price where the wait for them is not forecast; prompts with a
    machine that reads as many of them as there are requests at once, and does nothing else. The two are not added.
    """

    usd_per_hour: float
    usd_per_million_output_tokens: float | None
    usd_per_million_output_tokens_low: float | None
    usd_per_million_output_tokens_high: float | None
    usd_per_million_input_tokens: float | None
    usd_per_million_input_tokens_low: float | None
    usd_per_million_input_tokens_high: float | None
    of: str


class FitOwnContext(Record):
    """Whether the model's own context fits, where no context was asked for, and what is to spare (negative: missing) with it."""

    context_tokens: int
    fits: bool
    headroom_bytes: int


class FitFormat(Record):
    """One storage of the weights that was tried because none was asked for, and the context that fits with it.

    `as_published` is how the checkpoint stores them; `whole_context` says whether all of the context fits that was asked for, or else the
    model's own; `options` ask for it; `tokens_per_s` is forecast for each request of as many at once, null where nothing is, and
    `bound_tokens_per_s` what the bandwidth allows each.
    """

    engine: str
    quant: str
    as_published: bool
    fits: bool
    weights_bytes: int
    context_tokens: int
    whole_context: bool
    headroom_bytes: int
    tokens_per_s: float | None
    options: str
    command: str
    bound_tokens_per_s: float | None = None


class FitReads(Record):
    """How a model that decodes nothing is run: inputs read at once at most, and tokens in a batch, of each replica."""

    inputs: int
    batch_tokens: int


class FitReport(Report):
    """What `archcalc fit` says of one model on one machine.

    `own_context` is null where a context was asked for, `formats` is empty where one storage is all that is asked for or needed, `assumed`
    says what was taken for granted. `reads` is null of a model that writes its text a token at a time.
    """

    _shown = ("source", "fits", "verdict")

    schema_version: int
    source: str
    status: Literal["counted", "partial", "reference", "header", "guessed"]
    gpu: str
    gpus: int
    engine: str
    fits: bool
    verdict: str
    plan: FitPlan
    why: str
    per_gpu: FitPerGpu
    context_tokens: int
    concurrency: int
    max_context_tokens: int
    max_concurrency: float
    kv_tokens: int
    decode_tokens_per_s_ceiling: float | None
    prefill_seconds_floor: float | None
    usd_per_hour: float | None
    instance: str | None
    command: str
    start: FitStart
    runners_up: list[FitAlternative]
    would_fit: list[FitChange]
    speed: FitSpeed
    cost: FitCost | None
    notes: list[str]
    explain: list[Explained]
    options: FitOptions | None
    ram: FitRam
    own_context: FitOwnContext | None
    formats: list[FitFormat]
    assumed: str
    reads: FitReads | None = None


class DiagnosedTerm(Record):
    """One part of a GPU's memory: what the log says of it, and what was predicted; null where one of them says nothing."""

    name: str
    logged_bytes: int | None
    predicted_bytes: int | None


class DiagnosedTokens(Record):
    """The tokens that the cache holds, by the log and as predicted."""

    logged: int | None
    predicted: int | None


class Remedy(Record):
    """A command that starts by what was predicted, what it leaves to spare, and what it gives up."""

    command: str
    headroom_bytes: int | None
    gives_up: str


class Diagnosis(Record):
    """What `archcalc diagnose` says of a log. `said` is the line of the log that names the failure, `kind` its name for scripts."""

    schema_version: int
    engine: str
    engine_version: str | None
    model: str
    gpu: str | None
    gpus: int | None
    command: str | None
    terms: list[DiagnosedTerm]
    tokens: DiagnosedTokens
    outcome: Literal["started", "oom", "refused", "stopped", "unknown"]
    kind: str | None
    cause: str | None
    said: str | None
    remedies: list[Remedy]
    notes: list[str]


class ComparedRow(Record):
    """One row of a comparison: a value for each model, as people read it, and whether all are the same.

    `exact` holds the numbers behind the values: tokens, parameters, bytes, and on a machine milliseconds, tokens a second and dollars; null
    where a value is no number, or not known.
    """

    key: str
    label: str
    values: list[str]
    exact: list[int | float | None]
    same: bool


class Change(Record):
    """One knob that a model turns against the baseline."""

    knob: str
    before: str
    after: str


class Changes(Record):
    """All knobs that one model turns."""

    source: str
    changes: list[Change]


class Comparison(Report):
    """What `archcalc compare` says of several models. `failed` are the SOURCEs that could not be read, with the reasons; `notes` say
    what the answers on a machine are of."""

    _shown = ("sources", "context_tokens")

    schema_version: int
    sources: list[str]
    statuses: list[str]
    context_tokens: int
    kv_dtype: str
    rows: list[ComparedRow]
    baseline: str | None
    changes: list[Changes]
    failed: list[Failure]
    notes: list[str]


class TrainPlan(Record):
    """How the run is set up; `sequences` are those of one optimizer step."""

    seq_tokens: int
    micro_batch: int
    accumulate: int
    sequences: int
    precision: str
    optimizer: str
    implementation: str
    attention: str
    checkpointing: str
    loss: str
    dp: int
    fsdp: int
    zero: int
    tp: int
    sp: bool
    pp: int
    interleave: int
    cp: int
    ep: int
    lora_rank: int
    lora_targets: list[str]
    dora: bool
    quant: str | None
    offload: str


class TrainPerGpu(Record):
    """The fullest GPU. The five parts add up to `total_bytes`, the most that the framework's allocator holds at one time;
    `reserved_bytes` is what it has taken from the GPU by the end of a step, at least 1.07 times that and no more than there is where it
    fits (analysis/training/segments.py), and `overhead_bytes` what lies outside of it; `headroom_bytes` is beside the 1.07, for the rest
    goes back when it is needed. `memory_bytes` is what the framework sees of the GPU, null without one."""

    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    logits_bytes: int
    total_bytes: int
    reserved_bytes: int
    overhead_bytes: int
    memory_bytes: int | None
    headroom_bytes: int | None
    cpu_bytes: int


class TrainStage(Record):
    """One stage of the pipeline: what its fullest GPU holds between two steps, and at most."""

    stage: int
    static_bytes: int
    total_bytes: int


class TrainRecipe(Record):
    """A framework's own configuration: its keys with their values as far as they were used, those that change no memory, and those that
    are not modelled."""

    framework: str
    version: str | None
    used: dict[str, str]
    inert: list[str]
    unmodelled: list[str]


class TrainTerm(Record):
    """One part of the fullest GPU's memory, its formula with the numbers in it, and its share of the total."""

    group: Literal["weights", "gradients", "optimizer", "activations", "logits"]
    name: str
    bytes: int
    share: float
    formula: str


class TrainMoment(Record):
    """What the allocator holds at one moment of a step."""

    moment: str
    bytes: int


class TrainRemedy(Record):
    """Options that make the run fit, what they cost, and the total with them."""

    options: str
    cost: str
    total_bytes: int
    headroom_bytes: int


class TrainWork(Record):
    """Operations. `flops_per_token` is PaLM's convention (matrices six times the weights a token visits, attention over all
    pairs), which Megatron's formula equals; `hardware_flops_per_token` adds what checkpointing computes again. The rest is null
    where it was not asked for."""

    flops_per_token: int
    matrices_flops_per_token: int
    attention_flops_per_token: int
    hardware_flops_per_token: int
    flops_per_step: int
    tokens_per_step: int
    mfu: float
    peak_flops_per_s: int | None
    tokens_per_s: float | None
    tokens: int | None
    hours: float | None
    gpu_hours: float | None
    usd_per_hour: float | None
    usd: float | None
    instance: str | None
    chinchilla_tokens: int


class TrainReport(Report):
    """What `archcalc train` says of one model and one run."""

    _shown = ("source", "fits", "verdict")

    schema_version: int
    source: str
    status: Literal["counted", "partial", "reference", "header", "guessed"]
    params: int
    active_params: int
    trainable_params: int
    gpu: str | None
    gpus: int
    plan: TrainPlan
    per_gpu: TrainPerGpu
    fits: bool | None
    verdict: str
    moment: str
    terms: list[TrainTerm]
    moments: list[TrainMoment]
    stage: int
    stages: list[TrainStage]
    recipe: TrainRecipe | None
    max_micro_batch: int | None
    max_seq_tokens: int | None
    would_fit: list[TrainRemedy]
    work: TrainWork
    basis: Literal["counted", "formula", "guessed"]
    notes: list[str]


class SweepRow(Record):
    """One row of `archcalc sweep`: what was asked, as far as it was, and the figures; those of a machine only with a `gpu`.

    `error` says why a row has none.
    """

    source: str
    set: dict[str, Any] | None = None
    context_tokens: int | None = None
    concurrency: int | None = None
    isl: int | None = None
    osl: int | None = None
    gpu: str | None = None
    engine: str | None = None
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    dp: int | None = None
    quant: str | None = None
    kv_dtype: str | None = None
    status: str | None = None
    params_total: int | None = None
    params_active: int | None = None
    checkpoint_elements: int | None = None
    checkpoint_bytes: int | None = None
    kv_bytes: int | None = None
    kv_bytes_per_token: int | None = None
    kv_state_bytes: int | None = None
    fits: bool | None = None
    plan: str | None = None
    weights_bytes: int | None = None
    kv_room_bytes: int | None = None
    kv_needed_bytes: int | None = None
    headroom_bytes: int | None = None
    max_concurrency: float | None = None
    kv_tokens: int | None = None
    tpot_ms: float | None = None
    tpot_ms_low: float | None = None
    tpot_ms_high: float | None = None
    ttft_ms: float | None = None
    ttft_ms_low: float | None = None
    ttft_ms_high: float | None = None
    tokens_per_s: float | None = None
    tokens_per_s_low: float | None = None
    tokens_per_s_high: float | None = None
    tokens_per_s_a_gpu: float | None = None
    requests_per_s: float | None = None
    bound_tokens_per_s: float | None = None
    prompt_taken: int | None = None
    output_taken: int | None = None
    engine_taken: str | None = None
    weights_taken: str | None = None
    context_taken: int | None = None
    usd_per_hour: float | None = None
    usd_per_million_output_tokens: float | None = None
    price_of: str | None = None
    error: str | None = None


class BundledModel(Record):
    """One line of `archcalc models`. `release` is YYYY-MM-DD or YYYY-MM; null is not known for certain. `release_note` says what else the
    date is of."""

    name: str
    repo: str
    family: str
    model_type: str
    params_total: int
    params_active: int
    attention: str
    context_tokens: int | None
    release: str | None
    release_note: str | None
    license: str | None
    origin: str
    aliases: list[str]


class DenseRates(Record):
    """TFLOP/s of dense matrices by dtype; null where the device has no units for it, or nothing is published."""

    fp32: float | None
    tf32: float | None
    fp16: float | None
    bf16: float | None
    fp8: float | None
    int8: float | None
    fp4: float | None


class CheapestOffer(Record):
    """The instance with this device that costs least an hour."""

    instance: str
    gpus: int
    usd_per_hour: float


class CatalogDevice(Record):
    """One line of `archcalc gpus`. `visible_bytes` is what an engine sees, `driver_bytes` what the driver reports; their basis says
    whether that was measured."""

    id: str
    name: str
    vendor: str
    category: str
    architecture: str
    year: int
    status: str
    compute: str | None
    visible_bytes: int
    visible_basis: str
    driver_bytes: int
    driver_basis: str
    memory_type: str
    ram_bytes: int | None
    bandwidth_bytes_per_s: int | None
    dense_tflops: DenseRates
    link: str
    link_bytes_per_s: int | None
    per_machine: int
    domain: int
    cheapest: CheapestOffer | None
    confidence: str
    notes: str
    conflict: str
    aliases: list[str]
    sources: list[str]


class Picked(Record):
    """A bundled model that meets the requirements, as it would run.

    `tpot_seconds_floor` is a bound with the whole context before the token, `tpot_ms`, `ttft_ms`, `tokens_per_s` (of all sequences together
    as they decode) and `requests_per_s` are forecasts of requests of `isl` prompt and `osl` output tokens, and `bound_tokens_per_s` is what
    the bandwidth allows of those. Prices are as in `archcalc fit`.
    """

    name: str
    repo: str
    license: str | None
    release: str | None
    params_total: int
    params_active: int
    attention: str
    engine: str
    plan: FitPlan
    headroom_bytes: int
    max_context_tokens: int
    max_concurrency: float
    kv_bytes_per_token: int
    tpot_seconds_floor: float | None
    isl: int
    osl: int
    tpot_ms: float | None
    tpot_ms_low: float | None
    tpot_ms_high: float | None
    tokens_per_s: float | None
    context_tokens: int
    ram_bytes: int
    command: str
    ttft_ms: float | None = None
    requests_per_s: float | None = None
    bound_tokens_per_s: float | None = None
    usd_per_hour: float | None = None
    usd_per_million_output_tokens: float | None = None
    price_of: str | None = None


class Pick(Record):
    """What `archcalc pick` recommends, why, what else there is, and how many models were left out for what reason. `not_judged` are those
    behind all that are named, which were not tried."""

    schema_version: int
    gpu: str
    gpus: int
    machine: str
    engine: str
    context_tokens: int | None
    concurrency: int
    task: str | None
    best: Picked | None
    why: list[str]
    runners_up: list[Picked]
    left_out: dict[str, int]
    notes: list[str]
    not_judged: int = 0


Verdict = Literal["ok", "wrong", "doubtful", "unverifiable", "unknown-model"]


class CheckResult(Record):
    """One claim of a card. `resolved` is what the name was taken for; `actual` the true value in the claim's own style; `why` how
    that is known; `fix` what `--fix` writes in the claim's place. `doubtful` is a mismatch that nothing nearby confirms."""

    file: str
    line: int
    column: int
    model: str
    resolved: str | None
    field: str
    claimed: str
    actual: str | None
    verdict: Verdict
    why: str
    fix: str | None


class CheckError(Record):
    """A file that could not be checked, or a source that it names and that could not be had."""

    file: str
    line: int
    code: str
    message: str
    hint: str


class CheckReport(Report):
    """What `archcalc check` says of all files together."""

    _shown = ("files", "claims", "wrong", "doubtful")

    def __repr__(self) -> str:
        """With what could not be read, where there is such."""
        if not self.errors:
            return super().__repr__()
        return super().__repr__().removesuffix(", ...)") + f", errors={[error.file for error in self.errors]!r}, ...)"

    schema_version: int
    files: int
    claims: int
    ok: int
    wrong: int
    doubtful: int
    unverifiable: int
    unknown_model: int
    results: list[CheckResult]
    errors: list[CheckError]


class ExplainedFigure(Record):
    """A figure of an inspection, its formula with the numbers in it, and where that is said."""

    name: str
    value: int
    unit: str
    formula: str
    source: str


class PlotPoint(Record):
    """One value of a chart of `archcalc plot`: `at` is where it stands along `axis`; null for a level that runs along the whole of it.

    `low` and `high` are the ends of its 80 % where it is a forecast.
    """

    chart: str
    series: str
    axis: str
    at: str | None
    value: float
    unit: str
    low: float | None
    high: float | None


class Difference(Record):
    """Tensors that differ from what is expected, those that differ in their numbers alone as one: `name` holds ranges of numbers.

    `expected` and `found` are shape, dtype or both; null where there is none. `why` is what is known of an extra one.
    """

    name: str
    count: int
    expected: str | None
    found: str | None
    why: str


class Verification(Record):
    """What `archcalc verify` says of one model and one checkpoint."""

    schema_version: int
    source: str
    checkpoint: str
    format: str
    status: Literal["counted", "partial", "reference", "header", "guessed"]
    agrees: bool
    expected_tensors: int
    found_tensors: int
    missing: list[Difference]
    extra: list[Difference]
    wrong_shape: list[Difference]
    wrong_dtype: list[Difference]
    notes: list[str]


class ErrorInfo(Record):
    """Why a SOURCE failed."""

    code: str
    message: str
    hint: str


class Failure(Record):
    """What stands in place of a report for a SOURCE that failed."""

    source: str
    error: ErrorInfo


def to_plain(value: Any) -> Any:
    """A report as dicts, lists, numbers and strings, in field order."""
    if isinstance(value, Record):
        return {key: to_plain(item) for key, item in vars(value).items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value
