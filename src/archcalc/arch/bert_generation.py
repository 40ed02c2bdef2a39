"""BERT for generation: BERT without kinds of segments and with a plain head.

Source: transformers 5.23, models/bert_generation/modeling_bert_generation.py and configuration_bert_generation.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import bert
from archcalc.arch._schema import Layers, Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Shard, Tensor


class Schema(bert.Schema):
    name = "bert-generation"
    pooler = ""

    vocab_size: Size = 50358
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    intermediate_size: Size = 4096

    def tables(self) -> Iterator[Tensor]:
        yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield from layer_norm("LayerNorm", self.hidden_size)

    def head(self) -> Iterator[Tensor]:
        yield Tensor("lm_head.bias", (self.vocab_size,), "head", Shard(0, self.vocab_size))
        yield from self.matrix("lm_head.decoder", self.hidden_size)
