"""Mistral Large 4: Mistral Small 3.1's form with a larger tower and a sparse text model.

Source: transformers 5.23, models/mistral_large4/modeling_mistral_large4.py and configuration_mistral_large4.py (defaults).
"""

from typing import Annotated, Any

from archcalc.arch import mistral3
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.pixtral import Schema as Pixtral
from archcalc.model import Architecture

# What an absent vision_config stands for.
VISION: dict[str, Any] = {
    "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 30, "num_attention_heads": 16, "patch_size": 14,
    "hidden_act": "silu",
}  # fmt: skip


class Schema(mistral3.Schema):
    core_keys = ()

    text_config: Annotated[ConfigSchema, nested("mistral_large4_text", fixed=True), DEFAULT]
    vision_config: Annotated[Pixtral, nested("pixtral", absent=VISION), DEFAULT]
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=())
