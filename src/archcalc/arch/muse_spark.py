"""Muse Spark: Muse Glimmer's form with experts and an audio tower. The head is never tied.

Source: transformers 5.23, models/muse_spark/modeling_muse_spark.py and configuration_muse_spark.py (defaults).
"""

from typing import Annotated

from archcalc.arch import muse_glimmer
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import with_tower
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.arch.muse_spark_audio import Schema as Audio
from archcalc.errors import ConfigError
from archcalc.model import Architecture


class Schema(muse_glimmer.Schema):
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
