"""ELECTRA: BERT with an embedding narrower than the layers.

Source: transformers 5.23, models/electra/modeling_electra.py (`ElectraForCausalLM`) and configuration_electra.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import bert
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Shard, Tensor


class Schema(bert.Schema):
    whole_heads = False
    pooler = ""
    root = "electra"

    embedding_size: Size = 128
    hidden_size: Size = 256
    num_attention_heads: Size = 4
    intermediate_size: Size = 1024

    @property
    def embedding_width(self) -> int:
        return self.embedding_size

    def extra_tensors(self) -> Iterable[Tensor]:
        if self.embedding_size != self.hidden_size:
            yield from linear("embeddings_project", self.hidden_size, self.embedding_size, "other", bias=True)

    def head(self) -> Iterator[Tensor]:
        width, v = self.embedding_size, self.vocab_size
        yield from layer_norm("generator_predictions.LayerNorm", width)
        yield from linear("generator_predictions.dense", width, self.hidden_size, "head", bias=True)
        yield Tensor("generator_lm_head.weight", (v, width), "head", Shard(0, v), kind=self.tied())
        yield Tensor("generator_lm_head.bias", (v,), "head", Shard(0, v))
