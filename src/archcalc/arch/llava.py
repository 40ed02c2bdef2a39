"""LLaVA 1.5, and what is published in its form (BakLLaVA, Pixtral 12B).

Source: transformers 5.23, models/llava/modeling_llava.py and configuration_llava.py (defaults), conversion_mapping.py ("llava").
haotian-liu/LLaVA's own configs are flat: Llama's keys at the top level, and the tower by name.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field

from archcalc.arch._composite import DEFAULT, LLAVA, Ties, VisionSchema
from archcalc.arch._encoder import pinpoints, tiled
from archcalc.arch._schema import Flag, Size, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import patch_conv, projector
from archcalc.model import Encoder, Tensor

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


class Vipllava(Schema):
    """ViP-LLaVA: LLaVA whose projector reads five layers of the tower, through a norm.
    Source: transformers 5.23, models/vipllava/modeling_vipllava.py and configuration_vipllava.py (defaults)."""

    ties = "outer"
    inert_keys = (*Schema.inert_keys, "multimodal_projector_bias")

    vision_feature_layer: int | list[int] = Field(
        [-2, -5, -8, -11, 6], validation_alias=AliasChoices("vision_feature_layers", "vision_feature_layer")
    )

    def projector_bias(self) -> bool:
        return True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from layer_norm("projector_layernorm", width * self.features())
        yield from super().projection(width, hidden)


class LlavaNext(Schema):
    """LLaVA-NeXT (1.6): LLaVA with a learned end of each row of patches.
    Source: transformers 5.23, models/llava_next/modeling_llava_next.py and configuration_llava_next.py (defaults)."""

    ties: ClassVar[Ties] = "outer"

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield Tensor("image_newline", (hidden,), "embedding")

    def encoders(self) -> tuple[Encoder, ...]:
        """Tiles of the largest shape of the config's list, and the whole image."""
        tiles = pinpoints(self, 336, 672 * 672)
        return tiled(super().encoders(), tiles + 1, None, "the config's image_grid_pinpoints, and the overview")


class LlavaNextVideo(LlavaNext):
    """LLaVA-NeXT-Video: LLaVA-NeXT whose video frames are pooled, with weights where the pooling is a convolution.
    Source: transformers 5.23, models/llava_next_video/modeling_llava_next_video.py and configuration_llava_next_video.py (defaults).
    """

    ties = "either"

    spatial_pool_mode: Literal["average", "max", "conv"] = "average"
    spatial_pool_stride: Size = 2
    spatial_pool_out_channels: Size | None = None

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield from super().extra_tensors(hidden)
        if self.spatial_pool_mode == "conv":
            width, stride = self.tower_width(), self.spatial_pool_stride
            yield from patch_conv("vision_resampler.pool", self.spatial_pool_out_channels or width, width, stride, stride)
