"""Widths, heads and experts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value
from archcalc.model import Rotation


def _gated(model: Model) -> bool:
    return model.report.architecture.activation.split()[0].endswith("GLU") or "GLU" in model.report.architecture.activation


def _intermediate(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    config = model.text_config
    found: list[Value] = []
    if a.moe and not ("d" in a.pattern["ffn"] or a.intermediate_size):
        found.append(Value(a.moe.intermediate_size, "the width of one expert"))
    elif a.intermediate_size:
        found.append(Value(a.intermediate_size, "the width of the FFN"))
    keys = ("intermediate_size_mlp", "dense_intermediate_size", "intermediate_size", "ffn_hidden_size", "n_inner")
    found += [Value(config[key], f"{key} of the config") for key in keys if type(config.get(key)) is int]
    if a.moe:
        found.append(Value(a.moe.intermediate_size, "the width of one expert"))
    yield from found
    if _gated(model):
        for value in found:
            yield Value(2 * value.value, f"gate and up together, twice {value.basis}")


def _expert(model: Model, _: Quals) -> Iterator[Value]:
    if moe := model.report.architecture.moe:
        yield Value(moe.intermediate_size, "the width of one expert")


def _shared_expert_size(model: Model, _: Quals) -> Iterator[Value]:
    hidden = model.report.architecture.hidden_size
    widths = {
        next((width for width in tensor.shape if width != hidden), tensor.shape[-1])
        for _, tensor, _ in model.architecture.each_tensor()
        if tensor.role == "shared_experts" and tensor.name.endswith("down_proj.weight")
    }
    moe = model.report.architecture.moe
    for width in sorted(widths):
        yield Value(width, "the width of the shared FFN")
    if moe and moe.shared and widths:
        yield Value(moe.intermediate_size, "the width of one expert")


def _attend(model: Model) -> tuple[int, int] | None:
    """Dimensions of queries and values of the first attention."""
    for stack in model.architecture.stacks:
        if stack.part == "decoder":
            for kind in stack.kinds:
                if kind.attends:
                    return kind.attends[0].qk_dim, kind.attends[0].v_dim
    return None


def _latent(model: Model) -> tuple[int, int] | None:
    """Rank of the latent and dimension of the rotary key."""
    for stack in model.architecture.stacks:
        if stack.part == "decoder":
            for kind in stack.kinds:
                for cache in kind.caches:
                    if cache.kind == "latent":
                        return cache.key_dim, cache.value_dim
    return None


def _head_dim(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    if a.head_dim:
        yield Value(a.head_dim, "head_dim" if not _latent(model) else "a head without its rotary part")
    dims = _attend(model)
    if dims and _latent(model):
        yield Value(dims[0], "queries and keys, rotary part included")
        yield Value(dims[1], "values")
        yield from _nope_dim(model, Quals())
    if latent := _latent(model):
        yield Value(sum(latent), "the latent with its rotary key, as engines cache it", "rare")
    if linear := _linear(model):
        yield Value(linear["linear_head_dim"], "heads of the linear mixer", "rare")


def _kv_heads(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    if a.kv_heads:
        yield Value(a.kv_heads, "num_key_value_heads" if not _latent(model) else "heads of the up-projected keys and values")
    if _latent(model):
        yield Value(1, "one latent for all heads, as engines cache it")


def _latent_part(index: int, basis: str) -> Find:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        if latent := _latent(model):
            yield Value(latent[index], basis)

    return find


def _rope_dim(model: Model, _: Quals) -> Iterator[Value]:
    if latent := _latent(model):
        yield Value(latent[1], "qk_rope_head_dim")
        return
    if share := re.search(r"(\d+)% of the head", model.report.architecture.position):
        yield Value(int(share[1]) * (model.report.architecture.head_dim or 0) // 100, f"{share[1]}% of the head")
    kinds = [kind for stack in model.architecture.stacks if stack.part == "decoder" for kind in stack.kinds]
    turned = {
        step.width: attend.qk_dim for kind in kinds for step in kind.steps if isinstance(step, Rotation) for attend in kind.attends
    }
    for width, head in sorted(turned.items()):
        if width:
            yield Value(width, "the whole head" if width == head else f"{width} of a head's {head} channels")
    if not turned and "RoPE" in model.report.architecture.position and model.report.architecture.head_dim:
        yield Value(model.architecture.facts.head_dim, "the whole head")


def _nope_dim(model: Model, _: Quals) -> Iterator[Value]:
    dims, latent = _attend(model), _latent(model)
    if dims and latent:
        yield Value(dims[0] - latent[1], "qk_nope_head_dim")


def _v_dim(model: Model, _: Quals) -> Iterator[Value]:
    if dims := _attend(model):
        yield Value(dims[1], "v_head_dim")


def _q_rank(model: Model, _: Quals) -> Iterator[Value]:
    for _part, tensor, _layers in model.architecture.each_tensor():
        if tensor.name.endswith("q_a_proj.weight"):
            yield Value(tensor.shape[0], "q_lora_rank")
            return


def _linear(model: Model) -> dict[str, int]:
    more = model.report.architecture.more
    text = more.get("linear heads") or more.get("Mamba-2 heads", "")
    if both := re.match(r"(\d+) x (\d+) value, (\d+) x (\d+) key", text):
        return {"linear_heads": int(both[1]), "linear_head_dim": int(both[2]), "linear_qk_heads": int(both[3])}
    if one := re.match(r"(\d+) x (\d+)", text):
        return {"linear_heads": int(one[1]), "linear_head_dim": int(one[2]), "linear_qk_heads": int(one[1])}
    return {}


def _of_linear(name: str) -> Find:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        if name in (found := _linear(model)):
            yield Value(found[name], "the linear mixer's heads")

    return find


def _experts(model: Model, _: Quals) -> Iterator[Value]:
    moe = model.report.architecture.moe
    if moe is None:
        if model.report.architecture.kind == "dense":
            yield Value(0, "no experts: the model is dense")
        return
    yield Value(moe.experts, "routed experts of a layer")
    if moe.shared:
        yield Value(moe.experts + moe.shared, "routed and shared experts together")


def _active_experts(model: Model, _: Quals) -> Iterator[Value]:
    moe = model.report.architecture.moe
    if moe is None:
        if model.report.architecture.kind == "dense":
            yield Value(0, "no experts: the model is dense")
        return
    yield Value(moe.active, "routed experts a token visits")
    if moe.shared:
        yield Value(moe.active + moe.shared, "routed and shared experts together")


def _shared(model: Model, _: Quals) -> Iterator[Value]:
    moe = model.report.architecture.moe
    yield Value(moe.shared if moe else 0, "experts that every token visits")
    if moe and moe.shared > 1:
        yield Value(1, f"one FFN as wide as {moe.shared} experts")


def _expert_share(model: Model, _: Quals) -> Iterator[Value]:
    if moe := model.report.architecture.moe:
        yield Value(Fraction(moe.active, moe.experts), f"{moe.active} of {moe.experts} routed experts")


def _sparsity(model: Model, _: Quals) -> Iterator[Value]:
    if moe := model.report.architecture.moe:
        yield Value(Fraction(moe.experts, moe.active), "routed experts over those a token visits")


def _gqa_ratio(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    if a.heads and a.kv_heads:
        yield Value(Fraction(a.heads, a.kv_heads), f"{a.heads} query heads over {a.kv_heads} KV heads")


def _ffn_ratio(model: Model, quals: Quals) -> Iterator[Value]:
    if hidden := model.report.architecture.hidden_size:
        for value in _intermediate(model, quals):
            yield Value(Fraction(value.value) / hidden, f"{value.basis} over hidden_size")


FIELDS: dict[str, Find] = {
    "intermediate_size": _intermediate,
    "expert_size": _expert,
    "shared_expert_size": _shared_expert_size,
    "kv_heads": _kv_heads,
    "head_dim": _head_dim,
    "q_rank": _q_rank,
    "kv_rank": _latent_part(0, "kv_lora_rank"),
    "rope_dim": _rope_dim,
    "nope_dim": _nope_dim,
    "v_dim": _v_dim,
    "linear_heads": _of_linear("linear_heads"),
    "linear_qk_heads": _of_linear("linear_qk_heads"),
    "linear_head_dim": _of_linear("linear_head_dim"),
    "experts": _experts,
    "active_experts": _active_experts,
    "shared_experts": _shared,
    "expert_share": _expert_share,
    "sparsity": _sparsity,
    "gqa_ratio": _gqa_ratio,
    "ffn_ratio": _ffn_ratio,
}
