"""Marian, the models of OPUS-MT: sinusoidal positions that are stored, norms behind the blocks.

Source: transformers 5.23, models/marian/modeling_marian.py and configuration_marian.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Flag, Size
from archcalc.model import SINUSOIDAL, Group, Stack


class Schema(BartSchema):
    offset = 0
    embedding_norm = False
    position = SINUSOIDAL

    vocab_size: Size = 58101
    decoder_vocab_size: Derived = 0
    share_encoder_decoder_embeddings: Flag = True

    def vocabulary(self) -> int:
        one = not self.alone and self.share_encoder_decoder_embeddings
        return self.vocab_size if one else self.decoder_vocab_size or self.vocab_size

    def both(self) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().both()
        if self.share_encoder_decoder_embeddings:
            return groups, stacks
        # Each half has a table of its own.
        own = groups[0].tensors[1]._replace(kind="param")
        return [groups[0]._replace(tensors=(own,)), *groups[1:]], stacks
