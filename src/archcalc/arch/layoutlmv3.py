"""LayoutLMv3: BERT over words, where they stand and patches of the page, with biases for distances.

Source: transformers 5.24, models/layoutlmv3/modeling_layoutlmv3.py (`LayoutLMv3Model` and its classes) and configuration_layoutlmv3.py
(defaults); Huang et al. 2022, arXiv:2204.08387.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._bert_keys import BertKeys
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import Sizes, deep, labels_of
from archcalc.arch._schema import Flag, Size
from archcalc.arch._vit import AloneSchema, below, classifier
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, head_width, patch_conv, table
from archcalc.model import Encoder, Layer, Tensor, stack

NAMES = ("self.query", "self.key", "self.value", "output.dense")
FFN = ("intermediate.dense", "output.dense")


def bert_layer(h: int, heads: int, width: int, activation: str) -> Layer:
    """BERT's layer."""
    norms = (*layer_norm("attention.output.LayerNorm", h), *layer_norm("output.LayerNorm", h))
    attention = GroupedQueryAttention(h, heads, heads, head_width(h, heads), True, True, names=NAMES)
    return encoder_layer(attention, FeedForward(h, width, activation, names=FFN), norms, attention_name="attention", ffn_name="")


class Schema(BertKeys, AloneSchema):
    alone = "an encoder of pages: it keeps no cache"
    inert_keys = ("max_rel_pos", "max_rel_2d_pos", "second_input_size")
    root = "layoutlmv3"

    vocab_size: Size = 50265
    type_vocab_size: Size = 2
    max_2d_position_embeddings: Size = 1024
    coordinate_size: Size = 128
    shape_size: Size = 128
    has_relative_attention_bias: Flag = True
    rel_pos_bins: Size = 32
    has_spatial_attention_bias: Flag = True
    rel_2d_pos_bins: Size = 64
    text_embed: Flag = True
    visual_embed: Flag = True
    input_size: Size = 224
    num_channels: Size = 3
    patch_size: Size = 16

    def words(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield table("embeddings.word_embeddings", self.vocab_size, h)
        yield table("embeddings.token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm("embeddings.LayerNorm", h)
        yield table("embeddings.position_embeddings", self.max_position_embeddings, h)
        for axis, width in (
            ("x", self.coordinate_size),
            ("y", self.coordinate_size),
            ("h", self.shape_size),
            ("w", self.shape_size),
        ):
            yield table(f"embeddings.{axis}_position_embeddings", self.max_2d_position_embeddings, width)

    def patches(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield Tensor("cls_token", (1, 1, h), "embedding")
        yield Tensor("pos_embed", (1, grid(self.input_size, self.patch_size) + 1, h), "embedding")
        yield from patch_conv("patch_embed.proj", h, self.num_channels, self.patch_size, self.patch_size)
        yield from layer_norm("LayerNorm", h)
        yield from layer_norm("norm", h)

    def biases(self) -> Iterator[Tensor]:
        if self.has_relative_attention_bias:
            yield from linear("encoder.rel_pos_bias", self.num_attention_heads, self.rel_pos_bins, "attention")
        if self.has_spatial_attention_bias:
            for axis in ("x", "y"):
                yield from linear(f"encoder.rel_pos_{axis}_bias", self.num_attention_heads, self.rel_2d_pos_bins, "attention")

    def body(self, prefix: str, named: str) -> Pieces:
        outside = (*(self.words() if self.text_embed else ()), *(self.patches() if self.visual_embed else ()), *self.biases())
        layer = bert_layer(self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "encoder.layer"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", below(prefix, outside))], [layers]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        labels = labels_of(self.model_extra or {})
        sizes = Sizes(labels, self.hidden_size, {})
        if name.endswith("ForTokenClassification"):
            # A layer more where there are many labels.
            return classifier(self, self.hidden_size) if labels < 10 else deep("classifier")(sizes)
        if name.endswith("ForSequenceClassification"):
            return deep("classifier")(sizes)
        return deep("qa_outputs")(sizes) if name.endswith("ForQuestionAnswering") else super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
