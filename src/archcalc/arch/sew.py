"""SEW: Wav2Vec 2.0's encoder over half as many frames, which it doubles again behind the layers.

Source: transformers 5.24, models/sew/modeling_sew.py (`SEWModel`, `SEWForCTC`, `SEWForSequenceClassification`) and configuration_sew.py
(defaults); Wu et al. 2021, arXiv:2109.06870.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.arch._vit import below
from archcalc.arch._wav2vec2 import Sizes, Wav2Vec2Schema
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(Wav2Vec2Schema):
    root = "sew"

    squeeze_factor: Size = 2
    conv_dim: Sizes = (64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512)
    conv_kernel: Sizes = (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1)

    def projection(self) -> Iterator[Tensor]:
        return iter(())

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        h, last = self.hidden_size, self.conv_dim[-1]
        others = [
            *layer_norm("layer_norm", last), *linear("encoder.upsample.projection", h * self.squeeze_factor, h, "other", bias=True),
            *(linear("feature_projection", h, last, "embedding", bias=True) if last != h else ()),
        ]  # fmt: skip
        return [*groups, group("audio", below(prefix, others))], stacks
