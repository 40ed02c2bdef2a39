"""MPT: ALiBi, LayerNorm without bias, one projection for queries, keys and values, no biases at all.

Source: transformers 5.23, models/mpt/modeling_mpt.py and configuration_mpt.py (defaults, attribute_map).
"""

from typing import Any, Literal

from archcalc.arch._classic import ClassicSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import ALIBI


class Attention(ConfigSchema):
    """`attn_config`: the reference has heads of their own keys and values, and no norms of either."""

    inert_keys = ("alibi", "alibi_bias_max", "attn_uses_sequence_id", "clip_qkv", "prefix_lm", "softmax_scale")

    attn_type: Literal["multihead_attention"] = "multihead_attention"
    qk_ln: Literal[False] = False


class Schema(ClassicSchema):
    # The reference implementation's FFN is four times as wide whatever expansion_ratio says, and it has no learned positions.
    inert_keys = (
        "embedding_fraction", "expansion_ratio", "learned_pos_emb", "no_bias", "norm_type", "verbose", "attn_uses_sequence_id",
        "alibi", "alibi_bias_max", "clip_qkv", "prefix_lm", "qk_ln", "softmax_scale",
    )  # fmt: skip
    norms = ("norm_1", "norm_2")
    norm_bias = False
    norm_label = "LayerNorm (pre, no bias)"
    last_norm = "norm_f"
    mixer_name = "attn"
    ffn_name = "ffn"

    vocab_size: Size = 50368
    hidden_size: Size = named(2048, "d_model", "hidden_size")
    num_hidden_layers: Layers = named(24, "n_layers", "num_hidden_layers")
    num_attention_heads: Size = named(16, "n_heads", "num_attention_heads")
    hidden_act: str = "gelu"
    attn_config: Attention | None = None
    max_position_embeddings: Tokens = named(2048, "max_seq_len")

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(fused="Wqkv", names=("", "", "", "out_proj"), rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, False, ("up_proj", "down_proj"))

    def more(self) -> dict[str, Any]:
        return {"position": ALIBI}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "wte", "layers_name": "blocks"}
