"""The vision tower of MiniCPM-V 4.6: SigLIP without its head, with a merger of windows of patches after one of its layers.

Source: transformers 5.23, models/minicpmv4_6/modeling_minicpmv4_6.py (`MiniCPMV4_6VisionModel`) and configuration_minicpmv4_6.py
(defaults).
"""

from archcalc.arch import siglip_vision_model
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector, vit_attention


class Schema(siglip_vision_model.Schema):
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
