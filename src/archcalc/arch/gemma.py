"""Gemma 1 and CodeGemma: Llama's layers with GeGLU and heads wider than the model.

Source: transformers 5.23, models/gemma/modeling_gemma.py and configuration_gemma.py (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(PlainSchema):
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

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias
