"""LED: BART whose encoder sees a window, and a few tokens that see all through projections of their own.

Source: transformers 5.23, models/led/modeling_led.py and configuration_led.py (defaults); Beltagy et al. 2020, arXiv:2004.05150.
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Size, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Layer, Shard, Tensor

INNER = "longformer_self_attn"
NAMES = (f"{INNER}.query", f"{INNER}.key", f"{INNER}.value", "output")


class Schema(BartSchema):
    inert_keys = (*BartSchema.inert_keys, "attention_window")
    root = "led"

    max_encoder_position_embeddings: Size = 16384
    max_position_embeddings: Size = named(1024, "max_decoder_position_embeddings")

    def encoder_layer(self) -> Layer:
        h, heads = self.d_model, self.encoder_attention_heads
        dim = divided(h, heads, "d_model", "encoder_attention_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, True, True, rope=False, names=NAMES)
        norms = (*layer_norm("self_attn_layer_norm", h), *layer_norm("final_layer_norm", h))
        ffn = FeedForward(h, self.encoder_ffn_dim, self.activation_function)
        extra = (
            t
            for name in NAMES[:3]
            for t in prefixed("self_attn", linear(f"{name}_global", h, h, "attention", bias=True, shard=Shard(0, heads)))
        )
        return encoder_layer(attention, ffn, norms, ffn_name="", extra=extra)

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        rows = self.max_position_embeddings if decodes else self.max_encoder_position_embeddings
        yield table("embed_positions", rows, self.d_model)
        yield from layer_norm("layernorm_embedding", self.d_model)
