"""The vision tower of BLIP: a ViT whose queries, keys and values are one projection.

Source: transformers 5.23, models/blip/modeling_blip.py (`BlipVisionModel`) and configuration_blip.py (defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("projection_dim", "num_channels")

    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    image_size: Size = 384
    patch_size: Size = 16
    hidden_act: str = "gelu"

    def biased(self) -> bool:
        """Whether queries and values have a bias; the keys' is zero and stored with theirs."""
        return True

    def tower(self, prefix: str) -> Pieces:
        h, n, p = self.hidden_size, self.num_attention_heads, self.patch_size
        head_dim = divided(h, n, "hidden_size", "num_attention_heads")
        outside = [
            Tensor("embeddings.class_embedding", (1, 1, h), "embedding"),
            Tensor("embeddings.position_embedding", (1, grid(self.image_size, p) + 1, h), "embedding"),
            *patch_conv("embeddings.patch_embedding", h, 3, p, p),
            *layer_norm("post_layernorm", h),
        ]
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, head_dim, self.biased(), True, fused="qkv", names=("", "", "", "projection")),
            FeedForward(h, self.intermediate_size, self.hidden_act),
            (*layer_norm("layer_norm1", h), *layer_norm("layer_norm2", h)),
        )
        layers = stack(join(prefix, "encoder.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Blip2VisionModel(Schema):
    """The vision tower of BLIP-2: EVA-CLIP's ViT-g, in BLIP's form.
    Source: transformers 5.23, models/blip_2/modeling_blip_2.py (`Blip2VisionModel`) and configuration_blip_2.py (defaults)."""

    hidden_size: Size = 1408
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 39
    num_attention_heads: Size = 16
    image_size: Size = 224
    patch_size: Size = 14
    qkv_bias: Flag = True

    def biased(self) -> bool:
        return self.qkv_bias
