"""Baichuan and Baichuan 2: Llama's layer with one projection for queries, keys and values; ALiBi in the 13B models.

Source: baichuan-inc/Baichuan2-7B-Base and Baichuan2-13B-Base, modeling_baichuan.py and configuration_baichuan.py (defaults).
"""

from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Mixer
from archcalc.model import ALIBI


class Schema(PlainSchema):
    vocab_size: Size = 125696
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = named(4096, "max_position_embeddings", "model_max_length")

    @property
    def alibi(self) -> bool:
        # The code published with the 13B models has ALiBi, and no key says so: theirs state no number of positions.
        return "max_position_embeddings" not in self.model_fields_set and self.num_attention_heads != 32

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(fused="W_pack", names=("", "", "", "o_proj"), rope=not self.alibi)

    def more(self) -> dict[str, Any]:
        return {"position": ALIBI if self.alibi else rope_label(self.model_extra or {})}
