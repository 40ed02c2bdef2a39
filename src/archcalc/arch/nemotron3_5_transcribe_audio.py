"""What hears for Nemotron 3.5 Transcribe: an encoder of speech, and a whole model of who speaks.

Source: transformers 5.23, models/nemotron3_5_transcribe/modeling_nemotron3_5_transcribe.py (`Nemotron3_5TranscribeAudioModel`) and
configuration_nemotron3_5_transcribe.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.nemotron3_5_transcribe_asr_audio import Schema as Speech
from archcalc.arch.nemotron3_diarization import Schema as Speakers
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.model import Group, Stack


class Schema(TowerSchema):
    inert_keys = ("speaker_activity_threshold",)

    asr_config: Annotated[Speech, nested("nemotron3_5_transcribe_asr_audio", fixed=True), DEFAULT]
    diarization_config: Annotated[Speakers, nested("nemotron3_diarization"), DEFAULT]

    @property
    def hidden_size(self) -> int:
        return self.asr_config.hidden_size

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        groups, stacks = self.asr_config.tower(join(prefix, "asr_encoder"))
        more, others = self.diarization_config.tower(join(prefix, "diarization_model"))
        speakers = self.diarization_config.head.num_speakers
        norms = (*layer_norm("asr_norm", self.hidden_size), *layer_norm("speaker_norm", speakers))
        return [*groups, *more, group("audio", prefixed(prefix, norms))], [*stacks, *others]
