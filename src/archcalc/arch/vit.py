"""ViT.

Source: transformers 5.23, models/vit/modeling_vit.py (`ViTModel`) and configuration_vit.py (defaults).
"""

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("encoder_stride", "pooler_act")

    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    head_dim: Size | None = None
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    image_size: Sides = 224
    patch_size: Sides = 16
    num_channels: Size = 3
    qkv_bias: Flag = True
    pooler_output_size: Size | None = None

    def tower(self, prefix: str) -> Pieces:
        h, n, patch, (height, width) = self.hidden_size, self.num_attention_heads, both(self.patch_size), both(self.image_size)
        rows = (height // patch[0]) * (width // patch[1]) + 1  # and the class token's
        outside = [
            Tensor("embeddings.cls_token", (1, 1, h), "embedding"),
            Tensor("embeddings.position_embeddings", (1, rows, h), "embedding"),
            *patch_conv("embeddings.patch_embeddings.projection", h, self.num_channels, *patch),
            *layer_norm("layernorm", h),
            *linear("pooler.dense", self.pooler_output_size or h, h, "other", bias=True),
        ]
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, self.head_dim or h // n, self.qkv_bias, True),
            FeedForward(h, self.intermediate_size, self.hidden_act),
            (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h)),
            attention_name="attention",
        )
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
