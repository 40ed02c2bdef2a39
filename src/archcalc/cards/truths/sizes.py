"""Bytes and operations."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value
from archcalc.figures import memory

# Formats of less than a byte have scales and blocks of their own: what they take is no product.
_DTYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1}

_STORED = {"F32": "fp32", "BF16": "bf16", "F16": "fp16", "F8_E4M3": "fp8", "F8_E5M2": "fp8", "I8": "int8"}


def _cache_bytes(model: Model, tokens: int, quals: Quals) -> int | None:
    size = _DTYPE_BYTES.get(quals.dtype or "bf16")
    kinds = memory.textbook(model.architecture, tokens, quals.batch, size, quals.tp) if size else []
    return sum(kind.bytes for kind in kinds) or None


def _kv_cache(model: Model, quals: Quals) -> Iterator[Value]:
    tokens = quals.context or model.report.architecture.context_tokens
    if not tokens:
        return
    value = _cache_bytes(model, tokens, quals)
    if value:
        each = f"{quals.batch} sequences of " * (quals.batch > 1)
        rank = f", what one of {quals.tp} ranks holds" * (quals.tp > 1)
        if not next(_kv_per_token(model, quals), None):
            yield Value(0, "no layer keeps keys and values")
        yield Value(value, f"every token a layer can see, once: {each}{tokens:,} tokens in {quals.dtype or 'bf16'}{rank}")
    if quals.batch > 1 and (one := _cache_bytes(model, tokens, quals._replace(batch=1))):
        yield Value(one, f"one sequence of {tokens:,} tokens in {quals.dtype or 'bf16'}", "rare")
    if quals.context and not quals.context % 1024:
        # 128k tokens may be 128,000 of them.
        fewer = quals.context // 1024 * 1000
        if fewer_bytes := _cache_bytes(model, fewer, quals):
            yield Value(fewer_bytes, f"every token a layer can see, once: {fewer:,} tokens in {quals.dtype or 'bf16'}", "rare")
    size = _DTYPE_BYTES.get(quals.dtype or "bf16")
    if size and value:
        kinds = memory.textbook(model.architecture, 1, quals.batch, size, quals.tp)
        whole = sum(kind.bytes_per_token for kind in kinds) * tokens * quals.batch
        if whole > value:
            yield Value(whole, f"as if every layer kept all {tokens:,} tokens, windows or not")


def _kv_per_token(model: Model, quals: Quals) -> Iterator[Value]:
    dtype = quals.dtype or "bf16"
    size = _DTYPE_BYTES.get(dtype)
    if isinstance(size, int):
        for tokens, when in ((1, "in every layer"), (quals.context or 1 << 30, "in layers without a full window")):
            kinds = memory.textbook(model.architecture, tokens, 1, size, quals.tp)
            per_token = sum(kind.bytes_per_token for kind in kinds)
            if per_token:
                yield Value(per_token, f"one more token {when}, {dtype}")


def _weights(model: Model, quals: Quals) -> Iterator[Value]:
    params = model.report.params
    if quals.dtype in _DTYPE_BYTES:
        size = _DTYPE_BYTES[quals.dtype]
        yield Value(params.total * size, f"all parameters in {quals.dtype}")
        if params.mtp:
            yield Value((params.total + params.mtp) * size, f"all parameters and the MTP layer in {quals.dtype}")
    if quals.dtype == "int4":
        yield Value(params.total // 2, "four bits a parameter, without scales")
    stored = model.report.checkpoint
    if stored is not None and not quals.dtype:
        yield Value(stored.bytes, "the published checkpoint")
        yield Value(params.total * 2, "all parameters in two bytes")
    elif stored is not None and any(_STORED.get(name) == quals.dtype for name in stored.by_dtype):
        yield Value(stored.bytes, "the published checkpoint")


def _activations(model: Model, quals: Quals) -> Iterator[Value]:
    """Several accounts of what a training step keeps; each is somebody's published formula, none is the only one."""
    from archcalc.analysis.activations import Implementation, Recompute
    from archcalc.analysis.training import Planner, Run

    if not quals.context or quals.other not in ("none", "full"):
        return
    accounts: tuple[tuple[Implementation, bool, str], ...] = (
        ("transformers", True, "as transformers keeps them"),
        ("megatron", True, "by Megatron's formulas"),
        ("megatron", False, "by Megatron's formulas without dropout"),
    )
    recompute: Recompute = "full" if quals.other == "full" else "none"
    found = []
    for implementation, dropout, name in accounts:
        run = Run(quals.context, quals.batch, precision="pure", implementation=implementation, recompute=recompute, dropout=dropout)
        kept = Planner(model.architecture).memory(run)
        found.append((sum(size for _, size in kept.kept), kept.logits, name))
    yield from (Value(activations, name) for activations, _, name in found)
    yield from (Value(activations + logits, f"{name}, with the logits", "rare") for activations, logits, name in found)


def _flops(model: Model, quals: Quals) -> Iterator[Value]:
    from archcalc.analysis.flops import decode_flops

    tokens = quals.context or model.report.architecture.context_tokens or 0
    if tokens:
        work = decode_flops(model.architecture, tokens)
        yield Value(sum(work), f"one token at {tokens:,} tokens, attention included")
    matmul = decode_flops(model.architecture, 1).matmul
    yield Value(matmul, "matrices alone")
    yield Value(2 * model.report.params.active, "two for each active parameter")


FIELDS: dict[str, Find] = {
    "kv_cache": _kv_cache,
    "kv_per_token": _kv_per_token,
    "weights": _weights,
    "flops": _flops,
    "activations": _activations,
}
