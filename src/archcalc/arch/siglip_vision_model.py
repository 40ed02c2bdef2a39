"""SigLIP, the vision tower.

Source: transformers 5.23, models/siglip/modeling_siglip.py (`SiglipVisionModel`) and configuration_siglip.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import attention_pooling, clip_layer, patch_conv, projector, table, vit_attention
from archcalc.model import Group, Stack, stack


class Schema(TowerSchema):
    # PaliGemma writes the width of its projector here.
    inert_keys: ClassVar[tuple[str, ...]] = ("projection_dim",)

    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    num_channels: Size = 3
    image_size: Sides = 224
    patch_size: Sides = 16
    hidden_act: str = "gelu_pytorch_tanh"
    vision_use_head: Flag = True

    def pooled(self) -> bool:
        """Whether a head turns the patches into one vector."""
        return self.vision_use_head

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads, inner, act = self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act
        divided(h, heads, "hidden_size", "num_attention_heads")
        (height, width), patch = both(self.image_size), both(self.patch_size)
        patches = (height // patch[0]) * (width // patch[1])
        outside = [
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, *patch),
            table("embeddings.position_embedding", patches, h),
            *layer_norm("post_layernorm", h),
        ]
        if self.pooled():
            outside += prefixed("head", attention_pooling(h, heads, inner, act))
        layer = clip_layer(h, heads, inner, act)
        layers = stack(join(prefix, "encoder.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Phi4MultimodalVision(Schema):
    """The vision tower of Phi-4-multimodal: SigLIP with its head.
    Source: transformers 5.23, models/phi4_multimodal/modeling_phi4_multimodal.py (`Phi4MultimodalVisionModel`) and
    configuration_phi4_multimodal.py (defaults)."""

    inert_keys = ("crop_size", "feature_layer")

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    image_size: Sides = 448
    patch_size: Sides = 14

    def pooled(self) -> bool:
        return True


class Minicpmv46Vision(Schema):
    """The vision tower of MiniCPM-V 4.6: SigLIP without its head, with a merger of windows of patches after one of its layers.
    Source: transformers 5.23, models/minicpmv4_6/modeling_minicpmv4_6.py (`MiniCPMV4_6VisionModel`) and
    configuration_minicpmv4_6.py (defaults)."""

    inert_keys = ("insert_layer_id", "projection_dim")

    window_kernel_size: tuple[Size, Size] = (2, 2)

    def pooled(self) -> bool:
        return False

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        h, window = self.hidden_size, self.window_kernel_size[0] * self.window_kernel_size[1]
        merger = (
            *prefixed("self_attn", vit_attention(h, self.num_attention_heads).tensors()),
            *layer_norm("layer_norm1", h),
            *layer_norm("pre_norm", h * window),
            *projector(("linear_1", "linear_2"), (h * window, self.intermediate_size * window, h)),
        )
        return [*groups, group("vision", prefixed(f"{prefix}.vit_merger", merger))], stacks
