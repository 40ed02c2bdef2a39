"""An encoder of sound with a row for each token behind it (CTC): what such classes have alike.

Source: transformers 5.24, models/parakeet/modeling_parakeet.py (`ParakeetForCTC`), models/lasr/modeling_lasr.py (`LasrForCTC`).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._schema import Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.arch.parakeet_encoder import Schema as Encoder
from archcalc.model import Tensor


class CtcSchema(TowerSchema):
    """The encoder of `encoder_config`, and a head as the class in `architectures` says."""

    inert_keys = ("ctc_loss_reduction", "ctc_zero_infinity")

    encoder_config: Annotated[Encoder, DEFAULT]
    vocab_size: Size

    @property
    def hidden_size(self) -> int:
        return self.encoder_config.hidden_size

    @property
    def num_attention_heads(self) -> int:
        return self.encoder_config.num_attention_heads

    def tower(self, prefix: str) -> Pieces:
        return self.encoder_config.tower(prefix)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return conv("ctc_head", self.vocab_size, self.hidden_size, 1, role="head") if name.endswith("ForCTC") else None
