"""All that `archcalc inspect` prints of one architecture, as a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from archcalc import report, units
from archcalc.analysis import flops
from archcalc.analysis.params import components
from archcalc.engines.engine import TEXTBOOK
from archcalc.errors import UnsupportedError, UsageError
from archcalc.figures import memory
from archcalc.model import PARTS, ROLES, Architecture, Layer

if TYPE_CHECKING:
    from archcalc.formats.headers import Header

_CONTEXTS = (4096, 32768, 131072)
# vLLM schedules at most this many tokens a step by default on the GPUs most run it on (vLLM 0.33, engine/arg_utils.py).
_PREFILL_TOKENS = 8192
_LOGIT_BYTES = 4


def ranges(numbers: Iterable[int]) -> str:
    """Layer numbers as people write them.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    >>> ranges([3, 7, 11, 15])
    '3-15 step 4'
    >>> ranges([0, 1, 3, 4, 6, 7, 9, 10])
    '0-10 except 2-8 step 3'
    """
    numbers = list(numbers)
    if steps := _steps(numbers):
        return steps
    present = set(numbers)
    absent = [n for n in range(numbers[0], numbers[-1]) if n not in present]
    if absent and (steps := _steps(absent)):
        return f"{numbers[0]}-{numbers[-1]} except {steps}"
    runs: list[list[int]] = []
    for n in numbers:
        if runs and runs[-1][1] == n - 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _steps(numbers: list[int]) -> str:
    """Three or more numbers at equal distances above one, or nothing."""
    step = numbers[1] - numbers[0] if len(numbers) > 2 else 0
    if step > 1 and numbers == list(range(numbers[0], numbers[-1] + 1, step)):
        return f"{numbers[0]}-{numbers[-1]} step {step}"
    return ""


def _mixer_letter(layer: Layer) -> str:
    kinds = {cache.kind for cache in layer.caches}
    attends = bool(layer.attends)
    if "state" in kinds:
        return "H" if attends and kinds - {"state"} else "L"
    if "latent" in kinds:
        return "M"
    if "chunked" in kinds:
        return "C"
    if attends:
        return "F" if layer.attends[0].window is None else "W"
    return "-"


def _ffn_letter(layer: Layer) -> str:
    roles = {t.role for t in layer.tensors}
    return "e" if "experts" in roles else "d" if "mlp" in roles else "-"


def _layer_kinds(architecture: Architecture) -> tuple[list[report.LayerKind], dict[str, str]]:
    """Layers that read the same, by their numbers; and one letter a layer."""
    by_text: dict[tuple[str, str], list[int]] = {}
    mixer = ffn = ""
    for stack in architecture.shown_stacks:
        # Layers of a second stack are numbered on.
        first = stack.start or len(mixer)
        numbers: list[list[int]] = [[] for _ in stack.kinds]
        for i, k in enumerate(stack.pattern, first):
            numbers[k].append(i)
        for layer, own in zip(stack.kinds, numbers, strict=True):
            by_text.setdefault((layer.mixer, layer.ffn), []).extend(own)
        mixer += "".join(map([_mixer_letter(layer) for layer in stack.kinds].__getitem__, stack.pattern))
        ffn += "".join(map([_ffn_letter(layer) for layer in stack.kinds].__getitem__, stack.pattern))
    kinds = [report.LayerKind(ranges(sorted(numbers)), len(numbers), *text) for text, numbers in by_text.items()]
    return kinds, {"mixer": mixer, "ffn": ffn}


def _architecture(a: Architecture) -> report.ArchitectureInfo:
    f = a.facts
    kinds, pattern = _layer_kinds(a)
    known = a.status not in ("header", "reference")
    return report.ArchitectureInfo(
        model_type=a.model_type,
        kind="moe" if f.moe or (not known and any(t.role == "experts" for _, t, _ in a.each_tensor())) else "dense",
        layers=a.layers,
        hidden_size=f.hidden_size if known else f.hidden_size or None,
        vocab_size=f.vocab_size if known else f.vocab_size or None,
        context_tokens=f.context_tokens,
        attention=f.attention,
        heads=f.heads if known else f.heads or None,
        kv_heads=f.kv_heads if known else f.kv_heads or None,
        head_dim=f.head_dim if known else f.head_dim or None,
        norm=f.norm,
        activation=f.activation,
        position=f.position.said,
        intermediate_size=f.intermediate_size,
        ffn_ratio=round(f.intermediate_size / f.hidden_size, 3) if f.intermediate_size else None,
        sliding_window=f.sliding_window,
        tied_embeddings=f.tied_embeddings,
        moe=report.MoeInfo(*f.moe) if f.moe else None,
        mtp_layers=a.mtp_layers,
        layer_kinds=kinds,
        pattern=pattern,
        more=dict(f.more),
    )


def _params(parts: list[report.Component]) -> report.Params:
    by_part: dict[str, int] = dict.fromkeys(PARTS, 0)
    by_role: dict[str, int] = dict.fromkeys(ROLES, 0)
    total = active = mtp = 0
    for c in parts:
        if c.part == "mtp":
            mtp += c.total
            continue
        total += c.total
        active += c.active
        by_part[c.part] += c.total
        by_role[c.role] += c.total
    return report.Params(total, active, mtp, by_part, by_role, _conventions(parts), parts)


def _conventions(parts: list[report.Component]) -> dict[str, int]:
    """What a token visits, by what is counted: gpt-oss is published without its embedding, Llama 4 without its vision tower."""
    by_part: dict[str, int] = {}
    for c in parts:
        by_part[c.part] = by_part.get(c.part, 0) + c.active
    embedding, decoder, head = (by_part.get(part, 0) for part in ("embedding", "decoder", "head"))
    return {
        "text": embedding + decoder + head,
        "text without embedding": decoder + head,
        "text without embedding and head": decoder,
    }


_BUILT = {"header": "counted from headers", "reference": "built by transformers"}


def summary(a: Architecture, params: report.Params) -> str:
    """One line that names the architecture."""
    f, guess = a.facts, "~" if a.status == "guessed" else ""
    kind = [_BUILT[a.status]] if a.status in _BUILT else ["MoE" if f.moe else "Dense", f.attention]
    words = [*kind, f"{a.layers} layers", f"{guess}{units.format_count(params.total)} total"]
    if params.active != params.total:
        words.append(f"{guess}{units.format_count(params.active)} active")
    if f.context_tokens:
        words.append(f"{units.format_tokens(f.context_tokens)} context")
    return ", ".join(words)


def kv_cache(a: Architecture, tokens: int, batch: int, dtype: str | None, engine: str = TEXTBOOK) -> report.KvCache:
    """The cache as `engine` holds it, in its own dtype unless one is asked for.

    Raises `UsageError` for a dtype that it does not have: the textbook none with scales, whose layout is an engine's.
    """
    if engine != TEXTBOOK:
        return _engine_cache(a, tokens, batch, dtype, engine)
    dtype = dtype or _cache_dtype(a)
    if dtype not in memory.DTYPE_BYTES:
        raise UsageError(
            f"--kv-dtype {dtype}: the textbook cache knows {', '.join(memory.DTYPE_BYTES)}", "name an --engine for its own formats"
        )
    kinds = memory.textbook(a, tokens, batch, memory.DTYPE_BYTES[dtype])
    return report.KvCache(
        engine=TEXTBOOK,
        context_tokens=tokens,
        batch=batch,
        dtype=dtype,
        bytes=sum(k.bytes for k in kinds),
        bytes_per_token=sum(k.bytes_per_token for k in kinds),
        state_bytes=sum(k.state_bytes for k in kinds),
        by_kind=[report.KvKind(*k) for k in kinds],
    )


def _engine_cache(a: Architecture, tokens: int, batch: int, dtype: str | None, engine: str) -> report.KvCache:
    from archcalc.analysis import kv
    from archcalc.engines._allocation import Workload

    made = kv.allocate(a, engine, Workload(tokens, batch, dtype))
    kinds = [report.KvKind(f.kind, f.window, f.layers, f.bytes, f.bytes_per_token, f.state_bytes) for f in made.figures]
    return report.KvCache(engine, tokens, batch, made.dtype, made.bytes, made.bytes_per_token, made.state_bytes, kinds)


def _contexts(a: Architecture, dtype: str | None, longest: int, engine: str) -> list[report.KvAt]:
    caches = [kv_cache(a, tokens, 1, dtype, engine) for tokens in sorted({*(c for c in _CONTEXTS if c <= longest), longest})]
    return [report.KvAt(cache.context_tokens, cache.bytes, cache.bytes_per_token) for cache in caches]


def _cache_dtype(a: Architecture) -> str:
    """What engines keep the cache in when not told: the model's own half precision, else bf16."""
    return "fp16" if a.dtype == "F16" else "bf16"


