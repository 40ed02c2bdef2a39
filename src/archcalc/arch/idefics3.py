"""Idefics 3: Llama with SigLIP, whose patches are merged and projected by one linear layer.

Source: transformers 5.23, models/idefics3/modeling_idefics3.py and configuration_idefics3.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor


class Schema(VisionSchema):
    # HuggingFaceM4/Idefics3-8B-Llama3 states what an earlier class of its text model had.
    inert_keys = (
        "image_seq_len", "text_config.perceiver_config", "text_config.pixel_shuffle_factor", "text_config.qk_layer_norms",
        "text_config.use_resampler",
    )  # fmt: skip
    text_name = "text_model"
    tower_name = "vision_model"
    projector_name = "connector.modality_projection"

    vision_config: Annotated[TowerSchema, nested("idefics3_vision", fixed=True), DEFAULT]
    scale_factor: Size = 2

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("proj",), (width * self.scale_factor**2, hidden), bias=False)

    def encoders(self) -> tuple[Encoder, ...]:
        """Sixteen tiles and the whole image."""
        # The longest edge is four tiles long.
        source = "transformers 5.24, models/idefics3/image_processing_idefics3.py `size`, `max_image_size`"
        return tiled(pooled(super().encoders(), self.scale_factor**2), 17, None, source)


class Smolvlm(Schema):
    """SmolVLM: Idefics 3 with a smaller text model.
    Source: transformers 5.23, models/smolvlm/modeling_smolvlm.py and configuration_smolvlm.py (defaults)."""
