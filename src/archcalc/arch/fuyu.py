"""Fuyu: Persimmon, which reads patches through one linear layer. The published config is flat.

Source: transformers 5.23, models/fuyu/modeling_fuyu.py and configuration_fuyu.py (defaults), conversion_mapping.py ("fuyu").
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, width_of
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Encoder


class Schema(CompositeSchema):
    inert_keys = ("image_size", "num_key_value_heads")
    renames = (
        ("lm_head.", "language_model.lm_head."),
        ("model.language_model.", "language_model.model."),
        ("model.", ""),
    )

    text_config: Annotated[ConfigSchema, nested("persimmon"), DEFAULT]
    patch_size: Size = 30
    num_channels: Size = 3

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        width = self.patch_size**2 * self.num_channels
        return [group("vision", linear(f"{prefix}.vision_embed_tokens", text.facts.hidden_size, width, "embedding", bias=True))], []

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of 1,080 x 1,920 pixels: there are no layers, a token is a linear layer over its pixels."""
        patches = (1080 // self.patch_size) * (1920 // self.patch_size)
        source = "transformers 5.24, models/fuyu/image_processing_fuyu.py `size`"
        return (Encoder("image", patches, patches, self.num_channels * self.patch_size**2, width_of(self.text_config), 0, source),)
