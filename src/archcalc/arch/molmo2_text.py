"""The text model of Molmo 2: Qwen 3's layer, or OLMo's with norms behind; more rows in the embedding than in the head.

Source: transformers 5.23, models/molmo2/modeling_molmo2.py (`Molmo2TextModel`) and configuration_molmo2.py (defaults).
"""

from typing import Any, Literal

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Mixer


class Schema(PlainSchema):
    inert_keys = ("rope_scaling_layers", "use_qk_norm")

    vocab_size: Size = 151936
    additional_vocab_size: Count = 128
    hidden_size: Size = 4096
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 36864
    attention_bias: Flag = named(False, "qkv_bias", "attention_bias")
    qk_norm_type: Literal["qwen3", "olmo"] = "qwen3"
    norm_after: Flag = False

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=self.attention_bias, window=window, qk_norm="head" if self.qk_norm_type == "qwen3" else "full")

    def decoder_options(self) -> dict[str, Any]:
        return {"embed_rows": self.vocab_size + self.additional_vocab_size, "head_rows": self.vocab_size}

    def more(self) -> dict[str, Any]:
        return {
            "norm": "RMSNorm (post, inside the residual)" if self.norm_after else "RMSNorm (pre)",
            "position": rope_label(self.model_extra or {}),
            "tied_embeddings": False,
        }
