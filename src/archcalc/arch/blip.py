"""BLIP: BERT as a decoder that attends to a ViT's patches.

Source: transformers 5.23, models/blip/modeling_blip.py (`BlipForConditionalGeneration`) and configuration_blip.py (defaults; the head
is tied where either config says so).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import join
from archcalc.arch._schema import Flag, nested
from archcalc.arch.blip_text_model import Schema as Text
from archcalc.arch.blip_vision_model import Schema as Vision
from archcalc.model import Architecture


class Schema(CompositeSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "projection_dim", "logit_scale_init_value", "image_text_hidden_size", "label_smoothing",
    )  # fmt: skip
    name: ClassVar[str] = "blip"

    text_config: Annotated[Text, nested("blip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("blip_vision_model", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def tied(self, text: Architecture) -> bool | None:
        return None

    def text(self, prefix: str) -> Architecture:
        tied = bool(self.tie_word_embeddings) or self.text_config.tie_word_embeddings
        update = {"encoder_hidden_size": self.vision_config.hidden_size, "tie_word_embeddings": tied}
        return self.text_config.model_copy(update=update).architecture(join(prefix, "text_decoder"))

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        return self.vision_config.tower(join(prefix, "vision_model"))

    def architecture(self, prefix: str = "") -> Architecture:
        return super().architecture(prefix)
