"""FSMT, the models of WMT19: a vocabulary for each side, sinusoidal positions that are listed, norms behind the blocks.

Source: transformers 5.24, models/fsmt/modeling_fsmt.py (`FSMTForConditionalGeneration`) and configuration_fsmt.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Size
from archcalc.model import SINUSOIDAL, Group, Stack


class Schema(BartSchema):
    inert_keys = (*BartSchema.inert_keys, "langs", "decoder")
    logits_bias = False
    embedding_norm = False
    position = SINUSOIDAL
    head_name = "model.decoder.output_projection"

    src_vocab_size: Size = 42024
    vocab_size: Size = named(42024, "tgt_vocab_size", "vocab_size")
    activation_function: str = "relu"
    tie_word_embeddings: Flag = False

    def both(self) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().both()
        # Each side has its own table, or the encoder's is the decoder's.
        own = self.words("model.encoder.embed_tokens", self.src_vocab_size, "tied" if self.tie_word_embeddings else "param")
        return [Group("embedding", (own,)), *groups[1:]], stacks
