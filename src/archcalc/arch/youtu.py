"""Youtu-LLM: multi-head latent attention in dense layers.

Source: transformers 5.23, models/youtu/modeling_youtu.py and configuration_youtu.py (defaults).
"""

from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(LatentSchema):
    vocab_size: Size = 128256
    hidden_size: Size = 2048
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    max_position_embeddings: Tokens = 131072
    tie_word_embeddings: Flag = True

    def dense(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act)

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        layer = make_layer(
            self.attention(), self.dense(), (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        )
        facts = self.facts(attention="MLA", more=self.more())
        return decoder(
            [layer] * self.num_hidden_layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=[rms_norm("norm", h)],
        )


class YoutuLlm(Schema):
    """Youtu-LLM by its publisher's name.
    Source: mlx-lm 0.32, mlx_lm/models/youtu_llm.py (defaults and names)."""

    inert_keys = (*LatentSchema.inert_keys, "rope_traditional")

    mlp_bias: Flag = False

    def dense(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.mlp_bias)
