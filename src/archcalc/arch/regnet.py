"""RegNet: ResNet's stages of grouped convolutions, with a gate for each channel in the Y models.

Source: transformers 5.24, models/regnet/modeling_regnet.py (`RegNetModel`, `RegNetForImageClassification`, `RegNetYLayer`) and
configuration_regnet.py (defaults); Radosavovic et al. 2020, arXiv:2003.13678.
"""

from typing import Annotated, Literal

from pydantic import Field

from archcalc.arch import resnet
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, divided
from archcalc.arch._upernet import normed
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.model import Layer, Tensor


class Schema(resnet.Schema):
    root = "regnet"
    inert_keys = resnet.Schema.inert_keys

    embedding_size: Size = 32
    hidden_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (128, 192, 512, 1088)
    depths: Annotated[tuple[Layers, ...], Field(min_length=1)] = (2, 6, 12, 2)
    groups_width: Size = 64
    layer_type: Literal["x", "y"] = "y"  # type: ignore[assignment]
    downsample_in_first_stage: Flag = True

    def layer(self, inner: int, outer: int, shortcut: bool) -> Layer:
        width = divided(outer, max(1, outer // self.groups_width), "hidden_sizes", "the number of groups")
        tensors = [*normed("layer.0", outer, inner, 1), *normed("layer.1", outer, width, 3)]
        if self.layer_type == "y":
            reduced = round(inner / 4)
            tensors += (*conv("layer.2.attention.0", reduced, outer, 1, 1), *conv("layer.2.attention.2", outer, reduced, 1, 1))
        tensors += normed(f"layer.{3 if self.layer_type == 'y' else 2}", outer, outer, 1)
        if shortcut:
            tensors += normed("shortcut", outer, inner, 1)
        kept = tuple(t._replace(role="other") if t.role in ("head", "embedding") else t for t in tensors)
        return Layer(f"convolution 3 x 3, {outer}", "none", kept, (), (), 0, outer, 0)

    def body(self, prefix: str, named: str) -> Pieces:
        _, stages = super().body(prefix, named)
        stem = (t._replace(role="embedding") if t.role == "head" else t for t in self.stem())
        return [group("vision", below(prefix, stem))], stages

    def stem(self) -> tuple[Tensor, ...]:
        return tuple(normed("embedder.embedder", self.embedding_size, self.num_channels, 3))
