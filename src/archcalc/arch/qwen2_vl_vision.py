"""The vision tower of Qwen2-VL: video patches, rotary positions, pre-norm layers, and one merger of patches into text tokens.

Source: transformers 5.23, models/qwen2_vl/modeling_qwen2_vl.py (`Qwen2VisionTransformerPretrainedModel`) and
configuration_qwen2_vl.py (defaults).
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.model import Encoder, Group, Layer, Shard, Stack, Tensor, stack


class Schema(TowerSchema):
    # Published configs name the channels and the patch twice; only `in_channels` and `patch_size` are read.
    inert_keys: ClassVar[tuple[str, ...]] = ("in_chans", "spatial_patch_size")

    depth: Layers = Field(32, validation_alias=AliasChoices("num_hidden_layers", "depth"))
    embed_dim: Size = 1280
    hidden_size: Size = 3584
    hidden_act: str = "quick_gelu"
    mlp_ratio: Size = 4
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    in_channels: Size = 3
    patch_size: Size = 14
    spatial_merge_size: Size = 2
    temporal_patch_size: Size = 2

    def widths(self) -> tuple[int, int]:
        """The tower's width, and the text model's, which it merges patches into."""
        return self.embed_dim, self.hidden_size

    def norm(self, name: str) -> Iterator[Tensor]:
        return layer_norm(name, self.widths()[0])

    def attention(self, window: int | None = None) -> GroupedQueryAttention:
        h, heads = self.widths()[0], self.num_heads
        head_dim = divided(h, heads, "the width of vision_config", "vision_config.num_heads")
        return GroupedQueryAttention(
            h, heads, heads, head_dim, True, True, window, window is not None, fused="qkv", names=("", "", "", "proj")
        )

    def layers(self) -> list[Layer]:
        h = self.embed_dim
        ffn = FeedForward(h, h * self.mlp_ratio, self.hidden_act)
        layer = encoder_layer(self.attention(), ffn, (*self.norm("norm1"), *self.norm("norm2")), attention_name="attn")
        return [layer] * self.depth

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        p, (h, out) = self.patch_size, self.widths()
        width = h * self.spatial_merge_size**2
        outside = [
            *patch_conv("patch_embed.proj", h, self.in_channels, self.temporal_patch_size, p, p, bias=False),
            *self.norm("merger.ln_q"),
            *linear("merger.mlp.0", width, width, "other", bias=True, shard=Shard(0, width)),
            *linear("merger.mlp.2", out, width, "other", bias=True, shard=Shard(1, width)),
        ]
        return [group("vision", prefixed(prefix, outside))], [stack(join(prefix, "blocks"), "vision", self.layers())]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it, and a video of 14 such frames."""
        # A square of 28 pixels is a token of Qwen2-VL, whose processor allows 16,384 of them.
        most = area(28**2 * 16384, self.patch_size, self.spatial_merge_size)
        side, frames = self.spatial_merge_size, self.temporal_patch_size
        image = within(
            self, most, side, "Qwen/Qwen2-VL-7B-Instruct, preprocessor_config.json `max_pixels`", frames=frames, rotated=True
        )
        source = "vLLM 0.33, models/qwen2_vl.py `_MAX_FRAMES_PER_VIDEO`"
        return (
            *image,
            *within(self, most, side, source, frames=frames, rotated=True, modality="video", clips=max(14 // frames, 1)),
        )
