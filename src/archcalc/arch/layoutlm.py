"""LayoutLM: BERT that also knows where each word stands on the page.

Source: transformers 5.23, models/layoutlm/modeling_layoutlm.py (`LayoutLMForMaskedLM`) and configuration_layoutlm.py (defaults).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch import bert
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Tensor


class Schema(bert.Schema):
    keeps_past = False
    reads_encoder = False
    pooler = ""
    root = "layoutlm"

    max_2d_position_embeddings: Size = 1024

    def tables(self) -> Iterator[Tensor]:
        yield from super().tables()
        for axis in "xyhw":
            yield table(f"{axis}_position_embeddings", self.max_2d_position_embeddings, self.hidden_size)

    def extra_tensors(self) -> Iterable[Tensor]:
        return linear("pooler.dense", self.hidden_size, self.hidden_size, "other", bias=True)

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED.also(", in the text and on the page")}
