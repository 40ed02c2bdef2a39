"""What a config without an adapter gets: a guess, always marked as one.

The usual keys are read as transformers names them, or as older configs did; everything they do not say is assumed to be as in
Llama (RMSNorm before attention and FFN, SwiGLU, rotary positions), and said in the notes.

Source: transformers 5.23, models/llama/configuration_llama.py and modeling_llama.py; configuration_utils.py (`attribute_map`) for the
older names of keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens, stored_dtype, validate
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Moe
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
}
_TEXT = ("text_config", "llm_config", "language_config", "language_model_config")
_NEEDED = ("hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads")
# What the usual keys can be read beside without having been understood.
_SPEAKS_AGAINST = (
    "kv_lora_rank", "ssm_cfg", "state_size", "mamba_d_state", "layers_block_type", "hybrid_override_pattern", "block_configs",
    "linear_attn_config", "encoder_layers", "num_encoder_layers", "time_mix_extra_dim",
)  # fmt: skip


class _Usual(DecoderSchema):
    intermediate_size: Size
    num_attention_heads: Size
    num_hidden_layers: Layers
    max_position_embeddings: Tokens = 2048
    tie_word_embeddings: Flag = False
    num_experts: Size | None = None
    num_experts_per_tok: Size | None = None
    moe_intermediate_size: Size | None = None


def _first(config: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)


def _assumptions(usual: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    model_type = config.get("model_type")
    if model_type is None:
        yield "no model_type: read as its keys say"
    else:
        yield f"model_type {model_type!r} has no adapter: read by the usual keys"
    yield "assumed: RMSNorm before attention and FFN, a gated FFN, rotary positions, no biases"
    if "tie_word_embeddings" not in usual:
        yield "assumed: a head of its own (tie_word_embeddings is not stated)"
    if "max_position_embeddings" not in usual:
        yield "assumed: a context of 2048 tokens (max_position_embeddings is not stated)"
    if "intermediate_size" not in usual:
        yield "assumed: an FFN of four times the width (intermediate_size is not stated)"
    if "num_experts" in usual and "moe_intermediate_size" not in usual:
        yield "assumed: experts as wide as intermediate_size"


def guess(config: Mapping[str, Any]) -> Architecture:
    """A decoder as the usual keys describe it, `guessed`.

    Raises `UnsupportedError` where the keys say too little, or say that the model is of another kind.
    """
    text = next((config[key] for key in _TEXT if isinstance(config.get(key), Mapping)), config)
    usual = {key: value for key, names in _NAMES.items() if (value := _first(text, names)) is not None}
    model_type = config.get("model_type")
    what = f"model_type {model_type!r} has no adapter" if model_type is not None else "no model_type"
    missing = [key for key in _NEEDED if key not in usual]
    if missing:
        raise UnsupportedError(
            f"{what}, and its keys do not say enough to guess: {', '.join(missing)} missing",
            "archcalc models --types lists the model types that are read exactly",
        )
    against = [key for key in _SPEAKS_AGAINST if key in text]
    if against:
        raise UnsupportedError(
            f"{what}, and {against[0]} says that it is no plain decoder: a guess would be wrong",
            "archcalc models --types lists the model types that are read exactly",
        )
    notes = tuple(_assumptions(usual, config))
    if isinstance(width := usual.get("hidden_size"), int):
        usual.setdefault("intermediate_size", 4 * width)
    schema = validate(_Usual, usual)
    return _build(schema, str(model_type or "unknown"))._replace(
        status="guessed", notes=notes, dtype=stored_dtype(config, text), quantization=stated(config)
    )


def _build(s: _Usual, model_type: str) -> Architecture:
    h, n = s.hidden_size, s.num_hidden_layers
    moe = None
    ffn: GatedFeedForward | MixtureOfExperts = GatedFeedForward(h, s.intermediate_size, s.hidden_act)
    if s.num_experts and s.num_experts > 1:
        width = s.moe_intermediate_size or s.intermediate_size
        active = s.num_experts_per_tok or 1
        moe = Moe(s.num_experts, active, 0, n, width)
        ffn = MixtureOfExperts(h, width, s.num_experts, active, s.hidden_act)
    layer = make_layer(
        GroupedQueryAttention(h, s.num_attention_heads, s.kv_heads, s.head_size),
        ffn,
        (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
    )
    return decoder(model_type, [layer] * n, s.facts(moe=moe), final_norm=[rms_norm("norm", h)])
