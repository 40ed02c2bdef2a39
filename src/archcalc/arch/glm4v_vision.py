"""The vision tower of GLM-4.1V: video patches, gated FFN as wide as the output, a convolution that merges patches, and a gated merger.

Source: transformers 5.23, models/glm4v/modeling_glm4v.py (`Glm4vVisionModel`) and configuration_glm4v.py (defaults).
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, film, within
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv, table
from archcalc.model import Encoder, Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    depth: Layers = Field(24, validation_alias=AliasChoices("num_hidden_layers", "depth"))
    hidden_size: Size = 1536
    hidden_act: str = "silu"
    attention_bias: Flag = False
    num_heads: Size = Field(12, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    in_channels: Size = 3
    image_size: Size = 336
    patch_size: Size = 14
    spatial_merge_size: Size = 2
    temporal_patch_size: Size = 2
    out_hidden_size: Size = 4096
    intermediate_size: Size = 13696
    qk_norm: ClassVar[bool] = False

    @property
    def head_dim(self) -> int:
        return divided(self.hidden_size, self.num_heads, "vision_config.hidden_size", "vision_config.num_heads")

    def merged_width(self) -> int:
        """The inner width of the merger."""
        return self.intermediate_size

    def attention(self) -> GroupedQueryAttention:
        h, n, bias = self.hidden_size, self.num_heads, self.attention_bias
        return GroupedQueryAttention(
            h, n, n, self.head_dim, bias, bias and self.qk_norm, qk_norm="head" if self.qk_norm else "none", fused="qkv",
            names=("", "", "", "proj"),
        )  # fmt: skip

    def ffn(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.out_hidden_size, self.hidden_act)

    def embeddings(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield table("embeddings.position_embedding", grid(self.image_size, self.patch_size), h)
        yield rms_norm("post_conv_layernorm", h)

    def layer(self) -> Layer:
        h = self.hidden_size
        return encoder_layer(self.attention(), self.ffn(), (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, out, p, merge = self.hidden_size, self.out_hidden_size, self.patch_size, self.spatial_merge_size
        merger = GatedFeedForward(out, self.merged_width(), self.hidden_act, role="other")
        outside = [
            *patch_conv("patch_embed.proj", h, self.in_channels, self.temporal_patch_size, p, p),
            *self.embeddings(),
            rms_norm("post_layernorm", h),
            Tensor("downsample.weight", (out, h, merge, merge), "other"),
            Tensor("downsample.bias", (out,), "other"),
            *linear("merger.proj", out, out, "other"),
            *layer_norm("merger.post_projection_norm", out),
            *prefixed("merger", merger.tensors()),
        ]
        layers = stack(join(prefix, "blocks"), "vision", [self.layer()] * self.depth)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image and a video as large as the processors leave them."""
        # The limit is on the pixels of both frames of a patch.
        most = area(28**2 * 15000 // self.temporal_patch_size, self.patch_size, self.spatial_merge_size)
        source = "transformers 5.24, models/glm4v/image_processing_glm4v.py `size`"
        image = within(self, most, self.spatial_merge_size, source, frames=self.temporal_patch_size, rotated=True)
        # A video may hold four times the pixels.
        return (*image, *film(image, most, "transformers 5.24, models/glm4v/video_processing_glm4v.py `size`", 4))


class GlmOcrVision(Schema):
    """The vision tower of GLM-OCR: GLM-4.1V's with normed queries and keys, and without learned positions.
    Source: transformers 5.23, models/glm_ocr/modeling_glm_ocr.py (`GlmOcrVisionModel`) and configuration_glm_ocr.py (defaults)."""

    hidden_size: Size = 1024
    attention_bias: Flag = True
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    out_hidden_size: Size = 1536
    intermediate_size: Size = 4096
    qk_norm = True

    def merged_width(self) -> int:
        return self.out_hidden_size * self.in_channels

    def ffn(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.attention_bias)

    def embeddings(self) -> Iterator[Tensor]:
        yield from ()
