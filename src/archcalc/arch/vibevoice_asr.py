"""VibeVoice-ASR: two encoders of the waveform, one acoustic and one semantic, beside a text model.

Source: transformers 5.23, models/vibevoice_asr/modeling_vibevoice_asr.py and configuration_vibevoice_asr.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, width_of
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Tensor

ENCODER = "vibevoice_acoustic_tokenizer_encoder"


class Schema(CompositeSchema):
    inert_keys = ("acoustic_tokenizer_chunk_size",)
    ties = "never"

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    acoustic_tokenizer_encoder_config: Annotated[TowerSchema, nested(ENCODER), DEFAULT]
    semantic_tokenizer_encoder_config: Annotated[TowerSchema, nested(ENCODER, absent={"hidden_size": 128}), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        h, groups, stacks = text.facts.hidden_size, [], []
        projection: list[Tensor] = []
        towers = {"acoustic": self.acoustic_tokenizer_encoder_config, "semantic": self.semantic_tokenizer_encoder_config}
        for name, tower in towers.items():
            pieces = tower.tower(join(prefix, f"{name}_tokenizer_encoder"))
            groups += pieces[0]
            stacks += pieces[1]
            below = f"{prefix}.multi_modal_projector.{name}"
            projection += linear(f"{below}_linear_1", h, width_of(tower), "other", bias=True)
            projection += [rms_norm(f"{below}_norm", h), *linear(f"{below}_linear_2", h, h, "other", bias=True)]
        return [*groups, group("audio", projection)], stacks
