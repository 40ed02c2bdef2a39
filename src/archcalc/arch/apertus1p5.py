"""Apertus 1.5: images and sound become codes of the vocabulary, by tokenizers that stand beside the text model.

Source: transformers 5.24, models/apertus1p5/modeling_apertus1p5.py (`Apertus1p5ForConditionalGeneration`) and
configuration_apertus1p5.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.apertus1p5_vision_tokenizer import Schema as Vision
from archcalc.arch.wavtokenizer_encoder import Schema as Audio
from archcalc.model import Architecture


class Schema(CompositeSchema):
    inert_keys = ("audio_token_offset", "image_token_offset")

    text_config: Annotated[ConfigSchema, nested("apertus1p5_text"), DEFAULT]
    vision_config: Annotated[Vision, nested("apertus1p5_vision_tokenizer", fixed=True), DEFAULT]
    audio_config: Annotated[Audio, nested("wavtokenizer_encoder", fixed=True), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        vision, audio = self.vision_config.tower(f"{prefix}.vision_tokenizer"), self.audio_config.tower(f"{prefix}.audio_tokenizer")
        return [*vision[0], *audio[0]], []
