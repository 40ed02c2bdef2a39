"""The vision tower of Hunyuan-OCR: a ViT whose patches convolutions merge, between learned begin, end and newline tokens.

Source: transformers 5.23, models/hunyuan_vl/modeling_hunyuan_vl.py (`HunYuanVLVisionTransformer`) and configuration_hunyuan_vl.py
(defaults).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv, table, vit_attention
from archcalc.model import Encoder, Tensor, stack


class Schema(TowerSchema):
    whole = False
    inert_keys = (
        "interpolate_mode", "num_key_value_heads", "out_hidden_size", "temporal_patch_size", "img_max_token_num", "min_image_size",
        "max_vit_seq_len", "text_hidden_size", "add_patchemb_bias", "anyres_pooling_size", "cat_extra_token", "img_size",
        "video_max_image_size", "video_min_image_size", "anyres_vit_max_image_size", "anyres_vit_two_views", "max_vit_seq_len",
    )  # fmt: skip

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    hidden_act: str = "gelu"
    num_attention_heads: Size = 16
    num_channels: Size = 3
    num_hidden_layers: Layers = 27
    patch_size: Size = 16
    spatial_merge_size: Size = 2
    max_image_size: Size = 2048

    def merger(self, out: int) -> Iterator[Tensor]:
        """Two convolutions and a linear layer into the text model, whose width is `out`."""
        h, side = self.hidden_size, self.spatial_merge_size
        yield Tensor("proj_conv.weight", (2 * h, h, side, side), "other")
        yield Tensor("proj_conv.bias", (2 * h,), "other")
        yield Tensor("proj_out.weight", (4 * h, 2 * h, 1, 1), "other")
        yield Tensor("proj_out.bias", (4 * h,), "other")
        yield from linear("mlp", out, 4 * h, "other", bias=True)
        yield Tensor("image_newline", (4 * h,), "embedding")
        for name in ("image_begin", "image_end", "image_sep"):
            yield Tensor(name, (out,), "embedding")
        yield rms_norm("before_rms", h)
        yield rms_norm("after_rms", out)

    def tower(self, prefix: str) -> Pieces:
        h, names = self.hidden_size, ("q_proj", "k_proj", "v_proj", "o_proj")
        norms = (*layer_norm("layer_norm1", h), *layer_norm("layer_norm2", h))
        attention = vit_attention(h, self.num_attention_heads, names=names)
        layer = encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms)
        outside = (
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, self.patch_size, self.patch_size),
            # One more than the patches of the largest image, for a class token.
            table("embeddings.position_embedding", (self.max_image_size // self.patch_size) ** 2 + 1, h),
        )
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the config allows."""
        most = area(self.max_image_size**2, self.patch_size, self.spatial_merge_size)
        return within(self, most, self.spatial_merge_size, "the config's max_image_size")


class HyV4VlVision(Schema):
    """The vision tower of Hunyuan 4: Hunyuan-OCR's, with two convolutions straight into the text model.
    Source: transformers 5.24, models/hy_v4_vl/modeling_hy_v4_vl.py (`HYV4VLVisionModel`) and configuration_hy_v4_vl.py
    (defaults)."""

    whole = True

    hidden_size: Size = 1536
    intermediate_size: Size = 6144
    num_hidden_layers: Layers = 40
    out_hidden_size: Size = 6144

    def merger(self, out: int) -> Iterator[Tensor]:
        h, side = self.hidden_size, self.spatial_merge_size
        yield Tensor("proj_conv.weight", (h * side**2, h, side, side), "other")
        yield Tensor("proj_conv.bias", (h * side**2,), "other")
        yield Tensor("proj_out.weight", (out, h * side**2, 1, 1), "other")
        yield Tensor("proj_out.bias", (out,), "other")
        yield Tensor("image_newline", (out,), "embedding")
        yield rms_norm("before_rms", h)

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        merger = prefixed(join(prefix, "patch_merger"), self.merger(self.out_hidden_size))
        return [*groups, group("vision", merger)], stacks
