"""What a config without an adapter gets where it speaks of a decoder: a guess, always marked as one.

The usual keys are read as transformers names them, or as older configs did; everything they do not say is assumed to be as in
Llama (RMSNorm before attention and FFN, SwiGLU, rotary positions), and said in the notes. A key that is not read is named.

Source: transformers 5.24, models/llama/configuration_llama.py and modeling_llama.py; configuration_utils.py (`attribute_map`) for the
older names of keys; models/qwen2_moe and models/glm4_moe (shared experts, dense layers first, QK-norm).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archcalc.arch import _evidence, _inert, _kinds, adapter_name, schema_of
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, stored_dtype, validate
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Moe
from archcalc.quant import stated

_NAMES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim", "model_dim"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_key_value_heads", "n_kv_head", "n_kv_heads", "num_kv_heads", "multi_query_group_num"),
    "head_dim": ("head_dim", "kv_channels"),
    "intermediate_size": ("intermediate_size", "ffn_hidden_size", "n_inner", "d_ff", "ffn_dim"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "max_position_embeddings": (
        "max_position_embeddings",
        "n_positions",
        "seq_length",
        "n_ctx",
        "max_seq_len",
        "max_sequence_length",
    ),
    "hidden_act": ("hidden_act", "activation_function", "hidden_activation"),
    "tie_word_embeddings": ("tie_word_embeddings",),
    "num_experts": ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("num_experts_per_tok", "moe_top_k", "top_k_experts", "moe_topk"),
    "moe_intermediate_size": ("moe_intermediate_size",),
    "num_shared_experts": ("n_shared_experts", "num_shared_experts", "num_shared_expert"),
    "shared_expert_intermediate_size": ("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"),
    "first_k_dense_replace": ("first_k_dense_replace",),
    "qkv_bias": ("qkv_bias", "use_qkv_bias", "add_qkv_bias", "attention_bias"),
    "mlp_bias": ("mlp_bias",),
    "use_qk_norm": ("use_qk_norm",),
    "sliding_window": ("sliding_window",),
    "layer_types": ("layer_types",),
}

_TEXT = ("text_config", "llm_config", "language_config", "language_model_config")
_NEEDED = ("hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads")
# Activations whose models have no gate in the FFN: Nemotron, Apertus, GPT-2 and their relatives.
_UNGATED = frozenset({"relu", "relu2", "xielu", "gelu_new", "gelu_fast", "gelu_python"})
_HINT = (
    "give its checkpoint, whose headers tell: archcalc inspect FOLDER or FILE.gguf (safetensors, its index, GGUF); "
    "archcalc models --types lists the types that are read; archcalc inspect --reference has transformers build a type that it knows"
)


class _Usual(DecoderSchema):
    max_position_embeddings: Tokens = 2048
    num_experts: Layers | None = None
    num_experts_per_tok: Size | None = None
    moe_intermediate_size: Size | None = None
    num_shared_experts: Count = 0
    shared_expert_intermediate_size: Count = 0
    first_k_dense_replace: Count = 0
    qkv_bias: Flag = False
    mlp_bias: Flag = False
    use_qk_norm: Flag = False
    sliding_window: Count | None = None
    layer_types: list[str] | None = None

    @property
    def gated(self) -> bool:
        return self.hidden_act not in _UNGATED

    def windows(self) -> list[int | None]:
        n = self.num_hidden_layers
        return [None] * n if self.layer_types is None else attention_pattern(self.layer_types, n, self.sliding_window or None)

    def experts(self) -> MixtureOfExperts | None:
        if not self.num_experts or self.num_experts < 2:
            return None
        width = self.moe_intermediate_size or self.intermediate_size
        shared = self.shared_expert_intermediate_size or self.num_shared_experts * width
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok or 1, self.hidden_act,
            self.num_shared_experts or int(bool(shared)), shared,
        )  # fmt: skip


def _first(config: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What the first of the names holds; a number for each layer is that number where all are the same."""
    value = next((config[name] for name in names if config.get(name) is not None), None)
    if isinstance(value, list) and value and isinstance(value[0], int) and all(item == value[0] for item in value):
        return value[0]
    return value


def _assumptions(usual: Mapping[str, Any], schema: _Usual, config: Mapping[str, Any]) -> Iterator[str]:
    model_type = config.get("model_type")
    if model_type is None:
        yield "no model_type: read as its keys say"
    else:
        yield f"model_type {model_type!r} has no adapter: read by the usual keys"
    ffn = "a gated FFN" if schema.gated else f"an FFN without a gate, as usual with {schema.hidden_act}"
    yield f"assumed: RMSNorm before attention and FFN, {ffn}, rotary positions, no biases but those stated"
    if "tie_word_embeddings" not in usual:
        yield "assumed: a head of its own (tie_word_embeddings is not stated)"
    if "max_position_embeddings" not in usual:
        yield "assumed: a context of 2048 tokens (max_position_embeddings is not stated)"
    if "intermediate_size" not in usual:
        yield "assumed: an FFN of four times the width (intermediate_size is not stated)"
    if "num_experts" in usual and "moe_intermediate_size" not in usual:
        yield "assumed: experts as wide as intermediate_size"
    if schema.sliding_window and schema.layer_types is None:
        yield "assumed: every layer sees all tokens (sliding_window is stated, and no layer_types)"


