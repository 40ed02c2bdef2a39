"""XLM-RoBERTa XL and XXL: RoBERTa with norms before attention and FFN, and none behind the embedding.

Source: transformers 5.23, models/xlm_roberta_xl/modeling_xlm_roberta_xl.py and configuration_xlm_roberta_xl.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import roberta
from archcalc.arch._schema import Layers, Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(roberta.Schema):
    name = "xlm-roberta-xl"
    attention_norm = "self_attn_layer_norm"
    ffn_norm = "LayerNorm"
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 250880
    hidden_size: Size = 2560
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 32
    intermediate_size: Size = 10240
    max_position_embeddings: Size = 514
    type_vocab_size: Size = 1

    def tables(self) -> Iterator[Tensor]:
        yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield table("token_type_embeddings", self.type_vocab_size, self.hidden_size)

    def extra_tensors(self) -> Iterable[Tensor]:
        return layer_norm("encoder.LayerNorm", self.hidden_size)
