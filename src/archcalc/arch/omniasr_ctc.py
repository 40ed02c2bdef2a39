"""Omnilingual ASR without a language model: the encoder and a row for each letter. It caches nothing.

Source: transformers 5.24, models/omniasr/modeling_omniasr.py (`OmniASRForCTC`) and configuration_omniasr.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.arch.omniasr_audio import Schema as Audio
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(TowerSchema):
    inert_keys = ("blank_token_id", "ctc_loss_reduction", "ctc_zero_infinity")

    audio_config: Annotated[Audio, nested("omniasr_audio", fixed=True), DEFAULT]
    vocab_size: Size = 10288

    @property
    def hidden_size(self) -> int:
        return self.audio_config.hidden_size

    @property
    def num_attention_heads(self) -> int:
        return self.audio_config.num_attention_heads

    def tower(self, prefix: str) -> Pieces:
        return self.audio_config.tower(f"{prefix}.audio_tower")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return linear("ctc_head", self.vocab_size, self.hidden_size, "head", bias=True) if name.endswith("ForCTC") else None
