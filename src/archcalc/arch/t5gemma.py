"""T5Gemma: an encoder and a decoder of Gemma 2's layers, each with an embedding of its own.

Source: transformers 5.23, models/t5gemma/modeling_t5gemma.py (`T5GemmaForConditionalGeneration`) and configuration_t5gemma.py
(defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import join
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.t5_gemma_module import Schema as Half
from archcalc.model import Architecture, Group, Kind, Shard, Tensor


class Schema(ConfigSchema):
    inert_keys = ("vocab_size", "classifier_dropout_rate")

    encoder: Annotated[Half, nested("t5_gemma_module", fixed=True), DEFAULT]
    decoder: Annotated[Half, nested("t5_gemma_module", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        rows, tied = self.decoder.vocab_size, self.tie_word_embeddings
        kind: Kind = "tied" if tied else "param"
        head = Tensor("lm_head.out_proj.weight", (rows, self.decoder.hidden_size), "head", Shard(0, rows), kind=kind)
        read, layers = self.encoder.half(join(prefix, "encoder"))
        groups, own = self.decoder.half(join(prefix, "decoder"), self.encoder.hidden_size)
        facts = self.decoder.standalone().facts._replace(tied_embeddings=tied)
        facts = facts._replace(
            attention=f"{facts.attention} + cross-attention",
            more=(*facts.more, ("encoder", f"{self.encoder.num_hidden_layers} layers")),
        )
        return Architecture("t5gemma", (*groups, *read, Group("head", (head,))), (*own, *layers), facts, crosses=True)
