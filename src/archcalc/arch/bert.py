"""BERT.

Source: transformers 5.23, models/bert/modeling_bert.py and configuration_bert.py (defaults).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Shard, Tensor


class Schema(BertSchema):
    root = "bert"


class Ernie(Schema):
    """ERNIE 1 to 3: BERT, with a table of tasks if asked for.
    Source: transformers 5.23, models/ernie/modeling_ernie.py and configuration_ernie.py (defaults)."""

    root = "ernie"

    task_type_vocab_size: Size = 3
    use_task_id: Flag = False

    def tables(self) -> Iterator[Tensor]:
        yield from super().tables()
        if self.use_task_id:
            yield table("task_type_embeddings", self.task_type_vocab_size, self.hidden_size)


class BigBird(Schema):
    """BigBird: BERT whose attention sees the first and last blocks, its neighbours and a few at random.
    Source: transformers 5.23, models/big_bird/modeling_big_bird.py and configuration_big_bird.py (defaults; Zaheer et al. 2020,
    arXiv:2007.14062)."""

    inert_keys = (*Schema.inert_keys, "rescale_embeddings", "is_encoder")
    pooler = "pooler"

    vocab_size: Size = 50358
    hidden_act: str = "gelu_new"
    max_position_embeddings: Size = 4096
    use_bias: Flag = True
    attention_type: str = "block_sparse"
    block_size: Size = 64
    num_random_blocks: Size = 3

    def qkv_bias(self) -> bool:
        return self.use_bias

    def more(self) -> dict[str, Any]:
        sparse = f"blocks of {self.block_size}: first, last, three around, {self.num_random_blocks} at random"
        return {"more": (("sparse attention", sparse),)} if self.attention_type == "block_sparse" else {}


class BertGeneration(Schema):
    """BERT for generation: BERT without kinds of segments and with a plain head.
    Source: transformers 5.23, models/bert_generation/modeling_bert_generation.py and configuration_bert_generation.py
    (defaults)."""

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


class MegatronBert(Schema):
    """Megatron-BERT: BERT with norms before attention and FFN.
    Source: transformers 5.23, models/megatron_bert/modeling_megatron_bert.py and configuration_megatron_bert.py (defaults)."""

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
