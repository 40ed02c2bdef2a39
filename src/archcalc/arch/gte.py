"""GTE (multilingual): BERT with rotary positions and a GeGLU.

Source: transformers 5.23, models/gte/modeling_gte.py (`GteForMaskedLM`) and configuration_gte.py (defaults).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch import nomic_bert
from archcalc.arch._schema import Count, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Layer, Shard, Tensor


class Schema(nomic_bert.Schema):
    # Of the class that `new` reads; the reference passes over them.
    inert_keys = (
        *nomic_bert.Schema.inert_keys, "logn_attention_clip1", "logn_attention_scale", "unpad_inputs", "pack_qkv", "layer_norm_type",
    )  # fmt: skip
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


class New(Schema):
    """GTE as first published (`new`): queries, keys and values in one projection, the FFN's two ways in in another.
    Source: vLLM 0.33, models/bert_with_rope.py (`GteNewModel`, `GteNewForSequenceClassification`)."""

    vocab_size: Size = 30528
    type_vocab_size: Count = 1
    position_embedding_type: str = "rope"

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        for key, known in (("position_embedding_type", "rope"), ("layer_norm_type", "layer_norm")):
            if config.get(key, known) != known:
                raise UnsupportedError(f"{key} is {json_text(config[key])}: {known} is known here")
        return config

    def tables(self) -> Iterator[Tensor]:
        yield from (t for t in super().tables() if t.shape[0])
