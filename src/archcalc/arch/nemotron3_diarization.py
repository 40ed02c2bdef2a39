"""Nemotron 3 Diarization: an encoder of speech and a head that says who speaks in each frame.

Source: transformers 5.23, models/nemotron3_diarization/modeling_nemotron3_diarization.py
(`Nemotron3DiarizationForAudioFrameClassification`) and configuration_nemotron3_diarization.py (defaults).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.arch._whisper import conv
from archcalc.arch.nemotron3_diarization_audio import Schema as Audio
from archcalc.blocks._tensor import linear, prefixed
from archcalc.model import Group, Stack, Tensor


class Head(TowerSchema):
    inert_keys = ("audio_hidden_size",)

    hidden_size: Size = 192
    num_speakers: Size = 8
    subsampling_factor: Size = 8


class Schema(TowerSchema):
    whole = False
    inert_keys = (
        "streaming_config", "chunk_length", "chunk_right_context", "chunk_left_context", "fifo_length",
        "speaker_cache_update_period",
    )  # fmt: skip

    audio_config: Annotated[Audio, nested("nemotron3_diarization_audio", fixed=True), DEFAULT]
    head_config: Head | None = Field(default_factory=Head)

    @property
    def head(self) -> Head:
        return self.head_config or Head()

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        head, width = self.head, self.audio_config.hidden_size
        h = head.hidden_size
        outside = (
            Tensor("silence_embeds", (width,), "embedding"),
            *linear("model.proj", h, width, "other", bias=True),
            *conv("model.upsampler.conv", h * head.subsampling_factor, h, 3),
            *linear("classifier.dense", h, h, "other", bias=True),
            *linear("classifier.out_proj", head.num_speakers, h, "other", bias=True),
        )
        groups, stacks = self.audio_config.tower(join(prefix, "model.audio_tower"))
        return [*groups, group("audio", prefixed(prefix, outside))], stacks
