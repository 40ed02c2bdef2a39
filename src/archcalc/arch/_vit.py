"""Models of images, videos and spectrograms on their own: ViT and its relatives, whose classes have other tensors around the same layers.

`body` is what a class builds of the model, `head_of` what stands behind it. The hooks say what ViT does; relatives override what differs.

Source: transformers 5.24, models/vit/modeling_vit.py (`ViTModel`, `ViTForImageClassification`, `ViTForMaskedImageModeling`).
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer, Part, Tensor, stack

BERT_NAMES = ("attention.attention.query", "attention.attention.key", "attention.attention.value", "attention.output.dense")
BERT_FFN = ("intermediate.dense", "output.dense")


def below(prefix: str, tensors: Iterable[Tensor]) -> Iterable[Tensor]:
    """The tensors named below `prefix`, or as they are where there is none."""
    return prefixed(prefix, tensors) if prefix else tensors


def without(layer: Layer, *names: str) -> Layer:
    """The layer without tensors whose names end so."""
    return layer._replace(tensors=tuple(t for t in layer.tensors if not t.name.endswith(names)))


def classifier(config: ConfigSchema, width: int, name: str = "classifier", bias: bool = True) -> Iterator[Tensor]:
    """A row for each label; nothing where the config says that there are none."""
    extra = config.model_extra or {}
    if extra.get("num_labels") != 0 or extra.get("id2label"):
        yield from linear(name, labels_of(extra), width, "head", bias=bias)


def rectangle(image: Any, patch: Any) -> tuple[int, int]:
    """How many whole patches an image has, down and across."""
    (height, width), (down, across) = both(image), both(patch)
    return height // down, width // across


class AloneSchema(TowerSchema):
    """A model of one kind of input, which keeps no cache: its classes' names decide what is built."""

    prefix = ""
    alone = "a model without text: it keeps no cache"
    # What classes with a head call the model that they hold.
    root: ClassVar[str]

    @abstractmethod
    def body(self, prefix: str, named: str) -> Pieces:
        """What a class of this name builds of the model; of no name, what others hold of it as a part."""

    def tower(self, prefix: str) -> Pieces:
        return self.body(prefix, "")

    def pieces(self, prefix: str, named: str) -> Pieces:
        return self.body(prefix, named)

    def bare(self, named: str) -> bool:
        """Whether the class has no head."""
        return not named or named.endswith(("Model", "Backbone", "Encoder"))

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("" if self.bare(self.class_name()) else self.root)


def as_backbone(tower: TowerSchema, prefix: str) -> Pieces:
    """A model as the backbone of another, below `prefix`."""
    root = tower.root if isinstance(tower, AloneSchema) and not tower.bare("Backbone") else ""
    groups, stacks = tower.pieces(root, "Backbone")
    groups = [g._replace(tensors=tuple(below(prefix, g.tensors))) for g in groups]
    return groups, [s._replace(prefix=join(prefix, s.prefix)) for s in stacks]


class ImageSchema(AloneSchema):
    """A model of images with labels behind it."""

    def features(self) -> int:
        """The width of what is classified."""
        return self.hidden_size  # type: ignore[attr-defined, no-any-return]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith(("ForImageClassification", "ForVideoClassification")):
            return classifier(self, self.features())
        return super().head_of(name)


class StagedSchema(ImageSchema):
    """A model of stages, each with wider layers over fewer places, whose backbone normalizes what is asked of it."""

    inert_keys: ClassVar[tuple[str, ...]] = (
        "drop_path_rate", "stage_names", "image_size", "hidden_size", "num_layers", "path_norm",
    )  # fmt: skip

    out_features: list[str] | None = None
    out_indices: list[int] | None = None

    @abstractmethod
    def widths(self) -> Sequence[int]:
        """The width of each stage."""

    @property
    def hidden_size(self) -> int:
        return self.widths()[-1]

    def asked(self) -> Iterator[tuple[str, int]]:
        """The stages whose outputs a backbone gives, with their widths: the last where the config does not say."""
        width = self.widths()
        named = {"stem": width[0], **{f"stage{i}": h for i, h in enumerate(width, 1)}}
        names = self.out_features or [list(named)[i] for i in self.out_indices or (-1,) if -len(named) <= i < len(named)]
        for name in names:
            if name not in named:
                raise ConfigError(f'out_features holds "{name}"', f"it has {', '.join(named)}", "out_features")
            yield name, named[name]

    def asked_norms(self, named: str) -> Iterator[Tensor]:
        for stage, h in self.asked() if named.endswith("Backbone") else ():
            yield from layer_norm(f"hidden_states_norms.{stage}", h)


