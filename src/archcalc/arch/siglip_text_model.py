"""The text tower of SigLIP: CLIP's, which sees the whole text, with a projection.

Source: transformers 5.23, models/siglip/modeling_siglip.py (`SiglipTextModel`) and configuration_siglip.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._dual import TextTower
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(TextTower):
    attention = "MHA, bidirectional"

    vocab_size: Size = 32000
    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_attention_heads: Size = 12
    max_position_embeddings: Size = 64
    hidden_act: str = "gelu_pytorch_tanh"
    projection_size: Derived = 0

    def behind(self) -> Iterator[Tensor]:
        yield from super().behind()
        yield from linear("head", self.projection_size or self.hidden_size, self.hidden_size, "other", bias=True)
