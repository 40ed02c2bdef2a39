"""What BERT and its many relatives share: tables summed into an embedding, layers with a norm each behind attention and FFN, and a
head that predicts tokens, or another, as the class in `architectures` says.

Source: transformers 5.24, models/bert/modeling_bert.py; relatives override what differs, and `_heads` says which heads there are.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from archcalc.arch import _heads
from archcalc.arch._bert_keys import BertKeys
from archcalc.arch._computes import Computes, computed
from archcalc.arch._decoder import DecoderSchema, join
from archcalc.arch._inert import BUT
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError
from archcalc.model import LEARNED, Architecture, Facts, Group, Kind, Layer, Shard, Tensor, both_ways, stack

# Types whose layers held a table of distances between tokens where `position_embedding_type` is relative, in transformers 4.51.3
# (`distance_embedding` in their modeling files). 5.24 has none, and passes over those that checkpoints hold.
_DISTANCES = frozenset(
    """
    albert altclip_text_model bert bert-generation camembert chinese_clip_text_model clap_text_model data2vec-text electra ernie esm
    layoutlm megatron-bert roberta roberta-prelayernorm roc_bert xlm-roberta xlm-roberta-xl xmod
    """.split()
)
NAMES = ("self.query", "self.key", "self.value", "output.dense")


_PASSED_OVER = (
    "position_embedding_type is relative: transformers 4 trained a table of distances in each layer, which the checkpoint holds; 5 has no "
    "such positions and leaves the tables out, so they are among the stored elements and not among the parameters"
)


class BertSchema(BertKeys, DecoderSchema):
    """An encoder as its hooks say; a decoder where `is_decoder`."""

    prefix = ""
    reads_head_dim = False
    inert_keys: ClassVar[tuple[str, ...]] = (
        "position_embedding_type", "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type", "output_past", "use_pooler", "classifier_activation",
    )  # fmt: skip
    told_keys = ("position_embedding_type",)
    root: ClassVar[str]
    attention_norm: ClassVar[str] = "output.LayerNorm"
    ffn_norm: ClassVar[str] = "output.LayerNorm"
    norm_label: ClassVar[str] = "LayerNorm (post)"
    layers_name: ClassVar[str] = "encoder.layer"
    # Rows of the position table before the first position.
    offset: ClassVar[int] = 0
    # Whether the reference implementation lists the head before the table that it is tied to.
    head_first: ClassVar[bool] = False
    own_heads = True
    # Whether the reference implementation keeps keys and values where `is_decoder`, and attends to an encoder where
    # `add_cross_attention`; where not, the flag changes nothing.
    keeps_past: ClassVar[bool] = True
    reads_encoder: ClassVar[bool] = True
    # What some classes have behind the layers, where the type has it.
    pooler: ClassVar[str] = "pooler.dense"

    type_vocab_size: Size = 2
    is_decoder: Flag = False
    add_cross_attention: Flag = False
    tie_word_embeddings: Flag = True
    architectures: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    @property
    def kv_heads(self) -> int:
        return self.num_attention_heads

    @property
    def embedding_width(self) -> int:
        return self.hidden_size

    def qkv_bias(self) -> bool:
        return True

    def rotary(self) -> bool:
        return False

    def decodes(self) -> bool:
        """Whether its layers keep what they computed of the past."""
        return self.is_decoder and self.keeps_past

    def crosses(self) -> bool:
        """Whether its layers attend to an encoder."""
        return self.add_cross_attention and self.reads_encoder

    def tables(self) -> Iterator[Tensor]:
        """The embedding's further tables and its norm."""
        width = self.embedding_width
        yield table("position_embeddings", self.max_position_embeddings, width)
        yield table("token_type_embeddings", self.type_vocab_size, width)
        yield from layer_norm("LayerNorm", width)

    def extra_tensors(self) -> Iterable[Tensor]:
        """Tensors of the model that are in no layer and in no table, below the root."""
        return ()

    def extra(self) -> Iterable[Tensor]:
        """Further tensors of a layer."""
        return ()

    def distance_tables(self, name: str) -> Iterator[Tensor]:
        """A layer's table of distances, which checkpoints of relative positions hold and the reference does not read."""
        if self.relative():
            rows = 2 * self.max_position_embeddings - 1
            yield table(f"{name}.distance_embedding", rows, self.head_size)._replace(role="attention", kind="copy")

    def relative(self) -> bool:
        stated = getattr(self, "position_embedding_type", None)
        return stated in BUT["position_embedding_type"] and self.name in _DISTANCES

    def layer(self) -> Layer:
        h, heads, bias = self.hidden_size, self.num_attention_heads, self.qkv_bias()
        attention = GroupedQueryAttention(
            h, heads, heads, self.head_size, bias=bias, output_bias=True, rope=self.rotary(), names=NAMES
        )
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=("intermediate.dense", "output.dense"))
        extra = [*layer_norm(f"attention.{self.attention_norm}", h), *layer_norm(self.ffn_norm, h), *self.extra()]
        extra += self.distance_tables("attention.self")
        if self.crosses():
            if not self.is_decoder:
                raise ConfigError("add_cross_attention is true, but is_decoder is not", "set both", "is_decoder")
            extra += prefixed("crossattention", CrossAttention(h, heads, self.head_size, bias=bias, names=NAMES).tensors())
            extra += layer_norm(f"crossattention.{self.attention_norm}", h)
        layer = make_layer(attention, ffn, mixer_name="attention", ffn_name="", extra=extra)
        # The output reads the whole width, also where the heads do not fill it.
        outputs = ("attention.output.dense.weight", "crossattention.output.dense.weight")
        layer = layer._replace(tensors=tuple(t._replace(shape=(h, h)) if t.name in outputs else t for t in layer.tensors))
        if self.is_decoder:
            return layer if self.decodes() else layer._replace(caches=())
        return both_ways(layer)

    def tied(self) -> Kind:
        return "tied" if self.tie_word_embeddings else "param"

    def head(self) -> Iterator[Tensor]:
        """The head with complete names; its last tensors are the vocabulary's matrix and bias."""
        h = self.hidden_size
        yield Tensor("cls.predictions.bias", (self.vocab_size,), "head", Shard(0, self.vocab_size))
        yield from linear("cls.predictions.transform.dense", self.embedding_width, h, "head", bias=True)
        yield from layer_norm("cls.predictions.transform.LayerNorm", self.embedding_width)
        yield from self.matrix("cls.predictions.decoder", self.embedding_width)

    def matrix(self, name: str, width: int) -> Iterator[Tensor]:
        """The vocabulary's matrix, tied to the embedding, and its bias, tied to one of another name."""
        rows = Shard(0, self.vocab_size)
        kind: Kind = "param" if self.head_first else self.tied()
        # The one that is counted is the embedding, whatever it is called.
        yield Tensor(f"{name}.weight", (self.vocab_size, width), "embedding" if kind != self.tied() else "head", rows, kind=kind)
        yield Tensor(f"{name}.bias", (self.vocab_size,), "head", rows, kind=self.tied())

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED}

    def architecture(self, prefix: str) -> Architecture:
        # Below another model's prefix it is that model's decoder, whatever its own config says.
        named = self.architectures[0] if self.architectures and not prefix else None
        adapter = self.name.replace("-", "_")
        task = _heads.task_of([named])
        spec = _heads.heads_of(adapter).get(task) if task != "bare" or self.is_own(named) else None
        head = spec or _heads.heads_of(adapter)[""]
        config = {**(self.model_extra or {}), "intermediate_size": self.intermediate_size}
        made = self.built(head, _heads.sized(head, config, adapter, self.hidden_size), prefix)
        if task == "bare" and spec is not None:
            made = _heads.unrooted(made)
        return made if spec is not None or named is None else _heads.otherwise(made, named)

    def is_own(self, named: str | None) -> bool:
        """Whether a class without a head is this type's."""
        return named is not None and _heads.is_bare(named.removesuffix("Encoder"), self.name.replace("-", "_"))

    def built(self, spec: _heads.Head, sizes: _heads.Sizes, prefix: str) -> Architecture:
        """The body, and the head that is asked for."""
        root, rows = join(prefix, self.root), Shard(0, self.vocab_size)
        kind: Kind = self.tied() if self.head_first and spec.vocabulary else "param"
        words = Tensor("word_embeddings.weight", (self.vocab_size, self.embedding_width), "embedding", rows, kind=kind)
        vocabulary, own = tuple(self.head()) if spec.vocabulary else (), tuple(spec.made(sizes))
        counted = (t for t in vocabulary if t.role == "embedding")
        others = [*self.extra_tensors()]
        if spec.pooled and self.pooler:
            others += linear(self.pooler, self.hidden_size, self.hidden_size, "other", bias=True)
        groups = [
            Group("embedding", (*prefixed(f"{root}.embeddings", (words, *self.tables())), *counted)),
            Group("decoder", tuple(prefixed(root, others))),
            Group("head", (*(t for t in vocabulary if t.role != "embedding"), *own)),
        ]
        facts = Facts(
            self.hidden_size, self.vocab_size, self.max_position_embeddings - self.offset,
            "MHA" if self.decodes() else "MHA, bidirectional", self.num_attention_heads, self.num_attention_heads, self.head_size,
            self.norm_label, activation_name(self.hidden_act, gated=False), LEARNED, self.intermediate_size,
            tied_embeddings=self.tie_word_embeddings and spec.vocabulary,
        )._replace(**self.more())  # fmt: skip
        if not spec.vocabulary:
            facts = facts._replace(more=(*facts.more, _heads.said(own, sizes.labels)))
        layers = stack(f"{root}.{self.layers_name}", "decoder", [self.layer()] * self.num_hidden_layers)
        made = Architecture(
            self.name,
            tuple(g for g in groups if g.tensors),
            (layers,),
            facts,
            crosses=self.is_decoder and self.crosses(),
            notes=(_PASSED_OVER,) if self.relative() else (),
        )
        return computed(made, self.computes())
