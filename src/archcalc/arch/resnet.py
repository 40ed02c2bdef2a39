"""ResNet: convolutions with shortcuts, in stages.

Source: transformers 5.24, models/resnet/modeling_resnet.py (`ResNetModel`, `ResNetForImageClassification`, `ResNetBackbone`) and
configuration_resnet.py (defaults); He et al. 2015, arXiv:1512.03385.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, per_layer
from archcalc.arch._upernet import normed
from archcalc.arch._vit import StagedSchema, below, classifier
from archcalc.blocks._tensor import prefixed
from archcalc.model import Encoder, Layer, Stack, Tensor, stack


class Schema(StagedSchema):
    inert_keys = (*StagedSchema.inert_keys, "downsample_in_bottleneck", "num_stages")
    root = "resnet"
    batch_norms = True

    num_channels: Size = 3
    embedding_size: Size = 64
    hidden_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (256, 512, 1024, 2048)
    depths: Annotated[tuple[Layers, ...], Field(min_length=1)] = (3, 4, 6, 3)
    layer_type: Literal["basic", "bottleneck"] = "bottleneck"
    hidden_act: str = "relu"
    downsample_in_first_stage: Flag = False

    def widths(self) -> Sequence[int]:
        return self.hidden_sizes

    def layer(self, inner: int, outer: int, shortcut: bool) -> Layer:
        inside, kernel = outer // 4, 3
        sides = [(inner, inside, 1), (inside, inside, 3), (inside, outer, 1)]
        if self.layer_type == "basic":
            sides = [(inner, outer, kernel), (outer, outer, kernel)]
        tensors = [t for i, (a, b, k) in enumerate(sides) for t in normed(f"layer.{i}", b, a, k)]
        if shortcut:
            tensors += normed("shortcut", outer, inner, 1)
        kept = tuple(t._replace(role="other") if t.role == "head" else t for t in tensors)
        return Layer(f"convolution 3 x 3, {outer}", "none", kept, (), (), 0, outer, 0)

    def bare(self, named: str) -> bool:
        return not named.endswith("ForImageClassification")

    def body(self, prefix: str, named: str) -> Pieces:
        stages: list[Stack] = []
        inner, depths = (
            self.embedding_size,
            per_layer(self.depths[: len(self.hidden_sizes)], len(self.hidden_sizes), "depths", "hidden_sizes"),
        )
        for i, (outer, depth) in enumerate(zip(self.hidden_sizes, depths, strict=True)):
            halves = i > 0 or self.downsample_in_first_stage
            layers = [self.layer(inner, outer, inner != outer or halves), *[self.layer(outer, outer, False)] * (depth - 1)]
            stages.append(stack(join(prefix, f"encoder.stages.{i}.layers"), "vision", layers))
            inner = outer
        stem = (
            t._replace(role="embedding") if t.role == "head" else t for t in normed("", self.embedding_size, self.num_channels, 7)
        )
        named_stem = prefixed("embedder.embedder", (t._replace(name=t.name.removeprefix(".")) for t in stem))
        return [group("vision", below(prefix, named_stem))], stages

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForImageClassification"):
            return classifier(self, self.hidden_size, "classifier.1")
        return super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class RtDetrResnet(Schema):
    """RT-DETR's ResNet: three convolutions in front, and shortcuts that average before they project.
    Source: transformers 5.24, models/rt_detr/modeling_rt_detr_resnet.py (`RTDetrResNetBackbone`) and
    configuration_rt_detr_resnet.py (defaults)."""

    def layer(self, inner: int, outer: int, shortcut: bool) -> Layer:
        layer = super().layer(inner, outer, shortcut)
        # Where the image is halved, an average stands before the projection; basic layers average wherever they widen.
        if inner == outer or (
            self.layer_type == "bottleneck" and inner == self.embedding_size and not self.downsample_in_first_stage
        ):
            return layer
        return layer._replace(tensors=tuple(t._replace(name=t.name.replace("shortcut.", "shortcut.1.")) for t in layer.tensors))

    def body(self, prefix: str, named: str) -> Pieces:
        _, stages = super().body(prefix, named)
        width = self.embedding_size
        sides = ((self.num_channels, width // 2), (width // 2, width // 2), (width // 2, width))
        stem = (t for i, (a, b) in enumerate(sides) for t in normed(f"embedder.embedder.{i}", b, a, 3))
        own = group("vision", below(prefix, (t._replace(role="embedding") if t.role == "head" else t for t in stem)))
        if self.layer_type == "basic" and self.hidden_sizes[0] == self.embedding_size:
            # The first layer of a stage projects its shortcut whether it widens or not.
            first = stages[0]
            kept = [first.kinds[kind] for kind in first.pattern]
            stages[0] = stack(first.prefix, "vision", [self.layer(width, width, True), *kept[1:]])
        return [own], stages
