"""Omnilingual ASR with a language model: Llama that reads what a Wav2Vec 2.0 encoder heard, through one linear layer.

Source: transformers 5.24, models/omniasr/modeling_omniasr.py (`OmniASRForConditionalGeneration`) and configuration_omniasr.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.omniasr_audio import Schema as Audio
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture

LLAMA = {
    "hidden_size": 4096, "intermediate_size": 2816, "num_hidden_layers": 12, "num_attention_heads": 8, "vocab_size": 11984,
    "max_position_embeddings": 8192,
}  # fmt: skip


class Schema(CompositeSchema):
    core_keys = ("text_config", "audio_config")
    inert_keys = ("num_special_tokens", "language_token_id", "language_mapping", "num_languages")
    ties = "never"

    text_config: Annotated[ConfigSchema, nested("llama", absent=LLAMA), DEFAULT]
    audio_config: Annotated[Audio, nested("omniasr_audio", fixed=True), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.audio_config.tower(f"{prefix}.audio_tower")
        hidden = text.facts.hidden_size
        projector = linear(f"{prefix}.multi_modal_projector", hidden, self.audio_config.hidden_size, "other", bias=True)
        return [*groups, group("audio", projector)], stacks
