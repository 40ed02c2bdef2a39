"""BiT: ResNet v2 with group norms and standardized weights.

Source: transformers 5.24, models/bit/modeling_bit.py (`BitModel`, `BitForImageClassification`, `BitBackbone`) and configuration_bit.py
(defaults); Kolesnikov et al. 2019, arXiv:1912.11370.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size
from archcalc.arch._vit import StagedSchema, below, classifier
from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Encoder, Layer, Role, Stack, Tensor, stack


def divisible(value: float, divisor: int = 8, least: int = 0) -> int:
    """The nearest multiple of `divisor` that is not less than nine tenths of the value."""
    new = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return new + divisor if new < 0.9 * value else new


def plain(name: str, outer: int, inner: int, kernel: int, role: Role = "other") -> Iterable[Tensor]:
    return conv(name, outer, inner, kernel, kernel, bias=False, role=role)


class Schema(StagedSchema):
    inert_keys = (*StagedSchema.inert_keys, "num_groups", "embedding_dynamic_padding", "output_stride", "global_padding")
    root = "bit"

    num_channels: Size = 3
    embedding_size: Size = 64
    hidden_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (256, 512, 1024, 2048)
    depths: Annotated[tuple[Layers, ...], Field(min_length=1)] = (3, 4, 6, 3)
    layer_type: Literal["preactivation", "bottleneck"] = "preactivation"
    width_factor: Size = 1

    def widths(self) -> Sequence[int]:
        return self.hidden_sizes

    def layer(self, inner: int, outer: int, *, first: bool) -> Layer:
        inside, before = divisible(outer * 0.25), self.layer_type == "preactivation"
        tensors: list[Tensor] = []
        for i, (a, b, kernel) in enumerate(((inner, inside, 1), (inside, inside, 3), (inside, outer, 1)), 1):
            tensors += (*plain(f"conv{i}", b, a, kernel), *layer_norm(f"norm{i}", a if before else b))
        if first:
            tensors += (*plain("downsample.conv", outer, inner, 1), *(() if before else layer_norm("downsample.norm", outer)))
        return Layer(f"convolution 3 x 3, {outer}", "none", tuple(tensors), (), (), 0, outer, 0)

    def outside(self) -> Iterator[Tensor]:
        yield from plain("embedder.convolution", self.embedding_size, self.num_channels, 7, "embedding")
        if self.layer_type == "preactivation":
            yield from layer_norm("norm", self.hidden_sizes[-1])
        else:
            yield from layer_norm("embedder.norm", self.embedding_size)

    def bare(self, named: str) -> bool:
        return not named.endswith(("ForImageClassification", "Backbone"))

    def body(self, prefix: str, named: str) -> Pieces:
        stages: list[Stack] = []
        inner = self.embedding_size
        for i, (width, depth) in enumerate(zip(self.hidden_sizes, self.depths, strict=False)):
            outer = divisible(width * self.width_factor)
            layers = [self.layer(inner, outer, first=True), *[self.layer(outer, outer, first=False)] * (depth - 1)]
            stages.append(stack(join(prefix, f"encoder.stages.{i}.layers"), "vision", layers))
            inner = outer
        return [group("vision", below(prefix, self.outside()))], stages

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForImageClassification"):
            return classifier(self, self.hidden_size, "classifier.1")
        return super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
