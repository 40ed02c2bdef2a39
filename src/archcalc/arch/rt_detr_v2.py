"""RT-DETR v2: RT-DETR whose queries choose as many places on each feature map as they like.

Source: transformers 5.24, models/rt_detr_v2/modeling_rt_detr_v2.py (`RTDetrV2ForObjectDetection`) and configuration_rt_detr_v2.py
(defaults); Lv et al. 2024, arXiv:2407.17140.
"""

from collections.abc import Iterable

from archcalc.arch import rt_detr
from archcalc.arch._schema import Size
from archcalc.model import Kind, Tensor


class Schema(rt_detr.Schema):
    decoder_n_levels: Size = 3

    def levels(self) -> int:
        return self.decoder_n_levels

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForObjectDetection"):
            return super().head_of(name)
        # The heads of the decoder's layers again.
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        made = (t for i in range(self.decoder_layers) for t in self.found(i))
        return [t._replace(name=t.name.removeprefix("decoder."), kind=kind) for t in made]
