"""BigBird: BERT whose attention sees the first and last blocks, its neighbours and a few at random.

Source: transformers 5.23, models/big_bird/modeling_big_bird.py and configuration_big_bird.py (defaults; Zaheer et al. 2020,
arXiv:2007.14062).
"""

from typing import Any

from archcalc.arch import bert
from archcalc.arch._schema import Flag, Size


class Schema(bert.Schema):
    inert_keys = (*bert.Schema.inert_keys, "rescale_embeddings", "is_encoder")
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
