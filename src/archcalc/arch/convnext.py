"""ConvNeXt: stages of depthwise convolutions with an FFN each.

Source: transformers 5.24, models/convnext/modeling_convnext.py (`ConvNextModel` and its classes) and configuration_convnext.py (defaults);
Liu et al. 2022, arXiv:2201.03545.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, per_layer
from archcalc.arch._vit import StagedSchema, below
from archcalc.arch._whisper import conv
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import patch_conv
from archcalc.model import Encoder, Layer, Stack, Tensor, stack
from archcalc.records import NamedTuple

Stages = Annotated[tuple[Size, ...], Field(min_length=1)]


class Names(NamedTuple):
    """What a type calls its parts."""

    convolution: str = "dwconv"
    norm: str = "layernorm"
    ffn: tuple[str, str] = ("pwconv1", "pwconv2")
    scale: str = "layer_scale_parameter"
    stages: str = "encoder.stages"
    # The first convolution with its norm, and those that lead into later stages.
    stem: tuple[str, str] = ("embeddings.patch_embeddings", "embeddings.layernorm")
    smaller: str = "downsampling_layer"
    last: str = "layernorm"


class Schema(StagedSchema):
    inert_keys = (*StagedSchema.inert_keys, "num_hidden_layers")
    root = "convnext"
    called: ClassVar[Names] = Names()

    num_channels: Size = 3
    patch_size: Sides = 4
    num_stages: Layers = 4
    hidden_sizes: Stages = (96, 192, 384, 768)
    depths: Annotated[tuple[Layers, ...], Field(min_length=1)] = (3, 3, 9, 3)
    hidden_act: str = "gelu"
    layer_scale_init_value: float = 1e-6

    def widths(self) -> Sequence[int]:
        return self.hidden_sizes

    def stage_count(self) -> int:
        return self.num_stages

    def extra(self, h: int) -> Iterator[Tensor]:
        if self.layer_scale_init_value > 0:
            yield Tensor(self.called.scale, (h,), "other")

    def layer(self, h: int) -> Layer:
        name, ffn = self.called, FeedForward(h, 4 * h, self.hidden_act, names=self.called.ffn)
        tensors = (*conv(name.convolution, h, 1, 7, 7, role="other"), *layer_norm(name.norm, h), *ffn.tensors(), *self.extra(h))
        return Layer("depthwise convolution 7 x 7", ffn.label(), tensors, (), (), 0, h, ffn.width())

    def outside(self, named: str) -> Iterator[Tensor]:
        name, h = self.called, self.hidden_sizes[0]
        yield from patch_conv(name.stem[0], h, self.num_channels, *both(self.patch_size))
        yield from layer_norm(name.stem[1], h)
        for i, (inner, outer) in enumerate(zip(self.hidden_sizes, self.hidden_sizes[1 : self.stage_count()], strict=False), 1):
            yield from layer_norm(f"{name.stages}.{i}.{name.smaller}.0", inner)
            yield from conv(f"{name.stages}.{i}.{name.smaller}.1", outer, inner, 2, 2, role="other")
        if not named.endswith("Backbone"):
            yield from layer_norm(name.last, self.hidden_size)

    def bare(self, named: str) -> bool:
        return not named.endswith("ForImageClassification")

    def body(self, prefix: str, named: str) -> Pieces:
        count = self.stage_count()
        width = per_layer(self.hidden_sizes[:count], count, "hidden_sizes", "num_stages")
        depths = per_layer(self.depths[:count], count, "depths", "num_stages")
        stages: list[Stack] = []
        for i, (depth, h) in enumerate(zip(depths, width, strict=True)):
            stages.append(stack(join(prefix, f"{self.called.stages}.{i}.layers"), "vision", [self.layer(h)] * depth))
        return [group("vision", (*below(prefix, self.outside(named)), *self.asked_norms(named)))], stages

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Convnextv2(Schema):
    """ConvNeXt 2: ConvNeXt with a norm over all places inside its FFNs.
    Source: transformers 5.24, models/convnextv2/modeling_convnextv2.py (`ConvNextV2Model` and its classes) and configuration_convnextv2.py
    (defaults); Woo et al. 2023, arXiv:2301.00808."""

    root = "convnextv2"

    def extra(self, h: int) -> Iterator[Tensor]:
        for kind in ("weight", "bias"):
            yield Tensor(f"grn.{kind}", (1, 1, 1, 4 * h), "norm")


class Dinov3Convnext(Schema):
    """DINOv3's ConvNeXt.
    Source: transformers 5.24, models/dinov3_convnext/modeling_dinov3_convnext.py (`DINOv3ConvNextModel`, `DINOv3ConvNextBackbone`) and
    configuration_dinov3_convnext.py (defaults)."""

    root = ""
    called = Names(
        "depthwise_conv", "layer_norm", ("pointwise_conv1", "pointwise_conv2"), "gamma", "model.stages",
        ("model.stages.0.downsample_layers.0", "model.stages.0.downsample_layers.1"), "downsample_layers", "layer_norm",
    )  # fmt: skip

    def extra(self, h: int) -> Iterator[Tensor]:
        yield Tensor("gamma", (h,), "other")

    def stage_count(self) -> int:
        return len(self.hidden_sizes)

    def asked_norms(self, named: str) -> Iterator[Tensor]:
        return iter(())