_STORED = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "fp8": "F8_E4M3", "fp8_e5m2": "F8_E5M2"}


def stored_as(dtype: str | None) -> str | None:
    """A dtype as safetensors spells it."""
    if dtype is None:
        return None
    if dtype not in _STORED:
        raise UsageError(
            f"--dtype {dtype}: weights can be asked for in {', '.join(_STORED)}",
            "archcalc fit --quant says what they take in others",
        )
    return _STORED[dtype]


_COUNTED = (
    "to have it counted: --reference, where transformers knows the type; --set model_type=NAME, if its blocks are those of a type that "
    "`archcalc models --types` lists; or its checkpoint (.safetensors, .gguf) as SOURCE, whose headers are counted"
)
"""What makes figures of a guess."""


def _notes(a: Architecture, params: report.Params) -> list[str]:
    notes = list(a.notes)
    if a.status == "guessed":
        notes.append(_COUNTED)
    if params.active != params.total:
        left = "" if a.facts.moe is None else " the routed experts a token does not visit"
        if any(t.rows_read for _, t, _ in a.each_tensor()):
            left += f"{' and' if left else ''} the rows it does not read of tables beside the input embedding"
        notes.append(f"active: all parameters less{left}; embedding and head included")
    if params.mtp:
        notes.append("MTP layers are outside the total; the checkpoint holds them")
    return [*notes, *a.doubts] if a.unmodelled_keys else notes


