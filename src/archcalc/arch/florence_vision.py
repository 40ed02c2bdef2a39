"""The vision tower of Florence 2 (DaViT): stages of blocks that attend within windows and then across channels.

Source: transformers 5.23, models/florence2/modeling_florence2.py (`Florence2VisionBackbone`) and configuration_florence2.py (defaults);
Ding et al. 2022, arXiv:2204.03645.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Few, Flag, Size, TowerSchema, per_layer
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Attend, Encoder, Layer, Shard, Stack, Tensor, stack, widths


class Schema(TowerSchema):
    inert_keys = ("drop_path_rate", "max_temporal_embeddings", "patch_padding", "patch_stride")

    in_channels: Size = 3
    depths: tuple[Few, ...] = (1, 1, 9, 1)
    patch_size: tuple[Size, ...] = (7, 3, 3, 3)
    patch_prenorm: tuple[Flag, ...] = (False, True, True, True)
    embed_dim: tuple[Size, ...] = (128, 256, 512, 1024)
    num_heads: tuple[Size, ...] = (4, 8, 16, 32)
    num_groups: tuple[Size, ...] = (4, 8, 16, 32)
    window_size: Size = 12
    mlp_ratio: float = 4.0
    qkv_bias: Flag = True
    activation_function: str = "gelu"
    # Of the projector: its width, and the side of its position tables.
    projection_dim: Size = 1024
    max_position_embeddings: Size = 50

    def block(self, name: str, attention: str, h: int, units: int) -> Iterator[Tensor]:
        """Attention and an FFN, each behind a depthwise convolution and a norm."""
        ffn = FeedForward(h, int(h * self.mlp_ratio), self.activation_function)
        tensors = (
            *conv("conv1", h, 1, 3, 3), *layer_norm("norm1", h),
            *linear(f"{attention}.qkv", 3 * h, h, "attention", bias=self.qkv_bias, shard=Shard(0, units)),
            *linear(f"{attention}.proj", h, h, "attention", bias=True, shard=Shard(1, units)),
            *conv("conv2", h, 1, 3, 3), *layer_norm("norm2", h), *prefixed("ffn", ffn.tensors()),
        )  # fmt: skip
        for t in tensors:
            yield t._replace(name=f"{name}.{t.name}", role="other" if t.role == "embedding" else t.role)

    def layer(self, stage: int) -> Layer:
        h, heads, groups, window = self.embed_dim[stage], self.num_heads[stage], self.num_groups[stage], self.window_size
        tensors = (
            *self.block("spatial_block", "window_attn", h, heads),
            *self.block("channel_block", "channel_attn", h, groups),
        )
        mixer = f"MHA ({heads}/{heads} x {h // heads}), window {window} x {window}, then {groups} groups of channels"
        width = int(h * self.mlp_ratio)
        attends = (Attend(heads, h // heads, h // heads, window**2),)
        return Layer(
            mixer, f"2 x {FeedForward(h, width, self.activation_function).label()}", tensors, (), attends, 0, 4 * h, 2 * width
        )

    def tower(self, prefix: str) -> Pieces:
        stages, inner = len(self.embed_dim), self.in_channels
        outside: list[Tensor] = []
        layers: list[Stack] = []
        for key in ("depths", "patch_size", "patch_prenorm", "num_heads", "num_groups"):
            per_layer(getattr(self, key), stages, f"vision_config.{key}", "embed_dim")
        for i, (h, p) in enumerate(zip(self.embed_dim, self.patch_size, strict=True)):
            outside += conv(f"convs.{i}.conv", h, inner, p, p)
            outside += layer_norm(f"convs.{i}.norm", inner if self.patch_prenorm[i] else h)
            layers.append(stack(join(prefix, f"blocks.{i}"), "vision", [self.layer(i)] * self.depths[i]))
            inner = h
        return [group("vision", prefixed(prefix, outside))], layers

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of 768 pixels on each side, a quarter of that in the first and widest stage."""
        hidden, inner = widths([self.layer(0)])
        source = "microsoft/Florence-2-large, preprocessor_config.json `crop_size`"
        return (Encoder("image", (768 // 4) ** 2, 577, self.in_channels * 4 * 4, hidden, inner, source),)
