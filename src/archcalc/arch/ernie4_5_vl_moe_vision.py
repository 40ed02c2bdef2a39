"""The vision tower of ERNIE 4.5 VL: Qwen2-VL's without its merger, patches read by a linear layer.

Source: transformers 5.23, models/ernie4_5_vl_moe/modeling_ernie4_5_vl_moe.py (`Ernie4_5_VLMoeVisionTransformerPretrainedModel`) and
configuration_ernie4_5_vl_moe.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Encoder, stack


class Schema(TowerSchema):
    depth: Layers = Field(32, validation_alias=AliasChoices("num_hidden_layers", "depth"))
    hidden_size: Size = 1280
    hidden_act: str = "quick_gelu"
    intermediate_size: Size = 5120
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    in_channels: Size = 3
    patch_size: Size = 14
    spatial_merge_size: Size = 2
    temporal_merge_size: Size = 2

    def tower(self, prefix: str) -> Pieces:
        h, n = self.hidden_size, self.num_heads
        head_dim = divided(h, n, "vision_config.hidden_size", "vision_config.num_heads")
        outside = (*linear("patch_embed.proj", h, self.in_channels * self.patch_size**2, "embedding"), *layer_norm("ln", h))
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, head_dim, True, True, fused="qkv", names=("", "", "", "proj")),
            FeedForward(h, self.intermediate_size, self.hidden_act),
            (*layer_norm("norm1", h), *layer_norm("norm2", h)),
            attention_name="attn",
        )
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.depth)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(28**2 * 6177, self.patch_size, self.spatial_merge_size)
        source = "transformers 5.24, models/ernie4_5_vl_moe/image_processing_ernie4_5_vl_moe.py `size`"
        return within(self, most, self.spatial_merge_size, source, rotated=True)
