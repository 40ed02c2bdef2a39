"""Gemma 1 and CodeGemma: Llama's layers with GeGLU and heads wider than the model.

Source: transformers 5.23, models/gemma/modeling_gemma.py and configuration_gemma.py (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(DecoderSchema):
    inert_keys = ("use_bidirectional_attention",)

    vocab_size: Size = 256000
    hidden_size: Size = 3072
    intermediate_size: Size = 24576
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 16
    head_dim: Size = 256
    hidden_act: str = "gelu_pytorch_tanh"
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-1p")

    def architecture(self, prefix: str) -> Architecture:
        h, bias = self.hidden_size, self.attention_bias
        layer = make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )
        layers = [layer] * self.num_hidden_layers
        return decoder(layers, self.facts(), computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)])