class ViTSchema(ImageSchema):
    """ViT as its hooks say."""

    inert_keys: ClassVar[tuple[str, ...]] = (
        "pooler_act", "drop_path_rate", "apply_layernorm", "reshape_hidden_states", "out_features", "out_indices", "stage_names",
        "encoder_stride", "pooler_output_size",
    )  # fmt: skip
    layers_name: ClassVar[str] = "layers"
    part: ClassVar[Part] = "vision"
    # Tokens that belong to no patch: the class's.
    extra_tokens: ClassVar[int] = 1

    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    image_size: Sides = 224
    patch_size: Sides = 16
    num_channels: Size = 3
    qkv_bias: Flag = True

    @property
    def ffn_size(self) -> int:
        """The width inside an FFN."""
        return self.intermediate_size

    def attention(self) -> GroupedQueryAttention:
        h, n = self.hidden_size, self.num_attention_heads
        return GroupedQueryAttention(h, n, n, head_width(h, n), self.qkv_bias, True)

    def layer(self) -> Layer:
        h = self.hidden_size
        norms = (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h))
        return encoder_layer(self.attention(), FeedForward(h, self.ffn_size, self.hidden_act), norms, attention_name="attention")

    def tokens(self, named: str) -> Iterator[Tensor]:
        """Learned tokens."""
        yield Tensor("embeddings.cls_token", (1, 1, self.hidden_size), "embedding")
        if named.endswith("ForMaskedImageModeling"):
            yield Tensor("embeddings.mask_token", (1, 1, self.hidden_size), "embedding")

    def rows(self) -> int:
        """How many positions there are."""
        height, width = rectangle(self.image_size, self.patch_size)
        return height * width + self.extra_tokens

    def patches(self) -> Iterator[Tensor]:
        return patch_conv("embeddings.patch_embeddings.projection", self.hidden_size, self.num_channels, *both(self.patch_size))

    def behind(self, named: str) -> Iterator[Tensor]:
        """What follows the layers."""
        yield from layer_norm("layernorm", self.hidden_size)

    def outside(self, named: str) -> Iterator[Tensor]:
        yield from self.tokens(named)
        yield Tensor("embeddings.position_embeddings", (1, self.rows(), self.hidden_size), "embedding")
        yield from self.patches()
        yield from self.behind(named)

    def body(self, prefix: str, named: str) -> Pieces:
        layers = stack(join(prefix, self.layers_name), self.part, [self.layer()] * self.num_hidden_layers)
        return [group(self.part, below(prefix, self.outside(named)))], [layers]


class PooledSchema(ViTSchema):
    """ViT and DeiT: classes without a head have a pooler, those that mend images a convolution."""

    encoder_stride: Size = 16
    pooler_output_size: Size | None = None

    def behind(self, named: str) -> Iterator[Tensor]:
        yield from super().behind(named)
        if self.bare(named):
            yield from linear("pooler.dense", self.pooler_output_size or self.hidden_size, self.hidden_size, "other", bias=True)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForMaskedImageModeling"):
            return conv("decoder.0", self.encoder_stride**2 * self.num_channels, self.hidden_size, 1, 1, role="head")
        return super().head_of(name)


def bert_named(schema: ViTSchema) -> Layer:
    """ViT's layer under the names of its first implementation, BERT's."""
    h, n = schema.hidden_size, schema.num_attention_heads
    norms = (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h))
    attention = GroupedQueryAttention(h, n, n, head_width(h, n), schema.qkv_bias, True, names=BERT_NAMES)
    ffn = FeedForward(h, schema.intermediate_size, schema.hidden_act, names=BERT_FFN)
    return encoder_layer(attention, ffn, norms, attention_name="", ffn_name="")
