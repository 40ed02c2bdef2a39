"""Nemotron 3.5 Transcribe: Nemotron-H with an encoder of speech, a model of who speaks and a head that times words.

Source: transformers 5.23, models/nemotron3_5_transcribe/modeling_nemotron3_5_transcribe.py
(`Nemotron3_5TranscribeForConditionalGeneration`, which ties nothing) and configuration_nemotron3_5_transcribe.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import task_of
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch._whisper import conv
from archcalc.arch.nemotron3_5_transcribe_audio import Schema as Audio
from archcalc.arch.nemotron3_5_transcribe_word_timestamp import Schema as Words
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture

TEXT = {
    "hidden_size": 2688, "intermediate_size": 1856, "mamba_num_heads": 64, "max_position_embeddings": 262144,
    "moe_intermediate_size": 1856, "moe_shared_expert_intermediate_size": 3712, "n_routed_experts": 128, "num_experts_per_tok": 6,
    "num_key_value_heads": 2, "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
}  # fmt: skip

# How NeMo names what its checkpoints hold as the reference does; it fuses the encoders' queries, keys and values.
NEMO = (
    ("lm_head.", "llm.lm_head."),
    ("model.language_model.embeddings.", "llm.model.embed_tokens."),
    ("model.language_model.norm_f.", "llm.model.norm."),
    ("model.language_model.layers.", "llm.model.layers."),
    ("model.multi_modal_projector.", "perception.proj."),
)


class Schema(CompositeSchema):
    renames = NEMO
    ties = "never"

    architectures: list[str] | None = None
    text_config: Annotated[ConfigSchema, nested("nemotron_h", absent=TEXT), DEFAULT]
    audio_config: Annotated[Audio, nested("nemotron3_5_transcribe_audio", fixed=True), DEFAULT]
    word_timestamp_config: Annotated[Words, nested("nemotron3_5_transcribe_word_timestamp", fixed=True), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        words = self.word_timestamp_config
        groups, stacks = self.audio_config.tower(join(prefix, "audio_tower"))
        more, others = words.tower(join(prefix, "word_timestamp_encoder"))
        name = join(prefix, "multi_modal_projector")
        outside = [*linear(name, text.facts.hidden_size, self.audio_config.hidden_size, "other", bias=True)]
        if task_of(self.architectures) != "bare":
            outside += conv("word_timestamp_head", words.vocab_size, words.hidden_size, 1)
        return [*groups, *more, group("audio", outside)], [*stacks, *others]
