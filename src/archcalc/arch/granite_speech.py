"""Granite Speech: Granite with a conformer, whose frames a Q-Former turns into tokens. The LoRA that its repositories add is not counted.

Source: transformers 5.23, models/granite_speech/modeling_granite_speech.py and configuration_granite_speech.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.arch.blip_2_qformer import Schema as QFormer
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Group, Tensor


class Schema(CompositeSchema):
    inert_keys = ("has_lora_adapter",)

    text_config: Annotated[ConfigSchema, nested("granite"), DEFAULT]
    encoder_config: Annotated[TowerSchema, nested("granite_speech_encoder", fixed=True), DEFAULT]
    projector_config: Annotated[QFormer, nested("blip_2_qformer"), DEFAULT]
    downsample_rate: Size = 5
    window_size: Size = 15
    tie_word_embeddings: Flag | None = True

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        name, former = f"{prefix}.projector", self.projector_config
        groups, stacks = self.encoder_config.tower(f"{prefix}.encoder")
        inner, layers = former.tower(f"{name}.qformer")
        h = former.hidden_size
        outside = [
            Tensor(f"{name}.query", (1, self.window_size // self.downsample_rate, h), "embedding"),
            *linear(f"{name}.linear", text.facts.hidden_size, h, "other", bias=True),
        ]
        groups += [Group("audio", g.tensors) for g in inner]
        return [*groups, group("audio", outside)], stacks + [s._replace(part="audio") for s in layers]


class GraniteSpeechPlus(Schema):
    """Granite Speech Plus: Granite Speech whose Q-Former may read several of the tower's layers at once.
    Source: transformers 5.23, models/granite_speech_plus/modeling_granite_speech_plus.py and configuration_granite_speech_plus.py
    (defaults)."""

    encoder_config: Annotated[TowerSchema, nested("granite_speech_plus_encoder", fixed=True), DEFAULT]
