"""SuperPoint: convolutions that find key points of an image and describe them.

Source: transformers 5.24, models/superpoint/modeling_superpoint.py (`SuperPointForKeypointDetection`) and configuration_superpoint.py
(defaults); DeTone et al. 2017, arXiv:1712.07629.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.arch._vit import AloneSchema, below
from archcalc.arch._whisper import conv
from archcalc.model import Encoder, Tensor


class Schema(AloneSchema):
    outcome = "picture"

    alone = "a model that finds key points in images: it keeps no cache"
    root = ""
    inert_keys = ("keypoint_threshold", "max_keypoints", "nms_radius", "border_removal_distance")

    encoder_hidden_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (64, 64, 128, 128)
    decoder_hidden_size: Size = 256
    keypoint_decoder_dim: Size = 65
    descriptor_decoder_dim: Size = 256

    @property
    def hidden_size(self) -> int:
        return self.encoder_hidden_sizes[-1]

    def outside(self) -> Iterator[Tensor]:
        inner = 1  # grey
        for i, h in enumerate(self.encoder_hidden_sizes):
            yield from conv(f"encoder.conv_blocks.{i}.conv_a", h, inner, 3, 3, role="other")
            yield from conv(f"encoder.conv_blocks.{i}.conv_b", h, h, 3, 3, role="other")
            inner = h
        width = self.decoder_hidden_size
        for name, out in (
            ("keypoint_decoder.conv_score", self.keypoint_decoder_dim),
            ("descriptor_decoder.conv_descriptor", self.descriptor_decoder_dim),
        ):
            yield from conv(f"{name}_a", width, inner, 3, 3, role="head")
            yield from conv(f"{name}_b", out, width, 1, 1, role="head")

    def body(self, prefix: str, named: str) -> Pieces:
        return [group("vision", below(prefix, self.outside()))], []

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return () if name.endswith("ForKeypointDetection") else super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
