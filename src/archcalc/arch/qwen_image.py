"""Qwen-Image: blocks of two streams over packed patches, told apart by rotary positions; the text is Qwen2.5-VL's hidden states.

Source: diffusers 0.42, models/transformers/transformer_qwenimage.py (`QwenImageTransformer2DModel`; defaults).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._dit import (
    TEXT,
    DitSchema,
    behind,
    embedder,
    feed,
    head_norms,
    joined,
    modulation,
    projections,
)
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(DitSchema):
    inert_keys = (*DitSchema.inert_keys, "zero_cond_t", "use_layer3d_rope", "guidance_embeds", "pooled_projection_dim")

    patch_size: Size = 2
    in_channels: Size = 64
    out_channels: Size | None = 16
    num_layers: Layers = 60
    attention_head_dim: Size = 128
    num_attention_heads: Size = 24
    joint_attention_dim: Size = 3584
    use_additional_t_cond: Flag = False

    def layer(self) -> Layer:
        h, heads, dim = self.hidden_size, self.num_attention_heads, self.attention_head_dim

        def tensors() -> Iterator[Tensor]:
            for stream in ("img", "txt"):
                yield from modulation(f"{stream}_mod.1", h, 6)
                yield from feed(f"{stream}_mlp", h, 4 * h)
            yield from head_norms("attn", dim, "norm_q", "norm_k", "norm_added_q", "norm_added_k")
            yield from projections("attn", h, heads)
            yield from projections("attn", h, heads, TEXT)

        return joined(h, heads, dim, 4 * h, tensors())

    def outside(self) -> Iterator[Tensor]:
        h, text = self.hidden_size, self.joint_attention_dim
        yield from embedder("time_text_embed.timestep_embedder", h)
        if self.use_additional_t_cond:
            yield Tensor("time_text_embed.addition_t_embedding.weight", (2, h), "embedding")
        yield rms_norm("txt_norm", text)
        yield from linear("img_in", h, self.in_channels, "embedding", bias=True)
        yield from linear("txt_in", h, text, "embedding", bias=True)
        yield from behind(h, self.patch_size**2 * (self.out_channels or self.in_channels))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        outside = prefixed(prefix, self.outside()) if prefix else self.outside()
        layers = stack(join(prefix, "transformer_blocks"), "other", [self.layer()] * self.num_layers)
        return [group("other", outside)], [layers]