def guess(config: Mapping[str, Any]) -> Architecture:
    """A decoder as the usual keys describe it, `guessed`.

    Raises `UnsupportedError` where the keys say too little, or say that the model is of another kind.
    """
    place = next((key for key in _TEXT if isinstance(config.get(key), Mapping)), "")
    text: Mapping[str, Any] = config[place] if place else config
    model_type = config.get("model_type")
    what = f"model_type {model_type!r} has no adapter" if model_type is not None else "no model_type"
    if kind := _kinds.of(model_type):
        raise UnsupportedError(f"{what}: it is {kind}", _HINT)
    if why := _evidence.against(config, text):
        raise UnsupportedError(f"{what}, and {why}: a guess would be wrong", _HINT)
    usual = {key: value for key, names in _NAMES.items() if (value := _first(text, names)) is not None}
    missing = [key for key in _NEEDED if key not in usual]
    if missing:
        raise UnsupportedError(f"{what}, and its keys do not say enough to guess: {', '.join(missing)} missing", _HINT)
    if why := _evidence.unsaid(config, text):
        raise UnsupportedError(f"{what}, and {why}: a guess would be wrong", _HINT)
    others = tuple(_dropped(config, {place})) if place else ()
    if place and (name := adapter_name(text)) is not None:
        return _by_type(text, name, what, others)._replace(
            model_type=str(model_type), dtype=stored_dtype(config, text), quantization=stated(config)
        )
    width = usual["hidden_size"]
    schema = validate(_Usual, {"intermediate_size": 4 * width, **usual} if isinstance(width, int) else usual)
    read = {name for names in _NAMES.values() for name in names}
    return _build(schema)._replace(
        model_type=str(model_type or "unknown"),
        status="guessed",
        notes=tuple(_assumptions(usual, schema, config)),
        dtype=stored_dtype(config, text),
        quantization=stated(config),
        unmodelled_keys=(*(f"{place}.{key}" if place else key for key in _dropped(text, read)), *others),
    )


def _by_type(text: Mapping[str, Any], name: str, what: str, others: tuple[str, ...]) -> Architecture:
    """The text model alone, where that is of a type which is read."""
    from archcalc.arch import parse

    if getattr(schema_of(name), "language", True) is False:
        raise UnsupportedError(f"{what}, and its text model is a {name}, which is no decoder: a guess would be wrong", _HINT)
    a = parse(text)
    notes = (*a.notes, f"{what}: its text model, a {name}, is counted alone")
    return a._replace(status="guessed", notes=notes, unmodelled_keys=(*a.unmodelled_keys, *others))


def _dropped(config: Mapping[str, Any], read: set[str]) -> Iterator[str]:
    """The keys that were not read and could change a figure. False says that there is none of what a key names."""
    for key, value in config.items():
        if key in read or key in _inert.INERT or _inert.of_a_kind(key) or value is False or _inert.says_nothing(value):
            continue
        yield key


def _build(s: _Usual) -> Architecture:
    h, n = s.hidden_size, s.num_hidden_layers
    experts = s.experts()
    sparse = [experts is not None and i >= s.first_k_dense_replace for i in range(n)]
    dense = (GatedFeedForward if s.gated else FeedForward)(h, s.intermediate_size, s.hidden_act, s.mlp_bias)

    def layer(window: int | None, moe: bool) -> Layer:
        ffn: Block = experts if moe and experts is not None else dense
        mixer = GroupedQueryAttention(
            h, s.num_attention_heads, s.kv_heads, s.head_size, bias=s.qkv_bias, window=window,
            qk_norm="head" if s.use_qk_norm else "none",
        )  # fmt: skip
        return make_layer(mixer, ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))

    keys = list(zip(s.windows(), sparse, strict=True))
    built = {key: layer(*key) for key in dict.fromkeys(keys)}
    moe = None
    if experts is not None and any(sparse):
        moe = Moe(experts.experts, experts.active, experts.shared, sum(sparse), experts.intermediate)
    window = next((w for w in s.windows() if w), None)
    return decoder(
        [built[key] for key in keys],
        s.facts(moe=moe, gated=s.gated, sliding_window=window),
        final_norm=[rms_norm("norm", h)],
    )
