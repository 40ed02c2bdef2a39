"""Eagle 2 and 2.5: Qwen 2 with SigLIP, whose patches are merged and projected by an MLP behind a norm.

Source: nvidia/Eagle2-1B, modeling_eagle2_5_vl.py and configuration_eagle2_5_vl.py; vLLM 0.33, models/eagle2_5_vl.py (`_init_mlp1`).
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor


class Schema(VisionSchema):
    core_keys = ("text_config", "vision_config")
    inert_keys = (
        "dynamic_image_size", "force_image_size", "image_token_index", "loss_version", "max_dynamic_tiles", "min_dynamic_tiles",
        "mlp_checkpoint", "pad2square", "ps_version", "select_layer", "template", "use_backbone_lora", "use_llm_lora",
        "use_thumbnail", "use_pixel_shuffle", "mlp_connector_layers",
    )  # fmt: skip
    tower_name = "vision_model.vision_model"
    projector_name = "mlp1"
    renames = (
        ("lm_head.", "language_model.lm_head."), ("model.language_model.", "language_model.model."), ("model.", ""),
    )  # fmt: skip
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]
    downsample_ratio: float = Field(0.5, gt=0, le=1)
    tie_word_embeddings: Flag | None = None

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * int(1 / self.downsample_ratio) ** 2
        yield from layer_norm("0", merged)
        yield from projector(("1", "3"), (merged, hidden, hidden))

    def encoders(self) -> tuple[Encoder, ...]:
        return pooled(super().encoders(), int(1 / self.downsample_ratio) ** 2)
