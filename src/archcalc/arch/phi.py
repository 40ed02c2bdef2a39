"""Phi-1, Phi-1.5 and Phi-2: attention and FFN beside each other behind one LayerNorm, biases everywhere, a head with a bias.

Source: transformers 5.23, models/phi/modeling_phi.py and configuration_phi.py (defaults; half of each head turns).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Fraction, Layers, Size, Tokens, divided, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture


class Schema(DecoderSchema):
    vocab_size: Size = 51200
    hidden_size: Size = 2048
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 32
    hidden_act: str = "gelu_new"
    max_position_embeddings: Tokens = 2048
    partial_rotary_factor: Fraction = 0.5
    qk_layernorm: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(parallel=True, joined=True)

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias=True, output_bias=True,
            qk_norm="layernorm-head" if self.qk_layernorm else "none",
            names=("q_proj", "k_proj", "v_proj", "dense"), norm_names=("q_layernorm", "k_layernorm"),
        )  # fmt: skip
        layer = make_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), layer_norm("input_layernorm", h))
        # The reference norms queries and keys at this width, whatever head_dim says.
        divided(h, self.num_attention_heads, "hidden_size", "num_attention_heads")
        facts = self.facts(
            gated=False,
            norm="LayerNorm (pre, one for attention and FFN in parallel)",
            position=rope_label(self.model_extra or {}, self.partial_rotary_factor),
        )
        return decoder(
            [layer] * self.num_hidden_layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=layer_norm("final_layernorm", h),
            head_bias=True,
        )
