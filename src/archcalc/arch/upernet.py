"""UPerNet: a backbone, and a head that joins its maps and labels each pixel.

Source: transformers 5.24, models/upernet/modeling_upernet.py (`UperNetForSemanticSegmentation`, `UperNetHead`, `UperNetFCNHead`) and
configuration_upernet.py (defaults); Xiao et al. 2018, arXiv:1807.10221.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._heads import labels_of
from archcalc.arch._masks import BACKBONES, MaskSchema
from archcalc.arch._schema import Few, Flag, Size, TowerSchema, nested
from archcalc.arch._vit import as_backbone
from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor

RESNET = {"model_type": "resnet", "out_features": ["stage1", "stage2", "stage3", "stage4"]}


def normed(name: str, outer: int, inner: int, kernel: int) -> Iterator[Tensor]:
    yield from conv(f"{name}.conv", outer, inner, kernel, kernel, bias=False, role="head")
    yield from layer_norm(f"{name}.batch_norm", outer)


class Schema(MaskSchema):
    outcome = "picture"

    root = ""
    inert_keys = ("auxiliary_loss_weight", "loss_ignore_index", *BACKBONES)

    backbone_config: Annotated[TowerSchema, nested("resnet", absent=RESNET), DEFAULT]
    hidden_size: Size = 512
    pool_scales: tuple[Size, ...] = (1, 2, 3, 6)
    use_auxiliary_head: Flag = True
    auxiliary_in_channels: Size | None = None
    auxiliary_channels: Size = 256
    auxiliary_num_convs: Few = 1
    auxiliary_concat_input: Flag = False

    def body(self, prefix: str, named: str) -> Pieces:
        return as_backbone(self.backbone_config, "backbone")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return (*self.decoding(), *self.helping()) if name.endswith("ForSemanticSegmentation") else super().head_of(name)

    def decoding(self) -> Iterator[Tensor]:
        h, widths, name = self.hidden_size, self.channels(), "decode_head"
        yield from conv(f"{name}.classifier", labels_of(self.model_extra or {}), h, 1, 1, role="head")
        for i in range(len(self.pool_scales)):
            yield from normed(f"{name}.psp_modules.{i}.1", h, widths[-1], 1)
        yield from normed(f"{name}.bottleneck", h, widths[-1] + len(self.pool_scales) * h, 3)
        for i, width in enumerate(widths[:-1]):
            yield from normed(f"{name}.lateral_convs.{i}", h, width, 1)
            yield from normed(f"{name}.fpn_convs.{i}", h, h, 3)
        yield from normed(f"{name}.fpn_bottleneck", h, len(widths) * h, 3)

    def helping(self) -> Iterator[Tensor]:
        """A smaller head that helps the model to learn."""
        if not self.use_auxiliary_head:
            return
        name, inner_width, inner = "auxiliary_head", self.auxiliary_channels, self.auxiliary_in_channels or self.channels()[2]
        for i in range(self.auxiliary_num_convs):
            yield from normed(f"{name}.convs.{i}", inner_width, inner_width if i else inner, 3)
        if self.auxiliary_concat_input:
            yield from normed(f"{name}.conv_cat", inner_width, inner + inner_width, 3)
        yield from conv(f"{name}.classifier", labels_of(self.model_extra or {}), inner_width, 1, 1, role="head")
