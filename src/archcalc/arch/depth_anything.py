"""Depth Anything: DINOv2 whose layers a neck brings to four sizes and adds up, and a head that gives the depth of each pixel.

Source: transformers 5.24, models/depth_anything/modeling_depth_anything.py (`DepthAnythingForDepthEstimation`) and
configuration_depth_anything.py (defaults, those of the backbone among them); Yang et al. 2024, arXiv:2401.10891.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, Sides
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size, TowerSchema, nested, per_layer
from archcalc.arch._whisper import conv
from archcalc.model import Architecture, Encoder, Tensor

BACKBONE = {"image_size": 518, "hidden_size": 384, "num_attention_heads": 6}


class Schema(TowerSchema):
    outcome = "picture"

    prefix = ""
    alone = "a model without text: it keeps no cache"
    inert_keys = ("head_in_index", "depth_estimation_type", "max_depth", "backbone", "use_pretrained_backbone", "use_timm_backbone",
                  "backbone_kwargs")  # fmt: skip

    backbone_config: Annotated[TowerSchema, nested("dinov2", absent=BACKBONE), DEFAULT]
    patch_size: Sides = 14
    reassemble_hidden_size: Size = 384
    reassemble_factors: tuple[float, ...] = (4, 2, 1, 0.5)
    neck_hidden_sizes: tuple[Size, ...] = (48, 96, 192, 384)
    fusion_hidden_size: Size = 64
    head_hidden_size: Size = 32

    @property
    def hidden_size(self) -> int:
        return int(getattr(self.backbone_config, "hidden_size", 0))

    @property
    def num_attention_heads(self) -> int:
        return int(getattr(self.backbone_config, "num_attention_heads", 0))

    def neck(self) -> Iterator[Tensor]:
        n, width = len(self.neck_hidden_sizes), self.fusion_hidden_size
        factors = per_layer(self.reassemble_factors[:n], n, "reassemble_factors", "neck_hidden_sizes")
        for i, (h, factor) in enumerate(zip(self.neck_hidden_sizes, factors, strict=True)):
            name = f"neck.reassemble_stage.layers.{i}"
            yield from conv(f"{name}.projection", h, self.reassemble_hidden_size, 1, 1, role="other")
            if factor != 1:  # transposed where it grows; 3 x 3 where it shrinks
                side = int(factor) if factor > 1 else 3
                yield from conv(f"{name}.resize", h, h, side, side, role="other")
            yield from conv(f"neck.convs.{i}", width, h, 3, 3, bias=False, role="other")
            fused = f"neck.fusion_stage.layers.{i}"
            yield from conv(f"{fused}.projection", width, width, 1, 1, role="other")
            for unit in ("residual_layer1", "residual_layer2"):
                for side in (1, 2):
                    yield from conv(f"{fused}.{unit}.convolution{side}", width, width, 3, 3, role="other")

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.backbone_config.tower("backbone")
        return [*groups, group("vision", self.neck())], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        width, inner = self.fusion_hidden_size, self.head_hidden_size
        sides = ((width // 2, width, 3), (inner, width // 2, 3), (1, inner, 1))
        return [t for i, (a, b, k) in enumerate(sides, 1) for t in conv(f"head.conv{i}", a, b, k, k, role="head")]

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
