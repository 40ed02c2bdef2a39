"""Gemma 3 with its SigLIP tower (4B, 12B, 27B, MedGemma).

Source: transformers 5.23, models/gemma3/modeling_gemma3.py and configuration_gemma3.py (defaults), conversion_mapping.py ("llava").
"""

from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import pooled, stated
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.siglip_vision_model import Schema as SiglipVision
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Encoder, Tensor

RENAMES = (
    ("lm_head.", "language_model.lm_head."),
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
)


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("text_config", "vision_config")

    text_config: Annotated[ConfigSchema, nested("gemma3_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[SiglipVision, nested("siglip_vision_model"), Field(default={}, validate_default=True)]
    tie_word_embeddings: Flag | None = True

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_tower")
        name, width = f"{prefix}.multi_modal_projector", self.vision_config.hidden_size
        projector = [
            Tensor(f"{name}.mm_input_projection_weight", (width, text.facts.hidden_size), "other"),
            rms_norm(f"{name}.mm_soft_emb_norm", width),
        ]
        groups.append(group("vision", projector))
        return with_tower(text, groups, stacks, renames=RENAMES, tied=bool(self.tie_word_embeddings))

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, pooled to a fixed number of tokens."""
        # Cuts of an image are made on request only (`do_pan_and_scan`).
        return pooled(super().encoders(), tokens=stated(self, "mm_tokens_per_image", 256))
