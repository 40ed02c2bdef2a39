"""What a model's config says of a field: every value that is right in some convention, with the convention's name.

The first value of a list is what is printed as the truth; the others are right ways to count that people use. Whether a claim may use
them all is the judge's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

from archcalc.analysis import memory
from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.errors import ArchcalcError


class Value(NamedTuple):
    """A right value. `basis` names the convention or the key it comes from. `tag` restricts it to claims that say so (`native`,
    `extended`, `original` of contexts), marks a convention as `rare`, or a value as that of a `namesake`; mostly it is empty."""

    value: int | Fraction
    basis: str
    tag: str = ""


_DTYPE_BYTES: dict[str, int | Fraction] = {
    "fp32": 4,
    "bf16": 2,
    "fp16": 2,
    "fp8": 1,
    "int8": 1,
    "fp4": Fraction(1, 2),
    "int4": Fraction(1, 2),
}


_STORED = {"F32": "fp32", "BF16": "bf16", "F16": "fp16", "F8_E4M3": "fp8", "F8_E5M2": "fp8", "I8": "int8"}


def values(model: Model, field: str, quals: Quals) -> list[Value]:
    """The right values of a numeric field, the canonical one first. Empty where the config does not say."""
    find = _FIELDS.get(field)
    if find is None:
        return []
    found: dict[int | Fraction, Value] = {}
    for value in find(model, quals):
        found.setdefault(value.value, value)
    return list(found.values())


# Parameters


def _sums(model: Model) -> dict[str, tuple[int, int]]:
    """Total and active parameters by part, MTP layers among them."""
    out: dict[str, tuple[int, int]] = {}
    for c in model.report.params.components:
        total, active = out.get(c.part, (0, 0))
        out[c.part] = total + c.total, active + c.active
    return out


def _counted(model: Model, quals: Quals, which: int) -> Iterator[Value]:
    """Total (0) or active (1) parameters in every convention that the label leaves open."""
    sums = _sums(model)
    get = {part: sums.get(part, (0, 0))[which] for part in ("embedding", "head", "mtp", "vision", "audio", "other")}
    params = model.report.params
    everything = (params.total, params.active)[which]
    towers = get["vision"] + get["audio"]
    tied = model.report.architecture.tied_embeddings
    # A tied head is the embedding: leaving out one leaves out the other.
    without = [(get["embedding"], "without the embedding")] if not tied else []
    without.append(
        (get["embedding"] + get["head"], "without the embedding" + (", which is the head too" if tied else " and the head"))
    )
    name = "all parameters" if which == 0 else "all parameters but the experts a token does not visit"
    plain = [(everything, name)]
    if towers:
        plain.append((everything - towers, "the text model alone"))
    if quals.embedding != "without":
        yield from (Value(n, basis) for n, basis in plain)
        if get["mtp"] and quals.mtp != "without":
            yield from (
                Value(n + get["mtp"], f"{basis}, with the MTP layer{'s' * (model.report.architecture.mtp_layers > 1)}")
                for n, basis in plain
            )
        if which == 0 and quals.mtp != "without" and model.report.checkpoint is not None:
            yield Value(model.report.checkpoint.elements, "elements of the checkpoint, as the Hub counts")
    rare = "rare" if which == 0 and quals.embedding != "without" else ""
    if quals.embedding != "with":
        # Publishers who leave the embedding out mostly leave both matrices out; the other way follows.
        for n, basis in reversed(without) if quals.embedding == "without" else without:
            if n:
                for total, text in plain:
                    alone = text != plain[0][1]
                    yield Value(total - n, f"{text if alone else ''} {basis}".strip(), "rare" if alone and which == 0 else rare)
                if get["mtp"] and quals.mtp != "without":
                    yield Value(plain[-1][0] + get["mtp"] - n, f"with MTP, {basis}", "rare")


def _total(model: Model, quals: Quals) -> Iterator[Value]:
    found = list(_counted(model, quals, 0))
    if quals.mtp == "with":
        found = [v for v in found if "MTP" in v.basis] or found
    yield from found


def _active(model: Model, quals: Quals) -> Iterator[Value]:
    found = list(_counted(model, quals, 1))
    if quals.mtp == "with":
        found = [v for v in found if "MTP" in v.basis] or found
    yield from found


def _embedding(model: Model, _: Quals) -> Iterator[Value]:
    sums = _sums(model)
    one, head = sums.get("embedding", (0, 0))[0], sums.get("head", (0, 0))[0]
    yield Value(one, "the embedding")
    if head:
        yield Value(one + head, "the embedding and the head")


def _vision(model: Model, _: Quals) -> Iterator[Value]:
    whole = model.report.params.by_part.get("vision", 0)
    if not whole:
        return
    projector = sum(
        tensor.elements * layers
        for part, tensor, layers in model.architecture.each_tensor()
        if part == "vision" and tensor.counted and re.search(r"projector|merger|multi_modal|mm_|connector|adapter", tensor.name)
    )
    if projector:
        yield Value(whole - projector, "the vision tower without its projector")
    yield Value(whole, "the vision tower")


# Layers


def _mixers(model: Model) -> str:
    return model.report.architecture.pattern["mixer"]


def _count(letters: str, wanted: str) -> int:
    return sum(letters.count(letter) for letter in wanted)


def _layers(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(model.architecture.layers, "layers of the decoder")


def _dense_layers(model: Model, _: Quals) -> Iterator[Value]:
    ffn = model.report.architecture.pattern["ffn"]
    if "e" in ffn:
        yield Value(len(ffn) - len(ffn.lstrip("d")), "layers before the first with experts")
        yield Value(ffn.count("d"), "layers without experts")
    else:
        yield Value(ffn.count("d"), "no layer has experts")


def _moe_layers(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(model.report.architecture.pattern["ffn"].count("e"), "layers with experts")


def _by_mixer(wanted: str, basis: str) -> Callable[[Model, Quals], Iterator[Value]]:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        yield Value(_count(_mixers(model), wanted), basis)

    return find


def indices(model: Model, field: str) -> list[int] | None:
    """The layers of a kind, by number, or None for a field that is none of kinds of layers."""
    letters = {"window_layers": "WC", "full_layers": "FMH", "linear_layers": "LH"}.get(field)
    if letters:
        return [i for i, letter in enumerate(_mixers(model)) if letter in letters]
    if field in ("moe_layers", "dense_layers"):
        wanted = "e" if field == "moe_layers" else "d"
        return [i for i, letter in enumerate(model.report.architecture.pattern["ffn"]) if letter == wanted]
    if field == "nope_layers":
        decoder = [stack for stack in model.architecture.stacks if stack.part == "decoder"]
        mixers = [stack.kinds[kind].mixer for stack in decoder for kind in stack.pattern]
        return [i for i, mixer in enumerate(mixers) if "NoPE" in mixer]
    return None


def _nope(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(len(indices(model, "nope_layers") or ()), "layers without positions")


def _mtp_layers(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(model.architecture.mtp_layers, "MTP layers beside the decoder")


# Widths


def _fact(name: str, basis: str) -> Callable[[Model, Quals], Iterator[Value]]:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        value = getattr(model.report.architecture, name)
        if value:
            yield Value(value, basis)

    return find


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
    keys = ("intermediate_size_mlp", "intermediate_size", "ffn_hidden_size", "n_inner")
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
    widths = {
        min(tensor.shape)
        for _, tensor, _ in model.architecture.each_tensor()
        if tensor.role == "shared_experts" and tensor.name.endswith("down_proj.weight")
    }
    moe = model.report.architecture.moe
    for width in sorted(widths):
        yield Value(width, "the width of the shared FFN")
    if moe and moe.shared and widths:
        yield Value(moe.intermediate_size, "the width of one expert")


# Heads


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
    if linear := _linear(model):
        yield Value(linear["linear_head_dim"], "heads of the linear mixer", "rare")


def _kv_heads(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    if a.kv_heads:
        yield Value(a.kv_heads, "num_key_value_heads" if not _latent(model) else "heads of the up-projected keys and values")
    if _latent(model):
        yield Value(1, "one latent for all heads, as engines cache it")


def _latent_part(index: int, basis: str) -> Callable[[Model, Quals], Iterator[Value]]:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        if latent := _latent(model):
            yield Value(latent[index], basis)

    return find


def _rope_dim(model: Model, _: Quals) -> Iterator[Value]:
    if latent := _latent(model):
        yield Value(latent[1], "qk_rope_head_dim")
    elif share := re.search(r"(\d+)% of the head", model.report.architecture.position):
        yield Value(int(share[1]) * (model.report.architecture.head_dim or 0) // 100, f"{share[1]}% of the head")
    elif "RoPE" in model.report.architecture.position and model.report.architecture.head_dim:
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
    text = model.report.architecture.more.get("linear heads", "")
    if both := re.match(r"(\d+) x (\d+) value, (\d+) x (\d+) key", text):
        return {"linear_heads": int(both[1]), "linear_head_dim": int(both[2]), "linear_qk_heads": int(both[3])}
    if one := re.match(r"(\d+) x (\d+)", text):
        return {"linear_heads": int(one[1]), "linear_head_dim": int(one[2]), "linear_qk_heads": int(one[1])}
    return {}


def _of_linear(name: str) -> Callable[[Model, Quals], Iterator[Value]]:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        if name in (found := _linear(model)):
            yield Value(found[name], "the linear mixer's heads")

    return find


def _more_number(label: str, basis: str) -> Callable[[Model, Quals], Iterator[Value]]:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        if number := re.search(r"\d+", model.report.architecture.more.get(label, "")):
            yield Value(int(number[0]), basis)

    return find


# Experts


def _experts(model: Model, _: Quals) -> Iterator[Value]:
    moe = model.report.architecture.moe
    if moe is None:
        yield Value(0, "no experts: the model is dense")
        return
    yield Value(moe.experts, "routed experts of a layer")
    if moe.shared:
        yield Value(moe.experts + moe.shared, "routed and shared experts together")


def _active_experts(model: Model, _: Quals) -> Iterator[Value]:
    moe = model.report.architecture.moe
    if moe is None:
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


def _active_share(model: Model, _: Quals) -> Iterator[Value]:
    p = model.report.params
    yield Value(Fraction(p.active, p.total), "active over total, all parameters")
    sums = _sums(model)
    left_out = sum(sums.get(part, (0, 0))[0] for part in ("embedding", "head"))
    yield Value(Fraction(p.active - left_out, p.total - left_out), "active over total, without the embedding and the head")


def _sparsity(model: Model, _: Quals) -> Iterator[Value]:
    if moe := model.report.architecture.moe:
        yield Value(Fraction(moe.experts, moe.active), "routed experts over those a token visits")


# Ratios


def _layer_ratio(model: Model, _: Quals) -> Iterator[Value]:
    if stated := re.search(r"\((\d+):(\d+)\)", model.report.architecture.attention):
        yield Value(Fraction(int(stated[1]), int(stated[2])), "the period of the layer pattern")
    mixers = _mixers(model)
    some, rest = _count(mixers, "WCL"), _count(mixers, "FMH")
    if some and rest:
        yield Value(Fraction(some, rest), f"{some} layers to {rest}")


def _gqa_ratio(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    if a.heads and a.kv_heads:
        yield Value(Fraction(a.heads, a.kv_heads), f"{a.heads} query heads over {a.kv_heads} KV heads")


def _ffn_ratio(model: Model, quals: Quals) -> Iterator[Value]:
    if hidden := model.report.architecture.hidden_size:
        for value in _intermediate(model, quals):
            yield Value(Fraction(value.value) / hidden, f"{value.basis} over hidden_size")


# Positions


def _window(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    windows = sorted(
        {c.window for s in model.architecture.stacks if s.part == "decoder" for k in s.kinds for c in k.caches if c.window}
    )
    for window in windows:
        yield Value(window, "the window of sliding or chunked layers")
    if a.sliding_window:
        yield Value(a.sliding_window, "sliding_window of the config")
    if not windows and not a.sliding_window and a.heads:
        yield Value(0, "no layer has a window")


def _vocab(model: Model, _: Quals) -> Iterator[Value]:
    if model.report.architecture.vocab_size:
        yield Value(model.architecture.facts.vocab_size, "vocab_size")


def rope_scaling(model: Model) -> dict[str, object]:
    """The rope settings of the config, nested or not."""
    for key in ("rope_scaling", "rope_parameters"):
        found = model.text_config.get(key)
        if isinstance(found, dict):
            if nested := [value for value in found.values() if isinstance(value, dict)]:
                return next((value for value in nested if "factor" in value), nested[0])
            return found
    return {}


def _context(model: Model, _: Quals) -> Iterator[Value]:
    longest = model.report.architecture.context_tokens
    if longest:
        yield Value(longest, "the config's maximum", "config")
    for published in model.contexts:
        basis = published.source if published.span == "namesake" else f"the publisher's figure, {published.source}"
        yield Value(published.tokens, basis, published.span)
    original = rope_scaling(model).get("original_max_position_embeddings")
    factor = rope_scaling(model).get("factor")
    if type(original) is int:
        if isinstance(factor, (int, float)):
            yield Value(int(original * factor), f"{original:,} x {factor:g}, as the config's rope scaling stretches it", "extended")
        yield Value(original, "the length before rope scaling", "original")


def _original_context(model: Model, _: Quals) -> Iterator[Value]:
    original = rope_scaling(model).get("original_max_position_embeddings")
    if type(original) is int:
        yield Value(original, "original_max_position_embeddings")


def _rope_theta(model: Model, _: Quals) -> Iterator[Value]:
    keys = ("rope_theta", "rotary_emb_base", "rope_local_base_freq", "global_rope_theta", "local_rope_theta")
    scopes = [model.text_config]
    parameters = model.text_config.get("rope_parameters")
    if isinstance(parameters, dict):
        scopes += [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    for scope in scopes:
        for key in keys:
            value = scope.get(key)
            if isinstance(value, (int, float)):
                yield Value(int(value) if float(value).is_integer() else Fraction(value), f"{key} of the config")


# Bytes and operations


def _cache_bytes(model: Model, tokens: int, quals: Quals) -> int | Fraction | None:
    size = _DTYPE_BYTES.get(quals.dtype or "bf16")
    if size is None:
        return None
    halves = 1 if isinstance(size, int) else 2
    kinds = memory.textbook(model.architecture, tokens, quals.batch, size if isinstance(size, int) else 1)
    return Fraction(sum(kind.bytes for kind in kinds), halves) if halves > 1 else sum(kind.bytes for kind in kinds)


def _kv_cache(model: Model, quals: Quals) -> Iterator[Value]:
    tokens = quals.context or model.report.architecture.context_tokens
    if not tokens:
        return
    value = _cache_bytes(model, tokens, quals)
    if value:
        yield Value(value, f"every token a layer can see, once: {tokens:,} tokens in {quals.dtype or 'bf16'}")


def _kv_per_token(model: Model, quals: Quals) -> Iterator[Value]:
    dtype = quals.dtype or "bf16"
    size = _DTYPE_BYTES.get(dtype)
    if isinstance(size, int):
        for tokens, when in ((1, "in every layer"), (quals.context or 1 << 30, "in layers without a full window")):
            kinds = memory.textbook(model.architecture, tokens, 1, size)
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
        found.append((kept.of("activations"), kept.of("logits"), name))
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


_FIELDS: dict[str, Callable[[Model, Quals], Iterator[Value]]] = {
    "total_params": _total,
    "active_params": _active,
    "embedding_params": _embedding,
    "mtp_params": lambda model, _: iter([Value(model.report.params.mtp, "MTP layers beside the decoder")]),
    "vision_params": _vision,
    "layers": _layers,
    "dense_layers": _dense_layers,
    "moe_layers": _moe_layers,
    "full_layers": _by_mixer("FMH", "layers that see every token"),
    "window_layers": _by_mixer("WC", "layers with a window or chunk"),
    "linear_layers": _by_mixer("LH", "layers that carry a state"),
    "nope_layers": _nope,
    "mtp_layers": _mtp_layers,
    "hidden_size": _fact("hidden_size", "hidden_size"),
    "intermediate_size": _intermediate,
    "expert_size": _expert,
    "shared_expert_size": _shared_expert_size,
    "heads": _fact("heads", "num_attention_heads"),
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
    "conv_size": _more_number("convolution", "the convolution's kernel"),
    "index_topk": _more_number("sparse attention index", "the index"),
    "experts": _experts,
    "active_experts": _active_experts,
    "shared_experts": _shared,
    "expert_share": _expert_share,
    "active_share": _active_share,
    "sparsity": _sparsity,
    "layer_ratio": _layer_ratio,
    "gqa_ratio": _gqa_ratio,
    "ffn_ratio": _ffn_ratio,
    "window": _window,
    "vocab": _vocab,
    "context": _context,
    "original_context": _original_context,
    "rope_theta": _rope_theta,
    "kv_cache": _kv_cache,
    "kv_per_token": _kv_per_token,
    "weights": _weights,
    "flops": _flops,
    "activations": _activations,
}


def safely(model: Model, field: str, quals: Quals) -> list[Value]:
    """`values`, or nothing where the architecture has a part that the figure is not defined for."""
    try:
        return values(model, field, quals)
    except ArchcalcError:
        return []
