"""Helium: Llama's layer with attention as wide as the model.

Source: transformers 5.23, models/helium/modeling_helium.py and configuration_helium.py (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.model import Layer


class Schema(PlainSchema):
    vocab_size: Size = 48000
    hidden_size: Size = 2560
    intermediate_size: Size = 7040
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 20
    num_key_value_heads: Size = 20
    head_dim: Size = 128
    max_position_embeddings: Tokens = 4096
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-cast-gain")

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, False

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        layer, square = super().layer(window, sparse, variant), (self.hidden_size, self.hidden_size)
        # The output projection is as wide as the model on either side, whatever the heads are.
        tensors = (t._replace(shape=square) if t.name == "self_attn.o_proj.weight" else t for t in layer.tensors)
        return layer._replace(tensors=tuple(tensors))
