"""BEiT: ViT with scaled residuals, biases by relative position, and keys without a bias.

Source: transformers 5.24, models/beit/modeling_beit.py (`BeitModel` and its classes) and configuration_beit.py (defaults); Bao et al. 2021,
arXiv:2106.08254.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Few, Flag, Size
from archcalc.arch._upernet import fcn, upernet
from archcalc.arch._vit import ViTSchema, rectangle, without
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import head_width
from archcalc.model import Layer, Tensor


class Schema(ViTSchema):
    inert_keys = (*ViTSchema.inert_keys, "segmentation_indices")
    root = "beit"
    # Where a layer keeps its biases by position, and where the model those that all layers share.
    own_biases: ClassVar[str] = "relative_position_bias"
    shared_biases: ClassVar[str] = "shared_position_bias"
    # Classes that pool what comes out.
    pooled: ClassVar[tuple[str, ...]] = ("Model", "ForImageClassification")
    # The feature pyramid: two convolutions that double a side with a batch norm between them, and one that does so alone.
    pyramid: ClassVar[tuple[str, str, str, str]] = (
        "fpn.fpn1.conv_transpose1", "fpn.fpn1.normalization", "fpn.fpn1.conv_transpose2", "fpn.fpn2",
    )  # fmt: skip

    vocab_size: Size = 8192
    use_mask_token: Flag = False
    use_absolute_position_embeddings: Flag = False
    use_relative_position_bias: Flag = False
    use_shared_relative_position_bias: Flag = False
    layer_scale_init_value: float = 0.1
    use_mean_pooling: Flag = True
    add_fpn: Flag = False
    pool_scales: tuple[Size, ...] = (1, 2, 3, 6)
    use_auxiliary_head: Flag = True
    auxiliary_channels: Size = 256
    auxiliary_num_convs: Few = 1
    auxiliary_concat_input: Flag = False

    def bare(self, named: str) -> bool:
        return not named or named.endswith("Model")

    def biases(self, name: str) -> Tensor:
        """A number for each distance between patches and each head, and three for the class."""
        height, width = rectangle(self.image_size, self.patch_size)
        shape = ((2 * height - 1) * (2 * width - 1) + 3, self.num_attention_heads)
        return Tensor(f"{name}.relative_position_bias_table", shape, "attention")

    def attention(self) -> GroupedQueryAttention:
        h, n = self.hidden_size, self.num_attention_heads
        return GroupedQueryAttention(h, n, n, head_width(h, n), True, True)

    def layer(self) -> Layer:
        return without(self.scaled(super().layer()), "k_proj.bias")

    def scaled(self, layer: Layer) -> Layer:
        """The layer with the scales of its residuals and its biases by position."""
        extra = [Tensor(f"lambda_{i}", (self.hidden_size,), "other") for i in (1, 2) if self.layer_scale_init_value > 0]
        if self.use_relative_position_bias:
            extra.append(self.biases(self.own_biases))
        return layer._replace(tensors=(*layer.tensors, *extra))

    def tokens(self, named: str) -> Iterator[Tensor]:
        yield from super().tokens("")
        if self.use_mask_token:
            yield Tensor("embeddings.mask_token", (1, 1, self.hidden_size), "embedding")

    def outside(self, named: str) -> Iterator[Tensor]:
        absolute = self.use_absolute_position_embeddings
        yield from (t for t in super().outside(named) if absolute or t.name != "embeddings.position_embeddings")
        if self.use_shared_relative_position_bias:
            yield self.biases(self.shared_biases)

    def behind(self, named: str) -> Iterator[Tensor]:
        """The norm stands before the pooling or behind it."""
        if not self.use_mean_pooling:
            yield from layer_norm("layernorm", self.hidden_size)
        elif named.endswith(self.pooled):
            yield from layer_norm("pooler.layernorm", self.hidden_size)

    def levels(self) -> Iterator[Tensor]:
        """The feature pyramid."""
        h = self.hidden_size
        first, norm, last, second = self.pyramid
        for name in (first, last, second):
            yield from conv(name, h, h, 2, 2, role="head")
        yield from layer_norm(norm, h)

    def segments(self) -> Iterator[Tensor]:
        yield from self.levels()
        yield from upernet(self.hidden_size, labels_of(self.model_extra or {}), self.pool_scales)
        if self.use_auxiliary_head:
            width, convs = self.auxiliary_channels, self.auxiliary_num_convs
            yield from fcn(self.hidden_size, labels_of(self.model_extra or {}), width, convs, self.auxiliary_concat_input)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        h = self.hidden_size
        if name.endswith("ForMaskedImageModeling"):
            return (*layer_norm("layernorm", h), *linear("lm_head", self.vocab_size, h, "head", bias=True))
        if name.endswith("ForSemanticSegmentation"):
            return self.segments()
        return self.levels() if name.endswith("Backbone") and self.add_fpn else super().head_of(name)
