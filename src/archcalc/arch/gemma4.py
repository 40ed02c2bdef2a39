"""Gemma 4 with its vision tower and, in the small models, an audio tower.

Source: transformers 5.23, models/gemma4/modeling_gemma4.py and configuration_gemma4.py (defaults: no tower unless its config is
there).
"""

from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.gemma4_audio import Schema as Audio
from archcalc.arch.gemma4_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Group, Part, Shard, Stack


class Schema(ConfigSchema):
    core_keys = ("text_config",)
    inert_keys: ClassVar[tuple[str, ...]] = ("vision_soft_tokens_per_image",)

    text_config: Annotated[ConfigSchema, nested("gemma4_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[Vision | None, nested("gemma4_vision", optional=True)] = None
    audio_config: Annotated[Audio | None, nested("gemma4_audio", optional=True)] = None
    tie_word_embeddings: Flag = True

    def tied(self) -> bool | None:
        """Whether the head is the embedding, or None where there is no head."""
        return self.tie_word_embeddings

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(join(prefix, "language_model"))
        groups: list[Group] = []
        stacks: list[Stack] = []
        towers: tuple[tuple[Part, Vision | Audio | None], ...] = (("vision", self.vision_config), ("audio", self.audio_config))
        for part, config in towers:
            if config is not None:
                outside, layers = config.tower(join(prefix, f"{part}_tower"))
                width, hidden = config.output_width, text.facts.hidden_size
                projection = linear(
                    join(prefix, f"embed_{part}.embedding_projection"), hidden, width, "other", shard=Shard(1, width)
                )
                groups += [*outside, group(part, projection)]
                stacks += layers
        return with_tower(text, groups, stacks, tied=self.tied())


class EmbeddingGemma2(Schema):
    """EmbeddingGemma 2: Gemma 4's towers beside an encoder that makes one vector of text, pictures and sound.
    Source: transformers 5.23, models/embedding_gemma2/modeling_embedding_gemma2.py and configuration_embedding_gemma2.py (defaults: no
    tower unless its config is there)."""

    prefix = "model"
    prefix = ""
    inert_keys = ("tie_word_embeddings", "eoa_token_index")

    text_config: Annotated[ConfigSchema, nested("embedding_gemma2_text"), DEFAULT]

    def tied(self) -> bool | None:
        return None
