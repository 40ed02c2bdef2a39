"""RemBERT: BERT with an embedding narrower than the layers and a head wider than them, not tied.

Source: transformers 5.23, models/rembert/modeling_rembert.py and configuration_rembert.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import bert
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Shard, Tensor


class Schema(bert.Schema):
    whole_heads = False
    root = "rembert"

    vocab_size: Size = 250300
    hidden_size: Size = 1152
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 18
    input_embedding_size: Size = 256
    output_embedding_size: Size = 1664
    intermediate_size: Size = 4608
    tie_word_embeddings: Flag = False

    @property
    def embedding_width(self) -> int:
        return self.input_embedding_size

    def extra_tensors(self) -> Iterable[Tensor]:
        return linear("encoder.embedding_hidden_mapping_in", self.hidden_size, self.input_embedding_size, "other", bias=True)

    def head(self) -> Iterator[Tensor]:
        out, v = self.output_embedding_size, self.vocab_size
        yield from linear("cls.predictions.dense", out, self.hidden_size, "head", bias=True)
        yield from linear("cls.predictions.decoder", v, out, "head", bias=True, shard=Shard(0, v))
        yield from layer_norm("cls.predictions.LayerNorm", out)
