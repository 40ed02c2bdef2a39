"""The words cards use for architectures, and what each says: `GQA`, `pre-norm`, `SwiGLU`, `YaRN`, `sliding window`.

A word is true, false, or beyond what a config tells. Abbreviations are those of the papers that named the thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from archcalc.cards import vocabulary
from archcalc.cards.models import Model


class Verdict(NamedTuple):
    """Whether a word is true of a model (None: the config cannot tell), what is so in its place, and how that is known."""

    true: bool | None
    actual: str
    why: str


class Hit(NamedTuple):
    """A known word in a cell. `negated` if the cell says "no" or "without" before it."""

    word: str
    start: int
    end: int
    negated: bool


def _tensor_names(model: Model) -> set[str]:
    return {tensor.name for part, tensor, _ in model.architecture.each_tensor() if part in ("decoder", "embedding", "head")}


def _kinds(model: Model) -> set[str]:
    return {c.kind for s in model.architecture.stacks if s.part == "decoder" for k in s.kinds for c in k.caches}


def _sharing(model: Model) -> str:
    a = model.report.architecture
    if "latent" in _kinds(model):
        return "MLA"
    if not a.heads:
        return a.attention
    return "MHA" if a.heads == a.kv_heads else "MQA" if a.kv_heads == 1 else "GQA"


def _heads(model: Model) -> str:
    a = model.report.architecture
    return f"{a.heads} query heads, {a.kv_heads} KV heads"


def _mha(model: Model) -> Verdict:
    return Verdict(_sharing(model) == "MHA", _sharing(model), _heads(model))


def _gqa(model: Model) -> Verdict:
    sharing = _sharing(model)
    if sharing == "MQA":
        return Verdict(True, "MQA", f"{_heads(model)}: GQA with one group, which is MQA")
    return Verdict(sharing == "GQA", sharing, _heads(model))


def _mqa(model: Model) -> Verdict:
    return Verdict(_sharing(model) == "MQA", _sharing(model), _heads(model))


def _mla(model: Model) -> Verdict:
    return Verdict(
        _sharing(model) == "MLA", _sharing(model), "a compressed latent is cached" if _sharing(model) == "MLA" else _heads(model)
    )


def _mixer(wanted: set[str], basis: str) -> Callable[[Model], Verdict]:
    def judge(model: Model) -> Verdict:
        found = _kinds(model) & wanted
        return Verdict(
            bool(found), model.report.architecture.attention, basis if found else f"no layer {basis.removeprefix('layers ')}"
        )

    return judge


def _window(model: Model) -> Verdict:
    found = _kinds(model) & {"sliding", "chunked"}
    a = model.report.architecture
    if found:
        return Verdict(True, a.attention, f"window of {a.sliding_window:,}" if a.sliding_window else "some layers have a window")
    return Verdict(False, a.attention, "no layer has a window")


def _full(model: Model) -> Verdict:
    letters = model.report.architecture.pattern["mixer"]
    return Verdict(any(c in letters for c in "FMH"), model.report.architecture.attention, "layers that see every token")


def _alternating(model: Model) -> Verdict:
    letters = model.report.architecture.pattern["mixer"]
    sliding = [letter in "WC" for letter in letters]
    true = any(sliding) and all(a != b for a, b in pairwise(sliding))
    return Verdict(
        true, model.report.architecture.attention, "sliding and full layers in turn" if true else "the pattern of layers"
    )


def _attention_says(pattern: str) -> Callable[[Model], Verdict]:
    def judge(model: Model) -> Verdict:
        text = f"{model.report.architecture.attention} {' '.join(k.mixer for k in model.report.architecture.layer_kinds)}"
        return Verdict(bool(re.search(pattern, text, re.IGNORECASE)), model.report.architecture.attention, "the layers' mixers")

    return judge


def _linear(model: Model) -> Verdict:
    letters = model.report.architecture.pattern["mixer"]
    return Verdict(any(c in letters for c in "LH"), model.report.architecture.attention, "layers that carry a state")


def _hybrid(model: Model) -> Verdict:
    letters = set(model.report.architecture.pattern["mixer"]) - {"-"}
    return Verdict(
        len(letters) > 1 or "H" in letters,
        model.report.architecture.attention,
        "layers of several kinds" if len(letters) > 1 else "one kind of layer",
    )


def _sinks(model: Model) -> Verdict:
    true = any(name.endswith("sinks") for name in _tensor_names(model))
    return Verdict(true, "sinks" if true else "no sinks", "one learned logit a head" if true else "no sinks among the tensors")


def _qk_norm(model: Model) -> Verdict:
    stated = model.report.architecture.more.get("QK-norm", "none")
    true = stated != "none"
    if not true and any(re.search(r"(q|k)_(layer)?norm", name) for name in _tensor_names(model)):
        return Verdict(None, stated, "norms of the latents")
    return Verdict(true, "QK-norm" if true else "no QK-norm", stated if true else "no norm on queries and keys")


def _attention_bias(model: Model) -> Verdict:
    names = {t.name for part, t, _ in model.architecture.each_tensor() if part == "decoder" and t.role == "attention"}
    biased = sorted(
        name
        for name in names
        if re.search(r"(?:q|k|v|qkv|query|key|value|query_key_value|c_attn|Wqkv)(?:_[ab])?(?:_proj)?\.bias$", name)
    )
    return Verdict(
        bool(biased), "bias" if biased else "no bias", biased[0] if biased else "no bias among the projections of the attention"
    )


def _any_bias(model: Model) -> Verdict:
    names = sorted(
        tensor.name
        for part, tensor, _ in model.architecture.each_tensor()
        if part in ("decoder", "head") and tensor.kind == "param" and tensor.name.endswith("bias") and tensor.role != "norm"
    )
    return Verdict(bool(names), "biases" if names else "no biases", names[0] if names else "no bias among the tensors")


def _gated_attention(model: Model) -> Verdict:
    true = "output gate" in model.report.architecture.more or any("gated" in k.mixer for k in model.report.architecture.layer_kinds)
    return Verdict(
        true,
        model.report.architecture.attention,
        "a gate on the attention's output" if true else "no gate on the attention's output",
    )


def _index(model: Model) -> Verdict:
    true = "index" in _kinds(model) or any("sparse" in k.mixer.lower() for k in model.report.architecture.layer_kinds)
    return Verdict(true, model.report.architecture.attention, "an indexer chooses the tokens" if true else "no indexer")


def _norm_is(name: str) -> Callable[[Model], Verdict]:
    def judge(model: Model) -> Verdict:
        stated = model.report.architecture.norm
        return Verdict(stated.startswith(name), stated, "the norms' tensors")

    return judge


def _placement(word: str) -> Callable[[Model], Verdict]:
    def judge(model: Model) -> Verdict:
        stated = model.report.architecture.norm
        inside = re.search(r"\((.*)\)", stated)
        return Verdict(bool(inside and re.search(rf"\b{word}\b", inside[1])), stated, "where the norms stand")

    return judge


def _no_weights(model: Model) -> Verdict:
    count = model.report.params.by_role["norm"]
    return Verdict(count == 0, "norms with weights" if count else "norms without weights", f"{count:,} parameters in norms")


def _inside_residual(model: Model) -> Verdict:
    stated = model.report.architecture.norm
    return Verdict("inside the residual" in stated, stated, "where the norms stand")


def _activation(*names: str) -> Callable[[Model], Verdict]:
    def judge(model: Model) -> Verdict:
        stated = model.report.architecture.activation
        return Verdict(stated.split(" (")[0] in names or stated in names, stated, "hidden_act")

    return judge


def _rope(model: Model) -> Verdict:
    stated = model.report.architecture.position
    return Verdict("RoPE" in stated, stated, "rotary positions" if "RoPE" in stated else "no rotary positions")


def _position_says(pattern: str) -> Callable[[Model], Verdict]:
    def judge(model: Model) -> Verdict:
        stated = model.report.architecture.position
        return Verdict(bool(re.search(pattern, stated, re.IGNORECASE)), stated, "the config's positions")

    return judge


def _yarn(model: Model) -> Verdict:
    stated = model.report.architecture.position
    if "YaRN" in stated:
        return Verdict(True, stated, "rope scaling of the config")
    published = next((c for c in model.contexts if "YaRN" in c.source), None)
    if published:
        return Verdict(True, stated, f"the publisher's option for long inputs ({published.source}); the config does not set it")
    return Verdict(False, stated, "the config sets no YaRN")


def _partial(model: Model) -> Verdict:
    stated = model.report.architecture.position
    return Verdict("of the head" in stated or "latent" in _kinds(model), stated, "the rotary part of a head")


def _nope(model: Model) -> Verdict:
    from archcalc.cards.truths.layers import indices

    found = indices(model, "nope_layers") or []
    return Verdict(bool(found), model.report.architecture.position, f"{len(found)} layers without positions")


def _moe(model: Model) -> Verdict:
    moe = model.report.architecture.moe
    if moe is None:
        return Verdict(False, "dense", "no experts")
    return Verdict(
        True, "MoE", f"{moe.experts} experts, {moe.active} a token, in {moe.layers} of {model.architecture.layers} layers"
    )


def _dense(model: Model) -> Verdict:
    true, _, why = _moe(model)
    return Verdict(not true, "MoE" if true else "dense", why)


def _shared(model: Model) -> Verdict:
    moe = model.report.architecture.moe
    count = moe.shared if moe else 0
    return Verdict(count > 0, f"{count} shared" if count else "no shared expert", "experts that every token visits")


def _fine_grained(model: Model) -> Verdict:
    # DeepSeekMoE, arXiv:2401.06066, section 3.1: experts split so that several make up one FFN.
    moe = model.report.architecture.moe
    if moe is None:
        return Verdict(False, "dense", "no experts")
    wide = model.report.architecture.intermediate_size or (model.report.architecture.hidden_size or 0) * 8 // 3
    true = moe.active >= 4 and moe.intermediate_size * 2 <= wide
    return Verdict(
        True if true else None,
        f"experts of {moe.intermediate_size:,}",
        f"experts of {moe.intermediate_size:,}, {moe.active} a token",
    )


def _deepseek_moe(model: Model) -> Verdict:
    moe = model.report.architecture.moe
    true = moe is not None and moe.shared > 0
    return Verdict(true, "MoE" if moe else "dense", "routed and shared experts" if true else "no shared experts")


def _mtp(model: Model) -> Verdict:
    count = model.architecture.mtp_layers
    return Verdict(count > 0, f"{count} MTP layer{'s' * (count != 1)}", "MTP layers in the checkpoint")


def _tied(model: Model) -> Verdict:
    true = model.report.architecture.tied_embeddings
    return Verdict(true, "tied" if true else "untied", "tie_word_embeddings")


def _ple(model: Model) -> Verdict:
    true = "per-layer embeddings" in model.report.architecture.more
    return Verdict(
        true,
        "per-layer embeddings" if true else "none",
        "per-layer embeddings among the tensors" if true else "none among the tensors",
    )


def _dense_path(model: Model) -> Verdict:
    true = "dense path" in model.report.architecture.more or _shared(model).true
    return Verdict(
        bool(true), "a dense path" if true else "none", model.report.architecture.more.get("dense path", "shared experts")
    )


def _multimodal(model: Model) -> Verdict:
    parts = model.report.params.by_part
    true = bool(parts["vision"] or parts["audio"])
    return Verdict(true, "with a tower" if true else "text only", "vision and audio tensors")


JUDGES: dict[str, Callable[[Model], Verdict]] = {
    "mha": _mha, "gqa": _gqa, "mqa": _mqa, "mla": _mla, "window": _window, "full": _full, "alternating": _alternating,
    "chunked": _mixer({"chunked"}, "layers attend in chunks"), "linear": _linear, "hybrid": _hybrid, "sinks": _sinks, "qk_norm": _qk_norm,
    "attention_bias": _attention_bias, "bias": _any_bias, "gated_attention": _gated_attention, "index": _index,
    "deltanet": _attention_says(r"delta ?net"), "lightning": _attention_says("lightning"), "mamba": _attention_says("mamba|ssm"),
    "kda": _attention_says("kda|kimi delta"), "rwkv": _attention_says("rwkv"), "rmsnorm": _norm_is("RMSNorm"),
    "layernorm": _norm_is("LayerNorm"), "pre": _placement("pre"), "post": _placement("post"), "inside": _inside_residual,
    "no_norm_weights": _no_weights, "swiglu": _activation("SwiGLU"), "geglu": _activation("GeGLU"),
    "silu": _activation("SwiGLU", "SiLU"), "gelu": _activation("GeGLU", "GELU", "GELU (tanh)"), "relu2": _activation("ReLU²"),
    "relu": _activation("ReLU", "ReGLU"), "reglu": _activation("ReGLU"), "rope": _rope, "learned": _position_says("learned"),
    "alibi": _position_says("alibi"), "sinusoidal": _position_says("sinusoidal"), "yarn": _yarn, "longrope": _position_says("longrope"),
    "linear_scaling": _position_says("linear scaling"), "llama3_scaling": _position_says("llama 3 scaling"),
    "mrope": _position_says("m-rope"), "partial": _partial, "nope": _nope, "moe": _moe, "dense": _dense, "shared": _shared,
    "fine_grained": _fine_grained, "deepseek_moe": _deepseek_moe, "mtp": _mtp, "tied": _tied, "untied": _tied, "ple": _ple,
    "dense_path": _dense_path, "multimodal": _multimodal,
}  # fmt: skip


@cache
def known(field: str) -> tuple[tuple[str, str], ...]:
    """The words of a field, each with the expression for it, in the order in which they are looked for."""
    field = "moe" if field == "routing" else field
    lines = [line.split(" ", 1) for kind, line in vocabulary.section("words") if kind == field]
    return tuple((word, pattern) for word, pattern in lines)


@cache
def _pattern(field: str) -> re.Pattern[str]:
    body = "|".join(f"(?P<w{i}>{pattern})" for i, (_, pattern) in enumerate(known(field)))
    return re.compile(rf"(?P<no>\b(?:no|not|without|w/o|non)[- ]+)?(?<![A-Za-z])(?:{body})", re.IGNORECASE)


def hits(field: str, text: str) -> Iterator[Hit]:
    """The known words of a field in a text, longest meanings first where they overlap."""
    for match in _pattern(field).finditer(text):
        group = match.lastgroup or ""
        yield Hit(known(field)[int(group[1:])][0], match.start(group), match.end(group), match["no"] is not None)


def judge(model: Model, word: str) -> Verdict:
    """Whether a word is true of a model."""
    return JUDGES[word](model)
