"""LFM3: gated short convolutions with sliding and full attention in turn, gated, norms before and after each block.

Source: transformers 5.23, models/lfm3/modeling_lfm3.py and configuration_lfm3.py (defaults, `layer_types`), conversion_mapping.py.
"""

from pydantic import Field

from archcalc.arch import lfm2
from archcalc.arch._alternating import FULL, SLIDING, known_kinds
from archcalc.arch._schema import Flag, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.errors import ConfigError
from archcalc.model import Architecture

CONV = lfm2.CONV
_ROPE = {"full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.5}}


class Schema(lfm2.Schema):
    vocab_size: Size = 128000
    hidden_size: Size = 2048
    intermediate_size: Size = 7680
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 4
    head_dim: Size = 128
    tie_word_embeddings: Flag = True
    conv_tokens: Size = Field(7, validation_alias="conv_L_cache")
    sliding_window: Tokens | None = 256
    use_sandwich_norm: Flag = True
    use_attention_gate: Flag = True
    attention_bias: Flag = False

    def kinds(self) -> list[str]:
        n = self.num_hidden_layers
        if self.layer_types is not None:
            return known_kinds(per_layer(self.layer_types, n, "layer_types"), "layer_types", CONV, SLIDING, FULL)
        return [FULL if i % 4 == 2 else SLIDING if i % 4 == 0 and i > 0 else CONV for i in range(n)]

    def ffn_width(self) -> int:
        return self.intermediate_size

    def attention(self, kind: str) -> GroupedQueryAttention:
        if kind == SLIDING and self.sliding_window is None:
            raise ConfigError("sliding_window is null, and layer_types has sliding layers", "give the window", "sliding_window")
        heads, bias = self.num_attention_heads, self.attention_bias
        return GroupedQueryAttention(
            self.hidden_size, heads, self.kv_heads, self.head_size, bias, bias, self.sliding_window if kind == SLIDING else None,
            qk_norm="head", gate=heads if self.use_attention_gate else 0,
        )  # fmt: skip

    def norms(self) -> tuple[str, ...]:
        after = ("post_operator_norm", "post_ffn_norm") if self.use_sandwich_norm else ()
        return (*super().norms(), *after)

    def architecture(self, prefix: str) -> Architecture:
        built = super().architecture(prefix)
        facts = built.facts._replace(
            position=rope_label({"rope_parameters": _ROPE, **(self.model_extra or {})}),
            sliding_window=self.sliding_window if SLIDING in self.kinds() else None,
        )
        return built._replace(facts=facts, renames=((".self_attn.g_proj.", ".self_attn.gate_proj."),))
