"""Granite with experts, sliding windows and attention sinks: one full layer, then three with a window.

Source: transformers 5.23, models/granitemoe_swa/modeling_granitemoe_swa.py and configuration_granitemoe_swa.py (defaults).
"""

from archcalc.arch import granitemoe
from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import attention_pattern
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.together import Together
from archcalc.model import Architecture


class Schema(granitemoe.Granitemoeshared):
    sinks = True

    sliding_window: Tokens | None = 128
    layer_types: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(sinks="scale")

    def windows(self) -> list[int | None]:
        n = self.num_hidden_layers
        default = [SLIDING if i % 4 else FULL for i in range(n)]
        return attention_pattern(default if self.layer_types is None else self.layer_types, n, self.sliding_window)


class GraniteSwa(Schema):
    """Granite, dense, with sliding windows and attention sinks: one full layer, then three with a window.
    Source: transformers 5.23, models/granite_swa/modeling_granite_swa.py and configuration_granite_swa.py (defaults)."""

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
