"""Swin and its relatives: attention in windows that move from layer to layer, in stages that merge patches by four.

Source: transformers 5.24, models/swin/modeling_swin.py (`SwinModel`) and configuration_swin.py (defaults); Liu et al. 2021,
arXiv:2103.14030.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, divided, per_layer
from archcalc.arch._vit import StagedSchema, below, rectangle
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.errors import ConfigError
from archcalc.model import Layer, Stack, Tensor, stack

SELF = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")


class SwinSchema(StagedSchema):
    """Swin as its hooks say."""

    inert_keys = (*StagedSchema.inert_keys, "num_hidden_layers", "num_attention_heads")
    # The names of a layer's attention and FFN, and where its biases by position are.
    names: ClassVar[tuple[str, str, str, str]] = ("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj")
    ffn_names: ClassVar[tuple[str, str]] = ("mlp.fc1", "mlp.fc2")
    biases: ClassVar[str] = "attention.relative_position_bias.relative_position_bias_table"
    # Whether patches are merged and then normalized.
    merged_first: ClassVar[bool] = False
    # Rows of the positions that belong to no patch.
    spare: ClassVar[int] = 0

    image_size: Sides = 224
    patch_size: Sides = 4
    num_channels: Size = 3
    embed_dim: Size = 96
    depths: Annotated[tuple[Layers, ...], Field(min_length=1)] = (2, 2, 6, 2)
    num_heads: tuple[Size, ...] = (3, 6, 12, 24)
    window_size: Size = 7
    mlp_ratio: int | float = 4.0
    qkv_bias: Flag = True
    hidden_act: str = "gelu"
    use_absolute_embeddings: Flag = False
    encoder_stride: Size = 32
    num_layers: Layers | None = None

    def widths(self) -> Sequence[int]:
        return [self.embed_dim * 2**i for i in range(len(self.depths))]

    def positions(self, heads: int) -> Iterator[Tensor]:
        """A number for each distance in a window and each head."""
        yield Tensor(self.biases, ((2 * self.window_size - 1) ** 2, heads), "attention")

    def layer(self, h: int, heads: int) -> Layer:
        dim = divided(h, heads, "embed_dim of a stage", "num_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, self.qkv_bias, True, window=self.window_size**2, names=self.names)
        norms = (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h))
        ffn = FeedForward(h, int(self.mlp_ratio * h), self.hidden_act, names=self.ffn_names)
        return encoder_layer(attention, ffn, norms, attention_name="", ffn_name="", extra=self.positions(heads))

    def merging(self, h: int) -> Iterator[Tensor]:
        yield from linear("reduction", 2 * h, 4 * h, "other")
        yield from layer_norm("norm", 2 * h if self.merged_first else 4 * h)

    def outside(self, named: str) -> Iterator[Tensor]:
        h = self.embed_dim
        if named.endswith("ForMaskedImageModeling"):
            yield Tensor("embeddings.mask_token", (1, 1, h), "embedding")
        if self.use_absolute_embeddings:
            height, width = rectangle(self.image_size, self.patch_size)
            yield Tensor("embeddings.position_embeddings", (1, height * width + self.spare, h), "embedding")
        yield from patch_conv("embeddings.patch_embeddings.projection", h, self.num_channels, *both(self.patch_size))
        yield from layer_norm("embeddings.norm", h)
        for i, channels in enumerate(self.widths()[:-1]):
            yield from prefixed(f"encoder.layers.{i}.downsample", self.merging(channels))
        yield from self.behind(named)

    def behind(self, named: str) -> Iterator[Tensor]:
        yield from layer_norm("layernorm", self.hidden_size)

    def bare(self, named: str) -> bool:
        return not named or named.endswith("Model")

    def body(self, prefix: str, named: str) -> Pieces:
        heads = per_layer(self.num_heads[: len(self.depths)], len(self.depths), "num_heads", "depths")
        stages: list[Stack] = []
        for i, (depth, h, n) in enumerate(zip(self.depths, self.widths(), heads, strict=True)):
            stages.append(stack(join(prefix, f"encoder.layers.{i}.blocks"), "vision", [self.layer(h, n)] * depth))
        return [group("vision", (*below(prefix, self.outside(named)), *self.asked_norms(named)))], stages

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForMaskedImageModeling"):
            if self.num_layers not in (None, len(self.depths)):
                raise ConfigError(
                    f"num_layers is {self.num_layers}, and depths has {len(self.depths)} stages",
                    "correct one of the two, or leave num_layers out",
                    "num_layers",
                )
            return conv("decoder.0", self.encoder_stride**2 * self.num_channels, self.hidden_size, 1, 1, role="head")
        return super().head_of(name)
