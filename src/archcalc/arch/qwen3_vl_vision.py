"""The vision tower of Qwen3-VL: video patches, learned positions, pre-norm layers, and mergers of patches into text tokens.

Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py (`Qwen3VLVisionModel`) and configuration_qwen3_vl.py (defaults).
"""

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, patch_conv, projector, table
from archcalc.model import Encoder, Group, Layer, Shard, Stack, Tensor, stack


class Schema(TowerSchema):
    depth: Layers = Field(27, validation_alias=AliasChoices("num_hidden_layers", "depth"))
    hidden_size: Size = 1152
    hidden_act: str = "gelu_pytorch_tanh"
    intermediate_size: Size = 4304
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    in_channels: Size = 3
    patch_size: Size = 16
    spatial_merge_size: Size = 2
    temporal_patch_size: Size = 2
    out_hidden_size: Size = 3584
    num_position_embeddings: Size = 2304
    deepstack_visual_indexes: tuple[int, ...] = (8, 16, 24)

    def deepstack(self) -> int:
        """How many layers feed the text model's first layers through a merger of their own."""
        return len(self.deepstack_visual_indexes)

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_heads
        head_dim = divided(h, heads, "vision_config.hidden_size", "vision_config.num_heads")
        attention = GroupedQueryAttention(h, heads, heads, head_dim, True, True, fused="qkv", names=("", "", "", "proj"))
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=("linear_fc1", "linear_fc2"))
        return encoder_layer(attention, ffn, (*layer_norm("norm1", h), *layer_norm("norm2", h)), attention_name="attn")

    def merger(self, norm: int) -> Iterator[Tensor]:
        """A norm, then two linear layers over `spatial_merge_size` squared patches at once."""
        width = self.hidden_size * self.spatial_merge_size**2
        yield from layer_norm("norm", norm)
        yield from linear("linear_fc1", width, width, "other", bias=True, shard=Shard(0, width))
        yield from linear("linear_fc2", self.out_hidden_size, width, "other", bias=True, shard=Shard(1, width))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p = self.hidden_size, self.patch_size
        outside = [
            *patch_conv("patch_embed.proj", h, self.in_channels, self.temporal_patch_size, p, p),
            table("pos_embed", self.num_position_embeddings, h),
            *prefixed("merger", self.merger(h)),
        ]
        for i in range(self.deepstack()):
            outside += prefixed(f"deepstack_merger_list.{i}", self.merger(h * self.spatial_merge_size**2))
        layers = stack(join(prefix, "blocks"), "vision", [self.layer()] * self.depth)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image and a video as large as the processors leave them."""
        side, frames = self.spatial_merge_size, self.temporal_patch_size
        more: dict[str, Any] = {"frames": frames, "levels": 1 + self.deepstack(), "interpolated": True, "rotated": True}
        name = "Qwen/Qwen3-VL-30B-A3B-Instruct, {}preprocessor_config.json `size.longest_edge`"
        image = within(self, area(4096**2, self.patch_size, side), side, name.format(""), **more)
        # The limit of a video is on the pixels of all of its frames.
        most = area(24576 * 32**2 // frames, self.patch_size, side)
        return (*image, *within(self, most, side, name.format("video_"), modality="video", stamped=True, **more))


class Qwen35Vision(Schema):
    """The vision tower of Qwen 3.5, 3.6 and 3.8: Qwen3-VL's with one merger, behind the last layer.
    Source: transformers 5.23, models/qwen3_5/modeling_qwen3_5.py (`Qwen3_5VisionModel`) and configuration_qwen3_5.py
    (defaults)."""

    # Published configs carry Qwen3-VL's key, empty; the implementation does not read it.
    deepstack_visual_indexes: tuple[int, ...] = ()

    def deepstack(self) -> int:
        return 0


class Qwen3MoeVit(Schema):
    """The vision tower of Ling 3 with vision: Qwen3-VL's, which feeds no deeper layers and ends in a norm.
    Source: vLLM 0.33, models/bailing_moe_v3_vl.py (`BailingMoeV3VisionTransformer`, `BailingMoeV3VLProjector`) and
    transformers_utils/configs/bailing_moe_v3_vl.py (defaults)."""

    whole = False

    def deepstack(self) -> int:
        return 0

    def merger(self, norm: int) -> Iterator[Tensor]:
        return layer_norm("norm", norm)

    def projection(self, hidden: int) -> Iterator[Tensor]:
        """Into a text model of this width."""
        merged = self.hidden_size * self.spatial_merge_size**2
        return projector(("linear_fc1", "linear_fc2"), (merged, hidden, hidden))
