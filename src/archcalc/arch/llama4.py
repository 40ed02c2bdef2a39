"""Llama 4 with its vision tower: Scout and Maverick.

Source: transformers 5.23, models/llama4/modeling_llama4.py and configuration_llama4.py (defaults).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.llama4_text import Schema as Text
from archcalc.arch.llama4_vision_model import Schema as Vision
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("text_config", "vision_config")
    # The text model, which has the head, goes by its own flag.
    inert_keys = ("tie_word_embeddings", "image_processor_config")

    text_config: Annotated[Text, nested("llama4_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[Vision, nested("llama4_vision_model"), Field(default={}, validate_default=True)]

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(join(prefix, "language_model.model"))
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        widths = (self.vision_config.vision_output_dim, text.facts.hidden_size)
        last = projector((join(prefix, "multi_modal_projector.linear_1"),), widths, bias=False)
        return with_tower(text, [*groups, group("vision", last)], stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """Sixteen tiles and the whole image."""
        # Patches are shuffled into a quarter of them (`pixel_shuffle_ratio`).
        source = "transformers 5.24, models/llama4/image_processing_llama4.py `max_patches`, and the overview"
        return tiled(pooled(super().encoders(), 4), 17, None, source)
