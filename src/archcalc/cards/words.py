"""The words cards use for architectures, and what each says: `GQA`, `pre-norm`, `SwiGLU`, `YaRN`, `sliding window`.

A word is true, false, or beyond what a config tells. Abbreviations are those of the papers that named the thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

from archcalc.cards import vocabulary
from archcalc.cards.models import Model
from archcalc.records import NamedTuple


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


def _caches(model: Model) -> set[str]:
    return {c.kind for s in model.architecture.stacks if s.part == "decoder" for k in s.kinds for c in k.caches}


def _tensors(model: Model, part: str = "decoder embedding head", role: str = "") -> str:
    return "\n".join(sorted({t.name for p, t, _ in model.architecture.each_tensor() if p in part.split() and role in ("", t.role)}))


def _mixers(model: Model) -> str:
    return " ".join(kind.mixer for kind in model.report.architecture.layer_kinds)


# Where a word of words.txt is looked for, and what is said of it.
_PLACES: dict[str, tuple[Callable[[Model], str], str]] = {
    "attention": (lambda m: f"{m.report.architecture.attention} {_mixers(m)}", "the layers' mixers"),
    "layers": (lambda m: m.report.architecture.pattern["mixer"], "the layers' mixers"),
    "norm": (lambda m: m.report.architecture.norm, "the norms"),
    "activation": (lambda m: m.report.architecture.activation, "hidden_act"),
    "position": (lambda m: m.report.architecture.position, "the config's positions"),
    "more": (lambda m: "; ".join(f"{k}: {v}" for k, v in m.report.architecture.more.items()), "what is beside the common blocks"),
    "caches": (lambda m: "\n".join(sorted(_caches(m))), "what is cached"),
    "tensors": (_tensors, "the tensors"),
}


def _sharing(model: Model, word: str) -> Verdict:
    a = model.report.architecture
    if "latent" in _caches(model):
        found, why = "MLA", "a compressed latent is cached"
    else:
        found = "MHA" if a.heads == a.kv_heads else "MQA" if a.kv_heads == 1 else "GQA"
        found, why = found if a.heads else a.attention, f"{a.heads} query heads, {a.kv_heads} KV heads"
    if (word, found) == ("gqa", "MQA"):
        return Verdict(True, found, f"{why}: GQA with one group, which is MQA")
    return Verdict(found == word.upper(), found, why)


def _window(model: Model, _: str) -> Verdict:
    a, true = model.report.architecture, bool(_caches(model) & {"sliding", "chunked"})
    window = f"window of {a.sliding_window:,}" if a.sliding_window else "some layers have a window"
    return Verdict(true, a.attention, window if true else "no layer has a window")


def _alternating(model: Model, _: str) -> Verdict:
    sliding = [letter in "WC" for letter in model.report.architecture.pattern["mixer"]]
    true = any(sliding) and all(a != b for a, b in pairwise(sliding))
    return Verdict(true, model.report.architecture.attention, "the pattern of layers")


def _hybrid(model: Model, _: str) -> Verdict:
    letters = set(model.report.architecture.pattern["mixer"]) - {"-"}
    return Verdict(len(letters) > 1 or "H" in letters, model.report.architecture.attention, "kinds of layers")


def _qk_norm(model: Model, _: str) -> Verdict:
    stated = model.report.architecture.more.get("QK-norm", "none")
    if stated == "none" and re.search(r"\b(q|k|kv)_(layer)?norm", _tensors(model)):
        return Verdict(None, stated, "norms of the latents")
    true = stated != "none"
    return Verdict(true, "QK-norm" if true else "no QK-norm", stated if true else "no norm on queries and keys")


_PROJECTION = re.compile(r"(?m)^.*(?:q|k|v|qkv|query|key|value|query_key_value|c_attn|Wqkv)(?:_[ab])?(?:_proj)?\.bias$")


def _attention_bias(model: Model, _: str) -> Verdict:
    found = _PROJECTION.search(_tensors(model, "decoder", "attention"))
    return Verdict(
        bool(found), "bias" if found else "no bias", found[0] if found else "no bias among the projections of the attention"
    )


def _bias(model: Model, _: str) -> Verdict:
    names = sorted(
        tensor.name
        for part, tensor, _ in model.architecture.each_tensor()
        if part in ("decoder", "head") and tensor.kind == "param" and tensor.name.endswith("bias") and tensor.role != "norm"
    )
    return Verdict(bool(names), "biases" if names else "no biases", names[0] if names else "no bias among the tensors")


def _index(model: Model, _: str) -> Verdict:
    true = "index" in _caches(model) or "sparse" in _mixers(model).lower()
    return Verdict(true, model.report.architecture.attention, "an indexer chooses the tokens" if true else "no indexer")


def _no_weights(model: Model, _: str) -> Verdict:
    count = model.report.params.by_role["norm"]
    return Verdict(count == 0, "norms with weights" if count else "norms without weights", f"{count:,} parameters in norms")


def _yarn(model: Model, _: str) -> Verdict:
    stated = model.report.architecture.position
    if "YaRN" in stated:
        return Verdict(True, stated, "rope scaling of the config")
    if published := next((c for c in model.contexts if "YaRN" in c.source), None):
        return Verdict(True, stated, f"the publisher's option for long inputs ({published.source}); the config does not set it")
    return Verdict(False, stated, "the config sets no YaRN")


def _partial(model: Model, _: str) -> Verdict:
    stated = model.report.architecture.position
    return Verdict("of the head" in stated or "latent" in _caches(model), stated, "the rotary part of a head")


def _nope(model: Model, _: str) -> Verdict:
    from archcalc.cards.truths.layers import indices

    found = indices(model, "nope_layers") or []
    return Verdict(bool(found), model.report.architecture.position, f"{len(found)} layers without positions")


def _moe(model: Model, word: str) -> Verdict:
    moe = model.report.architecture.moe
    mixed = model.report.architecture.kind == "moe"
    why = (
        f"{moe.experts} experts, {moe.active} a token, in {moe.layers} of {model.architecture.layers} layers"
        if moe
        else "the files hold experts"
        if mixed
        else "no experts"
    )
    return Verdict((word == "moe") == mixed, "MoE" if mixed else "dense", why)


def _shared(model: Model, _: str) -> Verdict:
    moe = model.report.architecture.moe
    count = moe.shared if moe else 0
    return Verdict(count > 0, f"{count} shared" if count else "no shared expert", "experts that every token visits")


def _fine_grained(model: Model, _: str) -> Verdict:
    # DeepSeekMoE, arXiv:2401.06066, section 3.1: experts split so that several make up one FFN.
    a = model.report.architecture
    if a.moe is None:
        return Verdict(False, "dense", "no experts")
    wide = a.intermediate_size or (a.hidden_size or 0) * 8 // 3
    width = f"experts of {a.moe.intermediate_size:,}"
    return Verdict((a.moe.active >= 4 and a.moe.intermediate_size * 2 <= wide) or None, width, f"{width}, {a.moe.active} a token")


def _deepseek_moe(model: Model, _: str) -> Verdict:
    moe = model.report.architecture.moe
    true = moe is not None and moe.shared > 0
    return Verdict(true, "MoE" if moe else "dense", "routed and shared experts" if true else "no shared experts")


def _mtp(model: Model, _: str) -> Verdict:
    count = model.architecture.mtp_layers
    return Verdict(count > 0, f"{count} MTP layer{'s' * (count != 1)}", "MTP layers in the checkpoint")


def _tied(model: Model, _: str) -> Verdict:
    true = model.report.architecture.tied_embeddings
    return Verdict(true, "tied" if true else "untied", "tie_word_embeddings")


def _dense_path(model: Model, word: str) -> Verdict:
    stated = model.report.architecture.more.get("dense path", "shared experts")
    true = stated != "shared experts" or bool(_shared(model, word).true)
    return Verdict(true, "a dense path" if true else "none", stated)


def _multimodal(model: Model, _: str) -> Verdict:
    parts = model.report.params.by_part
    true = bool(parts["vision"] or parts["audio"])
    return Verdict(true, "with a tower" if true else "text only", "vision and audio tensors")


_JUDGES: dict[str, Callable[[Model, str], Verdict]] = {
    "mha": _sharing, "gqa": _sharing, "mqa": _sharing, "mla": _sharing, "window": _window, "alternating": _alternating,
    "hybrid": _hybrid, "qk_norm": _qk_norm, "attention_bias": _attention_bias, "bias": _bias, "index": _index,
    "no_norm_weights": _no_weights, "yarn": _yarn, "partial": _partial, "nope": _nope, "moe": _moe, "dense": _moe, "shared": _shared,
    "fine_grained": _fine_grained, "deepseek_moe": _deepseek_moe, "mtp": _mtp, "tied": _tied, "untied": _tied,
    "dense_path": _dense_path, "multimodal": _multimodal,
}  # fmt: skip


@cache
def _looked_for() -> dict[str, tuple[str, str]]:
    """Words of words.txt: where each is looked for, and the expression that finds it there."""
    lines = (line.split(maxsplit=2) for line in vocabulary.lines("words.txt"))
    return {word: (place, pattern) for word, place, pattern in lines}


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
    if own := _JUDGES.get(word):
        return own(model, word)
    place, pattern = _looked_for()[word]
    stated, why = _PLACES[place][0](model), _PLACES[place][1]
    true = re.search(pattern, stated) is not None
    if word == "mamba" and not true and set(model.report.architecture.pattern["mixer"]) & set("LH"):
        return Verdict(None, model.report.architecture.attention, "engines call every layer that carries a state so")
    if place in ("norm", "activation", "position"):
        return Verdict(true, stated, why)
    if place == "attention" or place == "layers" or word in ("gated_attention", "chunked"):
        return Verdict(true, model.report.architecture.attention, why)
    return Verdict(true, word if true else "none", f"{word if true else 'none'} in {why}")
