"""The vision tower of GLM-5.3-Flash: video patches, gated FFNs, a convolution that merges patches and a gated projector.

Source: transformers 5.23, models/glm5_next/modeling_glm5_next.py (`Glm5NextVisionModel`) and configuration_glm5_next.py (defaults).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.model import Group, Stack, stack


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("image_size",)

    depth: Layers = Field(24, validation_alias=AliasChoices("num_hidden_layers", "depth"))
    hidden_size: Size = 1024
    hidden_act: str = "silu"
    attention_bias: Flag = True
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    in_channels: Size = 3
    patch_size: Size = 14
    spatial_merge_size: Size = 2
    temporal_patch_size: Size = 2
    out_hidden_size: Size = 1536
    intermediate_size: Size = 4096
    projection_intermediate_size: Size = 10240

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads, bias, p, merge, out = (
            self.hidden_size, self.num_heads, self.attention_bias, self.patch_size, self.spatial_merge_size, self.out_hidden_size,
        )  # fmt: skip
        dim = divided(h, heads, "vision_config.hidden_size", "vision_config.num_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, bias, bias, qk_norm="head", fused="qkv", names=("", "", "", "proj"))
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, bias)
        layer = encoder_layer(attention, ffn, (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")
        outside = [
            *patch_conv("patch_embed.proj", h, self.in_channels, self.temporal_patch_size, p, p),
            *patch_conv("downsample", out, h, merge, merge),
            rms_norm("post_layernorm", h),
            *linear("merger.proj", out, out, "other"),
            *layer_norm("merger.post_projection_norm", out),
            *prefixed("merger", GatedFeedForward(out, self.projection_intermediate_size, role="other").tensors()),
        ]
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.depth)
        return [group("vision", prefixed(prefix, outside))], [layers]
