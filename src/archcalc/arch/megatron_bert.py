"""Megatron-BERT: BERT with norms before attention and FFN.

Source: transformers 5.23, models/megatron_bert/modeling_megatron_bert.py and configuration_megatron_bert.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import bert
from archcalc.arch._schema import Layers, Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(bert.Schema):
    name = "megatron-bert"
    attention_norm = "ln"
    ffn_norm = "ln"
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 29056
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    intermediate_size: Size = 4096

    def tables(self) -> Iterator[Tensor]:
        yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield table("token_type_embeddings", self.type_vocab_size, self.hidden_size)

    def extra_tensors(self) -> Iterable[Tensor]:
        return layer_norm("encoder.ln", self.hidden_size)
