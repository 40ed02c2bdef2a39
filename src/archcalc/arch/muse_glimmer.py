"""Muse Glimmer with its vision tower.

Source: transformers 5.23, models/muse_glimmer/modeling_muse_glimmer.py and configuration_muse_glimmer.py (defaults).
"""

from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.arch.muse_spark_audio import Schema as Audio
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import projector
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Shard


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("text_config", "vision_config")
    inert_keys = ("projector_hidden_act",)

    text_config: Annotated[ConfigSchema, nested("muse_glimmer_text"), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("muse_glimmer_vision"), Field(default={}, validate_default=True)]
    out_hidden_size: Size = 6144
    projector_hidden_size: Size = 4096
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_tower")
        width, hidden = self.projector_hidden_size, text.facts.hidden_size
        names = f"{prefix}.vision_adapter.fc1", f"{prefix}.vision_adapter.fc2"
        adapter = [
            *projector(names, (self.out_hidden_size, width, width), bias=False),
            *linear(f"{prefix}.vision_projection", hidden, width, "other", shard=Shard(1, width)),
        ]
        groups.append(group("vision", adapter))
        return with_tower(text, groups, stacks, tied=self.tie_word_embeddings)


class MuseSpark(Schema):
    """Muse Spark: Muse Glimmer's form with experts and an audio tower. The head is never tied.
    Source: transformers 5.23, models/muse_spark/modeling_muse_spark.py and configuration_muse_spark.py (defaults)."""

    core_keys = ()

    text_config: Annotated[ConfigSchema, nested("muse_spark_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("muse_spark_vision", fixed=True), DEFAULT]
    audio_config: Annotated[Audio, nested("muse_spark_audio", fixed=True), DEFAULT]

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.audio_config.out_hidden_size != a.facts.hidden_size:
            key = "audio_config.out_hidden_size"
            raise ConfigError(f"{key} is not text_config.hidden_size ({a.facts.hidden_size})", "make them equal", key)
        groups, stacks = self.audio_config.tower(f"{prefix}.audio_tower")
        return with_tower(a, groups, stacks, tied=False)
