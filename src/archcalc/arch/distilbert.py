"""DistilBERT: BERT with half the layers and without token types.

Source: transformers 5.23, models/distilbert/modeling_distilbert.py (`DistilBertForMaskedLM`) and configuration_distilbert.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bert import BertSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Layer, Shard, Tensor


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    inert_keys = (*BertSchema.inert_keys, "tie_weights_")
    pooler = ""
    root = "distilbert"
    layers_name = "transformer.layer"

    hidden_size: Size = named(768, "dim", "hidden_size")
    num_hidden_layers: Layers = named(6, "n_layers", "num_hidden_layers")
    num_attention_heads: Size = named(12, "n_heads", "num_attention_heads")
    intermediate_size: Size = named(3072, "hidden_dim")
    hidden_act: str = named("gelu", "activation")
    sinusoidal_pos_embds: Flag = False

    def tables(self) -> Iterator[Tensor]:
        # Sines too are registered as a parameter.
        yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)
        yield from layer_norm("LayerNorm", self.hidden_size)

    def layer(self) -> Layer:
        h, heads, names = self.hidden_size, self.num_attention_heads, ("q_lin", "k_lin", "v_lin", "out_lin")
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, True, True, rope=False, names=names)
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=("lin1", "lin2"))
        norms = (*layer_norm("sa_layer_norm", h), *layer_norm("output_layer_norm", h))
        return encoder_layer(attention, ffn, norms, attention_name="attention", ffn_name="ffn")

    def head(self) -> Iterator[Tensor]:
        h, v = self.hidden_size, self.vocab_size
        yield from linear("vocab_transform", h, h, "head", bias=True)
        yield from layer_norm("vocab_layer_norm", h)
        yield Tensor("vocab_projector.weight", (v, h), "head", Shard(0, v), kind=self.tied())
        yield Tensor("vocab_projector.bias", (v,), "head", Shard(0, v))
