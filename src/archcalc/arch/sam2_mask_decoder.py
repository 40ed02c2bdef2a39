"""SAM's decoder with a token that says whether there is anything, and finer features beside.

Source: transformers 5.24, models/sam2/modeling_sam2.py (`Sam2MaskDecoder`) and configuration_sam2.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch import sam_mask_decoder
from archcalc.arch._schema import Size
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import Layer, Tensor

Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]

RENAMED = (("out_proj.", "o_proj."), ("mlp.lin1.", "mlp.proj_in."), ("mlp.lin2.", "mlp.proj_out."))


def renamed(t: Tensor) -> Tensor:
    name = t.name
    for old, new in RENAMED:
        name = name.replace(old, new)
    return t._replace(name=name)


class Schema(sam_mask_decoder.Schema):
    inert_keys = (
        "dynamic_multimask_via_stability", "dynamic_multimask_stability_delta", "dynamic_multimask_stability_thresh",
    )  # fmt: skip

    def outside(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from map(renamed, super().outside())
        yield from conv("conv_s0", h // 8, h, 1, 1, role="other")
        yield from conv("conv_s1", h // 4, h, 1, 1, role="other")
        yield table("obj_score_token", 1, h)
        yield from self.network("pred_obj_score_head", 3, h, 1)

    def crossing(self) -> int:
        return self.attention_downsample_rate

    def layer(self) -> Layer:
        layer, wide = super().layer(), self.mlp_dim
        # The FFN has as many matrices as the decoder has layers.
        deeper = (t for i in range(self.num_hidden_layers - 2) for t in linear(f"mlp.layers.{i}", wide, wide, "mlp", bias=True))
        return layer._replace(tensors=(*map(renamed, layer.tensors), *deeper))