def inspect(
    a: Architecture,
    source: report.SourceInfo,
    *,
    context_tokens: int | None = None,
    batch: int = 1,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    engine: str = TEXTBOOK,
    note: str = "",
    header: Header | None = None,
) -> report.Inspection:
    """The report on one architecture.

    `context_tokens` defaults to the model's own maximum, `kv_dtype` to the half precision that engines would use. `dtype` asks what the
    weights would take if stored so. `engine` is whose cache to tell of. Figures that do not apply (a cache without a context) are None,
    and a note says why. `note` is what is worth telling about where the config came from, `header` what the headers of the checkpoint
    say, where they are at hand.
    """
    from archcalc.figures import checkpoint

    params = _params(components(a))
    notes = [f"config: {note}"] if note else []
    notes += _notes(a, params)
    tokens = context_tokens or a.facts.context_tokens
    stored = None
    try:
        # All weights, also those that are published in another form.
        whole = a if dtype is None else a._replace(quantization=None)
        held = checkpoint.summary(whole, stored_as(dtype))
        stored = report.Checkpoint(
            held.elements,
            held.bytes,
            held.by_dtype,
            held.stored,
            dtype,
            checkpoint.weights(whole) if a.quantization else held.elements,
        )
        notes += held.notes
    except UnsupportedError as error:
        notes.append(f"checkpoint: {error.message}")
    if header is not None and dtype is None:
        from archcalc.formats import counted

        # The files themselves are at hand: what they hold, not what the config would have them hold.
        stored, more = counted.checkpoint(header, stored)
        notes += [told for told in more if told not in notes]
        if counted.OTHERS in more and a.status == "counted":
            a = a._replace(status="partial")
    cache = token_flops = forward = None
    contexts: list[report.KvAt] = []
    if a.status == "header":
        pass  # what it caches and computes is not known, and not guessed
    elif a.status == "reference":
        # Transformers says what it keeps; what it computes is not known.
        if tokens is not None and any(layer.caches for s in a.stacks for layer in s.kinds):
            cache = kv_cache(a, tokens, batch, kv_dtype, engine)
            contexts = _contexts(a, kv_dtype, tokens, engine)
    elif tokens is None and not a.facts.vocab_size:
        pass  # a part that reads no tokens
    elif tokens is None:
        notes.append("the config states no context: give --ctx for cache and FLOPs")
    else:
        from archcalc.analysis.kv import beyond, crossing

        if not any("cross-attention" in note for note in notes):
            notes += crossing(a)
        notes += beyond(a, tokens)
        cache = kv_cache(a, tokens, batch, kv_dtype, engine)
        contexts = _contexts(a, kv_dtype, tokens, engine)
        work = flops.decode_flops(a, tokens)
        token_flops = report.FlopsPerToken(tokens, *work, sum(work))
        pass_tokens = min(tokens, _PREFILL_TOKENS)
        compute = "fp32" if a.dtype == "F32" else _cache_dtype(a)
        forward = report.ForwardMemory(
            pass_tokens,
            compute,
            flops.forward_bytes(a, pass_tokens, memory.DTYPE_BYTES[compute]),
            a.head_rows * _LOGIT_BYTES,
        )
    return report.Inspection(
        schema_version=report.SCHEMA_VERSION,
        source=source,
        status=a.status,
        summary=summary(a, params),
        unmodelled_keys=list(a.unmodelled_keys),
        architecture=_architecture(a),
        params=params,
        checkpoint=stored,
        kv_cache=cache,
        kv_contexts=contexts,
        flops_per_token=token_flops,
        forward=forward,
        notes=notes,
        explain=[],
    )
