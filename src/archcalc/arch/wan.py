"""Wan 2.1 and 2.2: layers over film that attend to themselves and to the text, and to an image's vectors where one is given.

Source: diffusers 0.42, models/transformers/transformer_wan.py (`WanTransformer3DModel`; defaults).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._dit import DitSchema, embedder, feed, projections
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import patch_conv
from archcalc.model import Attend, Group, Layer, Shard, Stack, Tensor, stack


class Schema(DitSchema):
    inert_keys = (*DitSchema.inert_keys, "qk_norm")
    # Wan-AI/Wan2.2-T2V-A14B-Diffusers, transformer/: total_size 57,153,966,336 for 14,288,491,584 parameters.
    published = "F32"

    patch_size: tuple[Size, Size, Size] = (1, 2, 2)
    num_attention_heads: Size = 40
    attention_head_dim: Size = 128
    in_channels: Size = 16
    out_channels: Size = 16
    text_dim: Size = 4096
    freq_dim: Size = 256
    ffn_dim: Size = 13824
    num_layers: Layers = 40
    cross_attn_norm: Flag = True
    image_dim: Size | None = None
    added_kv_proj_dim: Size | None = None
    pos_embed_seq_len: Size | None = None

    def layer(self) -> Layer:
        h, heads, dim, added = self.hidden_size, self.num_attention_heads, self.attention_head_dim, self.added_kv_proj_dim

        def tensors() -> Iterator[Tensor]:
            yield Tensor("scale_shift_table", (1, 6, h), "other")
            for name in ("attn1", "attn2"):
                yield from projections(name, h, heads)
                # They are there whatever qk_norm says.
                yield rms_norm(f"{name}.norm_q", h)
                yield rms_norm(f"{name}.norm_k", h)
            if added is not None:
                for name in ("add_k_proj", "add_v_proj"):
                    yield from linear(f"attn2.{name}", h, added, "attention", bias=True, shard=Shard(0, heads))
                yield rms_norm("attn2.norm_added_k", h)
            if self.cross_attn_norm:
                yield from layer_norm("norm2", h)
            yield from feed("ffn", h, self.ffn_dim)

        return Layer(
            f"MHA ({heads}/{heads} x {dim}) + cross-attention", f"GELU {self.ffn_dim}", tuple(tensors()), (), (Attend(heads, dim, dim),),
            mixer_width=4 * h, ffn_width=2 * self.ffn_dim,
        )  # fmt: skip

    def outside(self) -> Iterator[Tensor]:
        h, (t, y, x), at = self.hidden_size, self.patch_size, "condition_embedder"
        yield Tensor("scale_shift_table", (1, 2, h), "other")
        yield from patch_conv("patch_embedding", h, self.in_channels, t, y, x)
        yield from embedder(f"{at}.time_embedder", h, self.freq_dim)
        yield from linear(f"{at}.time_proj", 6 * h, h, "embedding", bias=True)
        yield from embedder(f"{at}.text_embedder", h, self.text_dim)
        if width := self.image_dim:
            yield from layer_norm(f"{at}.image_embedder.norm1", width)
            yield from linear(f"{at}.image_embedder.ff.net.0.proj", width, width, "embedding", bias=True)
            yield from linear(f"{at}.image_embedder.ff.net.2", h, width, "embedding", bias=True)
            yield from layer_norm(f"{at}.image_embedder.norm2", h)
            if self.pos_embed_seq_len is not None:
                yield Tensor(f"{at}.image_embedder.pos_embed", (1, self.pos_embed_seq_len, width), "embedding")
        yield from linear("proj_out", t * y * x * self.out_channels, h, "other", bias=True)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        outside = prefixed(prefix, self.outside()) if prefix else self.outside()
        return [group("other", outside)], [stack(join(prefix, "blocks"), "other", [self.layer()] * self.num_layers)]
