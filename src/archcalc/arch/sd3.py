"""Stable Diffusion 3 and 3.5: blocks of two streams over patches with fixed positions; the last block ends the text's.

Source: diffusers 0.42, models/transformers/transformer_sd3.py (`SD3Transformer2DModel`; defaults) and models/attention.py
(`JointTransformerBlock`; `dual_attention_layers` attend to the picture alone a second time).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._dit import TEXT, DitSchema, behind, embedder, feed, head_norms, joined, modulation, projections
from archcalc.arch._schema import Count, Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.vision import patch_conv
from archcalc.errors import UnsupportedError
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(DitSchema):
    patch_size: Size = 2
    in_channels: Size = 16
    num_layers: Layers = 18
    attention_head_dim: Size = 64
    num_attention_heads: Size = 18
    joint_attention_dim: Size = 4096
    caption_projection_dim: Size = 1152
    pooled_projection_dim: Size = 2048
    out_channels: Size = 16
    pos_embed_max_size: Size = 96
    dual_attention_layers: tuple[Count, ...] = ()
    qk_norm: str | None = None

    def layer(self, last: bool, dual: bool) -> Layer:
        h, heads, dim = self.hidden_size, self.num_attention_heads, self.attention_head_dim
        normed = self.qk_norm is not None

        def tensors() -> Iterator[Tensor]:
            yield from modulation("norm1.linear", h, 9 if dual else 6)
            yield from modulation("norm1_context.linear", h, 2 if last else 6)
            yield from projections("attn", h, heads)
            yield from projections("attn", h, heads, TEXT[:3] if last else TEXT)
            if normed:
                yield from head_norms("attn", dim, "norm_q", "norm_k", "norm_added_q", "norm_added_k")
            if dual:
                yield from projections("attn2", h, heads)
                yield from head_norms("attn2", dim, *(("norm_q", "norm_k") if normed else ()))
            yield from feed("ff", h, 4 * h)
            if not last:
                yield from feed("ff_context", h, 4 * h)

        return joined(h, heads, dim, 4 * h, tensors())

    def outside(self) -> Iterator[Tensor]:
        h, p = self.hidden_size, self.patch_size
        yield from patch_conv("pos_embed.proj", h, self.in_channels, p, p)
        # Fixed, and stored.
        yield Tensor("pos_embed.pos_embed", (1, self.pos_embed_max_size**2, h), "embedding", kind="copy")
        yield from embedder("time_text_embed.timestep_embedder", h)
        yield from embedder("time_text_embed.text_embedder", h, self.pooled_projection_dim)
        yield from linear("context_embedder", self.caption_projection_dim, self.joint_attention_dim, "embedding", bias=True)
        yield from behind(h, p * p * self.out_channels)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        if self.qk_norm not in (None, "rms_norm"):
            raise UnsupportedError(f"qk_norm is {self.qk_norm!r}: only rms_norm and none are known here")
        if self.caption_projection_dim != self.hidden_size:
            raise UnsupportedError("caption_projection_dim is not the width of the model: the two streams cannot be joined")
        n, dual = self.num_layers, set(self.dual_attention_layers)
        kinds = [(i == n - 1, i in dual) for i in range(n)]
        built = {kind: self.layer(*kind) for kind in dict.fromkeys(kinds)}
        outside = prefixed(prefix, self.outside()) if prefix else self.outside()
        return [group("other", outside)], [stack(join(prefix, "transformer_blocks"), "other", [built[kind] for kind in kinds])]
