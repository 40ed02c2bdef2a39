"""RoFormer: BERT with rotary positions.

Source: transformers 5.23, models/roformer/modeling_roformer.py and configuration_roformer.py (defaults).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch import bert
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import ROPE, Tensor


class Schema(bert.Schema):
    inert_keys = (*bert.Schema.inert_keys, "rotary_value")
    whole_heads = False
    pooler = ""
    root = "roformer"

    vocab_size: Size = 50000
    embedding_size: Derived = 0
    max_position_embeddings: Size = 1536

    @property
    def embedding_width(self) -> int:
        return self.embedding_size or self.hidden_size

    def rotary(self) -> bool:
        return True

    def tables(self) -> Iterator[Tensor]:
        yield table("token_type_embeddings", self.type_vocab_size, self.embedding_width)
        yield from layer_norm("LayerNorm", self.embedding_width)

    def extra_tensors(self) -> Iterable[Tensor]:
        width = self.embedding_width
        # The sines and cosines are registered as a parameter.
        yield table("encoder.embed_positions", self.max_position_embeddings, self.head_size)
        if width != self.hidden_size:
            yield from linear("embeddings_project", self.hidden_size, width, "other", bias=True)

    def more(self) -> dict[str, Any]:
        return {"position": ROPE}
