"""CLIP, the vision tower.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPVisionModel`, `CLIPVisionModelWithProjection`) and
configuration_clip.py (defaults).
"""

from collections.abc import Iterable

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import clip_layer, grid, patch_conv, table
from archcalc.model import Group, Stack, Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = 768
    intermediate_size: Size = 3072
    # The width of the space shared with CLIP's text tower: its projection is no part of the tower.
    projection_dim: Size | None = 512
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    num_channels: Size = 3
    image_size: Size = 224
    patch_size: Size = 32
    hidden_act: str = "quick_gelu"

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("WithProjection"):
            return super().head_of(name)
        return linear("visual_projection", self.projection_dim or 512, self.hidden_size, "other")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p = self.hidden_size, self.patch_size
        divided(h, self.num_attention_heads, "hidden_size", "num_attention_heads")
        outside = [
            Tensor("embeddings.class_embedding", (h,), "embedding"),
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, p, p, bias=False),
            table("embeddings.position_embedding", grid(self.image_size, p) + 1, h),  # and the class token's
            *layer_norm("pre_layrnorm", h),
            *layer_norm("post_layernorm", h),
        ]
        layer = clip_layer(h, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "encoder.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Kosmos2VisionModel(Schema):
    """The vision tower of Kosmos-2: CLIP's.
    Source: transformers 5.23, models/kosmos2/modeling_kosmos2.py (`Kosmos2VisionModel`) and configuration_kosmos2.py (defaults).
    """

    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    patch_size: Size = 14

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.model")
