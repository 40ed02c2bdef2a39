"""Flux 1: blocks of two streams, then of one, over packed patches, with rotary positions.

Source: diffusers 0.42, models/transformers/transformer_flux.py (`FluxTransformer2DModel`; defaults).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._dit import DitSchema, behind, double, embedder, feed, joined, modulation, projections, single
from archcalc.arch._schema import Few, Flag, Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import patch_conv
from archcalc.errors import UnsupportedError
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(DitSchema):
    patch_size: Size = 1
    in_channels: Size = 64
    out_channels: Size | None = None
    num_layers: Layers = 19
    num_single_layers: Few = 38
    attention_head_dim: Size = 128
    num_attention_heads: Size = 24
    joint_attention_dim: Size = 4096
    pooled_projection_dim: Size = 768
    guidance_embeds: Flag = False

    def outside(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from embedder("time_text_embed.timestep_embedder", h)
        if self.guidance_embeds:
            yield from embedder("time_text_embed.guidance_embedder", h)
        yield from embedder("time_text_embed.text_embedder", h, self.pooled_projection_dim)
        yield from linear("context_embedder", h, self.joint_attention_dim, "embedding", bias=True)
        yield from linear("x_embedder", h, self.in_channels, "embedding", bias=True)
        yield from behind(h, self.patch_size**2 * (self.out_channels or self.in_channels))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        sizes = (self.hidden_size, self.num_attention_heads, self.attention_head_dim, 4 * self.hidden_size)
        stacks = [
            stack(join(prefix, "transformer_blocks"), "other", [double(*sizes)] * self.num_layers),
            stack(join(prefix, "single_transformer_blocks"), "other", [single(*sizes)] * self.num_single_layers),
        ]
        outside = prefixed(prefix, self.outside()) if prefix else self.outside()
        return [group("other", outside)], [s for s in stacks if s.pattern]


def refined(hidden: int, heads: int, dim: int, width: int) -> Layer:
    """A layer over the text alone."""

    def tensors() -> Iterator[Tensor]:
        for name in ("norm1", "norm2"):
            yield from layer_norm(name, hidden)
        yield from projections("attn", hidden, heads)
        yield from feed("ff", hidden, width)
        yield from modulation("norm_out.linear", hidden, 2)

    return joined(hidden, heads, dim, width, tensors())


class HunyuanVideo(DitSchema):
    """HunyuanVideo: Flux's blocks over film, and a text that two layers refine first.
    Source: diffusers 0.42, models/transformers/transformer_hunyuan_video.py (`HunyuanVideoTransformer3DModel`; defaults)."""

    inert_keys = (*DitSchema.inert_keys, "rope_axes_dim")

    in_channels: Size = 16
    out_channels: Size = 16
    num_attention_heads: Size = 24
    attention_head_dim: Size = 128
    num_layers: Layers = 20
    num_single_layers: Few = 40
    num_refiner_layers: Layers = 2
    mlp_ratio: float = 4.0
    patch_size: Size = 2
    patch_size_t: Size = 1
    qk_norm: str = "rms_norm"
    guidance_embeds: Flag = True
    text_embed_dim: Size = 4096
    pooled_projection_dim: Size = 768
    image_condition_type: str | None = None

    def outside(self) -> Iterator[Tensor]:
        h, p, t, text = self.hidden_size, self.patch_size, self.patch_size_t, "context_embedder"
        yield from patch_conv("x_embedder.proj", h, self.in_channels, t, p, p)
        yield from embedder(f"{text}.time_text_embed.timestep_embedder", h)
        yield from embedder(f"{text}.time_text_embed.text_embedder", h, self.text_embed_dim)
        yield from linear(f"{text}.proj_in", h, self.text_embed_dim, "embedding", bias=True)
        yield from embedder("time_text_embed.timestep_embedder", h)
        yield from embedder("time_text_embed.text_embedder", h, self.pooled_projection_dim)
        if self.guidance_embeds:
            yield from embedder("time_text_embed.guidance_embedder", h)
        yield from behind(h, t * p * p * self.out_channels)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        if self.qk_norm != "rms_norm" or self.image_condition_type not in (None, "latent_concat"):
            raise UnsupportedError(f"qk_norm {self.qk_norm!r} with image_condition_type {self.image_condition_type!r} is not known")
        h, heads, dim = self.hidden_size, self.num_attention_heads, self.attention_head_dim
        sizes, refiner = (h, heads, dim, int(h * self.mlp_ratio)), "context_embedder.token_refiner.refiner_blocks"
        parts = (
            (refiner, [refined(h, heads, dim, 4 * h)] * self.num_refiner_layers),
            ("transformer_blocks", [double(*sizes)] * self.num_layers),
            ("single_transformer_blocks", [single(*sizes)] * self.num_single_layers),
        )
        outside = prefixed(prefix, self.outside()) if prefix else self.outside()
        return [group("other", outside)], [stack(join(prefix, name), "other", layers) for name, layers in parts if layers]
