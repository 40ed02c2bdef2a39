"""Kyutai's speech to text: Moshi's text model, which reads the codes of Mimi, a row of the embedding for each code of each codebook.

Source: transformers 5.23, models/kyutai_speech_to_text/modeling_kyutai_speech_to_text.py and configuration_kyutai_speech_to_text.py
(defaults).
"""

from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import with_tower
from archcalc.arch._heads import task_of
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Few, Layers, Size, Tokens, TowerSchema, nested
from archcalc.arch.moshi import Schema as Moshi
from archcalc.model import Architecture


class Schema(Moshi):
    core_keys = ()
    inert_keys = ("frame_size", "sampling_rate")

    vocab_size: Size = 4001
    hidden_size: Size = 2048
    intermediate_size: Size = named(11264, "ffn_dim")
    num_hidden_layers: Layers = 48
    max_position_embeddings: Tokens = 750
    sliding_window: Tokens | None = 375
    num_codebooks: Few = 32
    codebook_vocab_size: Size = 2049
    codec_config: Annotated[TowerSchema, nested("mimi"), DEFAULT]

    def decoder_options(self) -> dict[str, Any]:
        rows = self.vocab_size + self.num_codebooks * self.codebook_vocab_size + 1
        return {"embed": "embed_tokens.embed_tokens", "embed_rows": rows, "head_rows": self.vocab_size}

    def more(self) -> dict[str, Any]:
        return {}

    def architecture(self, prefix: str) -> Architecture:
        if task_of(self.architectures) == "bare":
            return PlainSchema.architecture(self, prefix)
        return with_tower(PlainSchema.architecture(self, prefix), *self.codec_config.tower("codec_model"))
