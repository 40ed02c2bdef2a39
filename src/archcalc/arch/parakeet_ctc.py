"""Parakeet with a row for each token (CTC). It caches nothing.

Source: transformers 5.24, models/parakeet/modeling_parakeet.py (`ParakeetForCTC`) and configuration_parakeet.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._ctc import CtcSchema
from archcalc.arch._schema import Size, nested
from archcalc.arch.parakeet_encoder import Schema as Encoder


class Schema(CtcSchema):
    prefix = "encoder"

    encoder_config: Annotated[Encoder, nested("parakeet_encoder", fixed=True), DEFAULT]
    vocab_size: Size = 1025
