"""LLaVA 1.5, and what is published in its form (BakLLaVA, Pixtral 12B).

Source: transformers 5.23, models/llava/modeling_llava.py and configuration_llava.py (defaults), conversion_mapping.py ("llava").
haotian-liu/LLaVA's own configs are flat: Llama's keys at the top level, and the tower by name.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, LLAVA, Ties, VisionSchema
from archcalc.arch._schema import Flag, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

# What an absent vision_config stands for: OpenAI's CLIP ViT-L/14 at 336 pixels.
CLIP = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14,
    "image_size": 336, "projection_dim": 768,
}  # fmt: skip


class Schema(VisionSchema):
    ties: ClassVar[Ties] = "either"

    inert_keys: ClassVar[tuple[str, ...]] = (
        "projector_hidden_act", "vision_feature_select_strategy", "image_seq_length", "image_grid_pinpoints", "video_seq_length",
        "use_image_newline_parameter", "ignore_index", "vision_aspect_ratio", "image_aspect_ratio", "freeze_mm_mlp_adapter",
        "freeze_mm_vision_resampler", "tune_mm_mlp_adapter", "tune_mm_vision_resampler", "unfreeze_mm_vision_tower",
        "mm_hidden_size", "mm_projector_type", "mm_resampler_type", "mm_use_im_patch_token", "mm_use_im_start_end",
        "mm_vision_select_feature", "mm_vision_select_layer", "mm_vision_tower", "use_mm_proj",
    )  # fmt: skip
    renames: ClassVar[tuple[tuple[str, str], ...]] = LLAVA

    vision_config: Annotated[TowerSchema, nested("clip_vision_model", absent=CLIP), DEFAULT]
    vision_feature_layer: int | list[int] = -2
    multimodal_projector_bias: Flag = True

    def projector_bias(self) -> bool:
        return self.multimodal_projector_bias

    def features(self) -> int:
        """How many of the tower's layers the projector reads."""
        return 1 if isinstance(self.vision_feature_layer, int) else len(self.vision_feature_layer)

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        widths = (width * self.features(), hidden, hidden)
        return projector(("linear_1", "linear_2"), widths, bias=self.projector_bias())
