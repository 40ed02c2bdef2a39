"""GPT-NeoX Japanese: the FFN behind the attention, biases nowhere but at the output of the last layer's attention.

Source: transformers 5.23, models/gpt_neox_japanese/modeling_gpt_neox_japanese.py and configuration_gpt_neox_japanese.py (defaults).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.arch import gpt_neox
from archcalc.arch._computes import Computes
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Flag, Fraction, Layers, Size
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import Architecture, Tensor


class Schema(gpt_neox.Schema):
    prefix = "gpt_neox_japanese"
    head = "embed_out"

    vocab_size: Size = 32000
    hidden_size: Size = 2560
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    intermediate_size: Derived = 0
    intermediate_multiple_size: float = 4
    tie_word_embeddings: Flag = True
    rotary_pct: Fraction = 1.0

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own", joined=True, parallel=False)

    @property
    def ffn_size(self) -> int:
        return int(self.hidden_size * self.intermediate_multiple_size)

    def biases(self) -> tuple[bool, bool]:
        return False, False

    def variants(self) -> Sequence[int]:
        return [0] * (self.num_hidden_layers - 1) + [1]

    def extra(self, variant: int) -> Iterable[Tensor]:
        return (Tensor("attention.dense_bias", (self.hidden_size,), "attention"),) if variant else ()

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, False, ("dense_h_to_4h", "dense_4h_to_h"))

    def more(self) -> dict[str, Any]:
        return {**super().more(), "norm": "LayerNorm (pre)"}

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=())
