"""GTE (multilingual): BERT with rotary positions and a GeGLU.

Source: transformers 5.23, models/gte/modeling_gte.py (`GteForMaskedLM`) and configuration_gte.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import nomic_bert
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Layer, Shard, Tensor


class Schema(nomic_bert.Schema):
    root = "gte"

    vocab_size: Size = 250048
    hidden_act: str = "gelu"
    max_position_embeddings: Size = 8192
    type_vocab_size: Size = 1

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        norms = (*layer_norm("post_attention_layernorm", h), *layer_norm("post_mlp_layernorm", h))
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, True, True)
        # Only the last of the FFN's projections has a bias.
        bias = (Tensor("mlp.down_proj.bias", (h,), "mlp"),)
        return encoder_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms, extra=bias)

    def head(self) -> Iterator[Tensor]:
        h, v = self.hidden_size, self.vocab_size
        yield from linear("lm_head.dense", h, h, "head", bias=True)
        yield from layer_norm("lm_head.layer_norm", h)
        yield Tensor("lm_head.decoder.weight", (v, h), "head", Shard(0, v), kind=self.tied())
        yield Tensor("lm_head.decoder.bias", (v,), "head", Shard(0, v))
