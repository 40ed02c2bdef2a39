"""Llama 3.2 Vision.

Source: transformers 5.23, models/mllama/modeling_mllama.py and configuration_mllama.py (defaults), conversion_mapping.py ("mllama").
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import stated, tiled
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.mllama_vision_model import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Encoder, Shard

RENAMES = (
    ("lm_head.", "language_model.lm_head."),
    ("model.language_model.", "language_model.model."),
    ("model.", ""),
)


class Schema(ConfigSchema):
    core_keys = ("text_config", "vision_config")
    inert_keys = ("tie_word_embeddings",)

    text_config: Annotated[ConfigSchema, nested("mllama_text_model"), Field(default={}, validate_default=True)]
    vision_config: Annotated[Vision, nested("mllama_vision_model"), Field(default={}, validate_default=True)]

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_model")
        width, hidden = self.vision_config.vision_output_dim, text.facts.hidden_size
        projector = linear(f"{prefix}.multi_modal_projector", hidden, width, "other", bias=True, shard=Shard(0, hidden))
        groups.append(group("vision", projector))
        return with_tower(text, groups, stacks, renames=RENAMES)

    def encoders(self) -> tuple[Encoder, ...]:
        """As many tiles as the config allows."""
        source = "the config's max_num_tiles"
        return tiled(super().encoders(), stated(self.vision_config, "max_num_tiles", 4), None, source)
