"""T5Gemma 2: an encoder of text and images and a decoder, both Gemma 3's, that share their embedding.

Source: transformers 5.23, models/t5gemma2/modeling_t5gemma2.py (`T5Gemma2ForConditionalGeneration`) and configuration_t5gemma2.py
(defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import join
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.gemma3_text import T5gemma2Text as Decoder
from archcalc.arch.t5gemma2_encoder import Schema as Encoder
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Group, Kind, Shard, Tensor


class Schema(ConfigSchema):
    inert_keys = ("vocab_size", "classifier_dropout_rate")

    encoder: Annotated[Encoder, nested("t5gemma2_encoder", fixed=True), DEFAULT]
    decoder: Annotated[Decoder, nested("t5gemma2_decoder", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        text, decoder, tied = self.encoder.text_config, self.decoder, self.tie_word_embeddings
        for key in ("hidden_size", "vocab_size"):
            if getattr(text, key) != getattr(decoder, key):
                raise ConfigError(
                    f"decoder.{key} is not encoder.text_config.{key}", "make them equal: both share an embedding", f"decoder.{key}"
                )
        rows = decoder.vocab_size
        kind: Kind = "tied" if tied else "param"
        head = Tensor("lm_head.out_proj.weight", (rows, decoder.hidden_size), "head", Shard(0, rows), kind=kind)
        groups, layers = self.encoder.tower(join(prefix, "encoder"))
        own, own_layers = decoder.body(join(prefix, "decoder"), tied=tied)
        facts = decoder.standalone().facts._replace(tied_embeddings=tied)
        facts = facts._replace(more=(*facts.more, ("encoder", f"{text.num_hidden_layers} layers")))
        return Architecture("t5gemma2", (*groups, *own, Group("head", (head,))), (*own_layers, *layers), facts, crosses=True)
