"""Bytes and operations."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value
from archcalc.figures import memory

# Formats of less than a byte have scales and blocks of their own: what they take is no product.
DTYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1}

# Of an element in blocks of 32 with their scales: ggml 0c1e57098, ggml-common.h `block_q8_0` and those beside it.
_CACHED: dict[str, int | Fraction] = DTYPE_BYTES | {
    "int4": Fraction(1, 2), "q8_0": Fraction(34, 32), "q5_1": Fraction(24, 32), "q5_0": Fraction(22, 32), "q4_1": Fraction(20, 32),
    "q4_0": Fraction(18, 32), "iq4_nl": Fraction(18, 32),
}  # fmt: skip

_STORED = {"F32": "fp32", "BF16": "bf16", "F16": "fp16", "F8_E4M3": "fp8", "F8_E5M2": "fp8", "I8": "int8"}


# An indexer's keys are kept in fp8 with an fp32 scale for each 128 whatever the cache's dtype is: vLLM 0.33, models/deepseek_v2.py
# `DeepseekV32IndexerCache`; SGLang 0.5, mem_cache/memory_pool.py `DSATokenToKVPool`. Cards of publishers count the latent alone, too.
_INDEX_ROW = 132, 128


@lru_cache(maxsize=64)
def _caches(model: Model, tokens: int, batch: int, dtype: str, tp: int) -> list[tuple[int, int, str]]:
    """Bytes in all and of one more token, and what of an indexer's keys they count."""
    if dtype not in _CACHED:
        return []
    size = DTYPE_BYTES.get(dtype, 2)
    kinds = memory.textbook(model.architecture, tokens, batch, size, tp)
    whole, token = sum(kind.bytes for kind in kinds), sum(kind.bytes_per_token for kind in kinds)
    if dtype not in DTYPE_BYTES:
        part = Fraction(_CACHED[dtype]) / size
        return [(int(whole * part), int(token * part), "")]
    out = [(whole, token, "")]
    if index := [kind for kind in kinds if kind.kind == "index"]:
        keys, key = sum(kind.bytes for kind in index), sum(kind.bytes_per_token for kind in index)
        row, elements = _INDEX_ROW[0], _INDEX_ROW[1] * size
        fp8 = whole - keys + keys * row // elements, token - key + key * row // elements
        out += [(*fp8, ", the indexer's keys in fp8"), (whole - keys, token - key, ", no indexer's keys")]
    return out


def _kv_cache(model: Model, quals: Quals) -> Iterator[Value]:
    tokens = quals.context or model.report.architecture.context_tokens
    if not tokens:
        return
    dtype, batch, tp = quals.dtype or "bf16", quals.batch, quals.tp
    found = _caches(model, tokens, batch, dtype, tp)
    if found and found[0][0] and not next(_kv_per_token(model, quals), None):
        yield Value(0, "no layer keeps keys and values")
    each = f"{batch} sequences of " * (batch > 1)
    rank = f", what one of {tp} ranks holds" * (tp > 1)
    ways = [(size, f"{each}{tokens:,} tokens in {dtype}{index}{rank}", "") for size, _, index in found]
    if quals.context and not quals.context % 1024:
        # 128k tokens may be 128,000 of them.
        fewer = quals.context // 1024 * 1000
        ways += [(size, f"{fewer:,} tokens in {dtype}", "rare") for size, *_ in _caches(model, fewer, batch, dtype, tp)[:1]]
    yield from (Value(size, f"every token a layer can see, once: {basis}", tag) for size, basis, tag in ways if size)
    for _, token, index in _caches(model, 1, batch, dtype, tp):
        if token * tokens * batch > found[0][0]:
            yield Value(token * tokens * batch, f"as if every layer kept all {tokens:,} tokens, windows or not{index}")


FILLING = "in every layer, before windows are full"


def _kv_per_token(model: Model, quals: Quals) -> Iterator[Value]:
    dtype = quals.dtype or "bf16"
    # What `archcalc kv` and `inspect` print first: what one more token costs where windows are full. Where all layers have one, that is
    # nothing, and what the first tokens cost is left.
    longest = model.report.architecture.context_tokens or 1 << 30
    for tokens, when in ((quals.context or longest, "in layers without a full window"), (1, FILLING)):
        for _, size, index in _caches(model, tokens, 1, dtype, quals.tp):
            if size:
                yield Value(size, f"one more token {when}, {dtype}{index}")


_LOOKED_UP = "embedding", "head"
"""What quantized releases mostly leave in two bytes."""


def _weights(model: Model, quals: Quals) -> Iterator[Value]:
    """Of all devices together, or of one of `quals.tp` that share them evenly."""
    if quals.tp == 1:
        yield from _whole_weights(model, quals)
    elif quals.tp:
        for value in _whole_weights(model, quals):
            yield Value(round(Fraction(value.value) / quals.tp), f"{value.basis}, one of {quals.tp} devices' share")


def _whole_weights(model: Model, quals: Quals) -> Iterator[Value]:
    params = model.report.params
    if quals.dtype in DTYPE_BYTES:
        size = DTYPE_BYTES[quals.dtype]
        yield Value(params.total * size, f"all parameters in {quals.dtype}")
        if size == 1:
            held = [sum(c.total for c in params.components if c.part in parts) for parts in (("head",), ("embedding",), _LOOKED_UP)]
            yield from (Value(params.total + more, f"{quals.dtype}, with a table in two bytes", "rare") for more in held if more)
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
