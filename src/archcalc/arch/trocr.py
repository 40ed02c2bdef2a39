"""TrOCR's decoder: BART's, reading an image encoder of a width of its own.

Source: transformers 5.23, models/trocr/modeling_trocr.py and configuration_trocr.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Flag, Size
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(BartSchema):
    other_names = {
        "num_hidden_layers": "decoder_layers", "num_attention_heads": "decoder_attention_heads", "hidden_size": "d_model",
    }  # fmt: skip
    head_name = "output_projection"

    max_position_embeddings: Size = 512
    use_learned_position_embeddings: Flag = True
    layernorm_embedding: Flag = True
    cross_attention_hidden_size: Derived = 0
    is_decoder: Flag = False

    @property
    def alone(self) -> bool:
        return True

    def cross(self) -> CrossAttention:
        heads = self.decoder_attention_heads
        return CrossAttention(self.d_model, heads, self.d_model // heads, self.cross_attention_hidden_size)

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        if self.use_learned_position_embeddings:
            yield table("embed_positions", self.max_position_embeddings + self.offset, self.d_model)
        if self.layernorm_embedding:
            yield from layer_norm("layernorm_embedding", self.d_model)
