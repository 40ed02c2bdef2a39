"""Granite, dense, with sliding windows and attention sinks: one full layer, then three with a window.

Source: transformers 5.23, models/granite_swa/modeling_granite_swa.py and configuration_granite_swa.py (defaults).
"""

from archcalc.arch import granitemoe_swa
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.together import Together
from archcalc.model import Architecture


class Schema(granitemoe_swa.Schema):
    vocab_size: Size = 100352
    hidden_size: Size = 2560
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 20
    num_key_value_heads: Size | None = 4
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    mlp_bias: Flag = False

    def ffn(self) -> Block:
        return Together((("mlp", GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.mlp_bias)),))

    def moe(self) -> None:
        return None

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=())
