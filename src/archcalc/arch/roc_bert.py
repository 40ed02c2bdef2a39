"""RoCBert: BERT with a vector for the sound and the shape of a character beside its own.

Source: transformers 5.23, models/roc_bert/modeling_roc_bert.py and configuration_roc_bert.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import bert
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(bert.Schema):
    root = "roc_bert"

    enable_pronunciation: Flag = True
    enable_shape: Flag = True
    pronunciation_embed_dim: Size = 768
    pronunciation_vocab_size: Size = 910
    shape_embed_dim: Size = 512
    shape_vocab_size: Size = 24858
    concat_input: Flag = True

    def tables(self) -> Iterator[Tensor]:
        yield from super().tables()
        yield table("pronunciation_embed", self.pronunciation_vocab_size, self.pronunciation_embed_dim)
        yield table("shape_embed", self.shape_vocab_size, self.shape_embed_dim)
        if self.concat_input:
            sound = self.pronunciation_embed_dim if self.enable_pronunciation else 0
            shape = self.shape_embed_dim if self.enable_shape else 0
            yield from linear("map_inputs_layer", self.hidden_size, self.hidden_size + sound + shape, "other", bias=True)
