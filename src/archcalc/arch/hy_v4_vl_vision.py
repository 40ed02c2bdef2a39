"""The vision tower of Hunyuan 4: Hunyuan-OCR's, with two convolutions straight into the text model.

Source: transformers 5.24, models/hy_v4_vl/modeling_hy_v4_vl.py (`HYV4VLVisionModel`) and configuration_hy_v4_vl.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import hunyuan_vl_vision
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.model import Tensor


class Schema(hunyuan_vl_vision.Schema):
    whole = True

    hidden_size: Size = 1536
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 40
    out_hidden_size: Size = 6144

    def merger(self, out: int) -> Iterator[Tensor]:
        h, side = self.hidden_size, self.spatial_merge_size
        yield Tensor("proj_conv.weight", (h * side**2, h, side, side), "other")
        yield Tensor("proj_conv.bias", (h * side**2,), "other")
        yield Tensor("proj_out.weight", (out, h * side**2, 1, 1), "other")
        yield Tensor("proj_out.bias", (out,), "other")
        yield Tensor("image_newline", (out,), "embedding")
        yield rms_norm("before_rms", h)

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        merger = prefixed(join(prefix, "patch_merger"), self.merger(self.out_hidden_size))
        return [*groups, group("vision", merger)], stacks
