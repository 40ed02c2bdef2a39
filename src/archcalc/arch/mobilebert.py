"""MobileBERT: narrow layers between bottlenecks, several FFNs each, and an embedding of three tokens side by side.

Source: transformers 5.23, models/mobilebert/modeling_mobilebert.py (`MobileBertForMaskedLM`) and configuration_mobilebert.py
(defaults); Sun et al. 2020, arXiv:2004.02984. Its `NoNorm` holds a gain and a bias as a LayerNorm does.
"""

from collections.abc import Iterator

from archcalc.arch._bert import NAMES, BertSchema
from archcalc.arch._heads import Head, Sizes
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Layer, Shard, Tensor, both_ways


def dense(name: str, outer: int, inner: int) -> Iterator[Tensor]:
    """A linear layer and its norm."""
    yield from linear(f"{name}.dense", outer, inner, "other", bias=True)
    yield from layer_norm(f"{name}.LayerNorm", outer)


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    root = "mobilebert"
    inert_keys = (*BertSchema.inert_keys, "normalization_type")

    hidden_size: Size = 512
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 4
    intermediate_size: Size = 512
    hidden_act: str = "relu"
    embedding_size: Size = 128
    trigram_input: Flag = True
    use_bottleneck: Flag = True
    intra_bottleneck_size: Size = 128
    true_hidden_size: Size | None = None
    classifier_activation: Flag = True
    use_bottleneck_attention: Flag = False
    key_query_shared_bottleneck: Flag = True
    num_feedforward_networks: Layers = 4

    @property
    def embedding_width(self) -> int:
        return self.embedding_size

    @property
    def narrow(self) -> int:
        """The width of attention and FFNs: a stored one is taken as it stands."""
        return self.true_hidden_size or (self.intra_bottleneck_size if self.use_bottleneck else self.hidden_size)

    @property
    def head_size(self) -> int:
        return self.narrow // self.num_attention_heads

    def tables(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield table("position_embeddings", self.max_position_embeddings, h)
        yield table("token_type_embeddings", self.type_vocab_size, h)
        yield from linear("embedding_transformation", h, self.embedding_size * (3 if self.trigram_input else 1), "other", bias=True)
        yield from layer_norm("LayerNorm", h)

    def layer(self) -> Layer:
        h, narrow, heads = self.hidden_size, self.narrow, self.num_attention_heads
        attention = GroupedQueryAttention(narrow, heads, heads, self.head_size, True, True, rope=False, names=NAMES)
        ffn = FeedForward(narrow, self.intermediate_size, self.hidden_act, names=("intermediate.dense", "output.dense"))
        extra = [*layer_norm("attention.output.LayerNorm", narrow), *layer_norm("output.LayerNorm", narrow)]
        for i in range(self.num_feedforward_networks - 1):
            extra += prefixed(f"ffn.{i}", (*ffn.tensors(), *layer_norm("output.LayerNorm", narrow)))
        if self.use_bottleneck:
            extra += (*dense("bottleneck.input", self.intra_bottleneck_size, h), *dense("output.bottleneck", h, narrow))
            if self.key_query_shared_bottleneck:
                extra += dense("bottleneck.attention", self.intra_bottleneck_size, h)
        made = make_layer(attention, ffn, mixer_name="attention", ffn_name="", extra=extra)
        width = narrow if self.use_bottleneck_attention else h
        # Values read the whole width unless the bottleneck is theirs too; the output, what the heads need not fill.
        shapes = {
            "attention.self.value.weight": (self.head_size * heads, width),
            "attention.output.dense.weight": (narrow, narrow),
        }
        tensors = (t._replace(shape=shapes.get(t.name, t.shape)) for t in made.tensors)
        ffns = f"{self.num_feedforward_networks} x {made.ffn}" if self.num_feedforward_networks > 1 else made.ffn
        return both_ways(made._replace(ffn=ffns, tensors=tuple(tensors)))

    def built(self, spec: Head, sizes: Sizes, prefix: str) -> Architecture:
        # The pooler is a layer only where what it makes is activated.
        return super().built(spec._replace(pooled=spec.pooled and self.classifier_activation), sizes, prefix)

    def head(self) -> Iterator[Tensor]:
        h, rows, width = self.hidden_size, self.vocab_size, self.embedding_size
        yield Tensor("cls.predictions.bias", (rows,), "head", Shard(0, rows))
        yield from linear("cls.predictions.transform.dense", h, h, "head", bias=True)
        yield from layer_norm("cls.predictions.transform.LayerNorm", h)
        # The rest of the matrix beside the embedding, turned.
        yield Tensor("cls.predictions.dense.weight", (h - width, rows), "head", Shard(1, rows))
        yield from self.matrix("cls.predictions.decoder", width)
