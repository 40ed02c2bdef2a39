"""What one layer or one expert has of a figure that a label asks of the whole model."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Value

_ROLES: dict[str, tuple[str, ...]] = {
    "attention_params": ("attention",),
    "ffn_params": ("mlp", "experts", "shared_experts", "router"),
    "expert_params": ("experts",),
    "shared_expert_params": ("shared_experts",),
    "router_params": ("router",),
    "norm_params": ("norm",),
}
_OF_EXPERT = ("total_params", "expert_params", "ffn_params")
_CACHES = ("kv_per_token", "kv_cache")


def find(model: Model, field: str, quals: Quals) -> Iterator[Value]:
    """The values of one layer, of each kind that the model has, or of one routed expert; nothing where that is not known."""
    if quals.each == "expert" and field in _OF_EXPERT:
        yield from _expert(model)
    elif quals.each == "layer" and field in _CACHES:
        yield from _cache(model, field, quals)
    elif quals.each == "layer" and (field in _ROLES or field == "total_params"):
        yield from _layer(model, _ROLES.get(field, ()))


def _expert(model: Model) -> Iterator[Value]:
    moe = model.report.architecture.moe
    if moe is None:
        return
    for stack in model.architecture.stacks:
        if stack.part == "decoder":
            for kind in stack.kinds:
                if held := sum(t.elements for t in kind.tensors if t.counted and t.role == "experts"):
                    yield Value(held // moe.experts, "one routed expert of a layer")
    yield Value(model.report.params.by_role["experts"] // moe.experts, "one routed expert in all layers")


def _layer(model: Model, roles: tuple[str, ...]) -> Iterator[Value]:
    for stack in model.architecture.stacks:
        if stack.part != "decoder":
            continue
        most = sorted(zip(stack.counts(), stack.kinds, strict=True), key=lambda found: -found[0])
        for _, kind in most:
            if held := sum(t.elements for t in kind.tensors if t.counted and (not roles or t.role in roles)):
                yield Value(held, f"one layer of {kind.mixer} and {kind.ffn}")
            if "router" in roles and (rest := held - sum(t.elements for t in kind.tensors if t.counted and t.role == "router")):
                yield Value(rest, f"one layer of {kind.mixer} and {kind.ffn}, without its router")


def _cache(model: Model, field: str, quals: Quals) -> Iterator[Value]:
    from archcalc.cards.truths.sizes import DTYPE_BYTES
    from archcalc.figures import memory

    size = DTYPE_BYTES.get(quals.dtype or "bf16", 0)
    tokens = (quals.context or model.report.architecture.context_tokens or 0) if field == "kv_cache" else 1
    if not size or not tokens:
        return
    rows = memory.textbook(model.architecture, tokens, quals.batch, size, quals.tp)
    for row in rows:
        if held := row.bytes if field == "kv_cache" else row.bytes_per_token:
            yield Value(held // row.layers, f"one layer of {row.layers}, {quals.dtype or 'bf16'}")
    if len(rows) > 1 and len({row.layers for row in rows}) == 1:
        whole = sum(row.bytes if field == "kv_cache" else row.bytes_per_token for row in rows)
        yield Value(whole // rows[0].layers, f"all that one layer of {rows[0].layers} keeps")
