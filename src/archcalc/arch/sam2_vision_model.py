"""Hiera, and a neck that brings its stages to one width.

Source: transformers 5.24, models/sam2/modeling_sam2.py (`Sam2VisionModel`, `Sam2VisionNeck`) and configuration_sam2.py (defaults).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import DEFAULT, Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Size, TowerSchema, nested, per_layer
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import patch_conv
from archcalc.model import Encoder, Layer, Shard, Tensor, stack

Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]


class Sam2HieraDetModel(TowerSchema):
    """Hiera as SAM 2 has it: attention in windows that grow with the stages, and in a few layers everywhere.
    Source: transformers 5.24, models/sam2/modeling_sam2.py (`Sam2HieraDetModel`, `Sam2MultiScaleBlock`) and configuration_sam2.py
    (defaults); Ryali et al. 2023, arXiv:2306.00989."""

    prefix = ""
    inert_keys = (
        "patch_stride", "patch_padding", "query_stride", "num_query_pool_stages", "num_attention_heads",
    )  # fmt: skip

    hidden_size: Size = 96
    num_channels: Size = 3
    image_size: Sides = 1024
    patch_kernel_size: Sides = (7, 7)
    window_positional_embedding_background_size: Sides = (7, 7)
    blocks_per_stage: Sizes = (1, 2, 7, 2)
    embed_dim_per_stage: Sizes = (96, 192, 384, 768)
    num_attention_heads_per_stage: Sizes = (1, 2, 4, 8)
    window_size_per_stage: Sizes = (8, 4, 14, 7)
    global_attention_blocks: tuple[Count, ...] = (5, 7, 9)
    mlp_ratio: float = 4.0
    hidden_act: str = "gelu"

    def layer(self, inner: int, outer: int, heads: int) -> Layer:
        inner_width = int(outer * self.mlp_ratio)
        tensors = [
            *layer_norm("layer_norm1", inner),
            *linear("attn.qkv", 3 * outer, inner, "attention", bias=True, shard=Shard(0, heads)),
            *linear("attn.proj", outer, outer, "attention", bias=True, shard=Shard(1, heads)),
            *layer_norm("layer_norm2", outer),
            *linear("mlp.proj_in", inner_width, outer, "mlp", bias=True),
            *linear("mlp.proj_out", outer, inner_width, "mlp", bias=True),
            *(linear("proj", outer, inner, "other", bias=True) if inner != outer else ()),
        ]
        return Layer(f"MHA in windows ({heads})", f"FFN {inner_width}", tuple(tensors), (), (), 0, 4 * outer, 2 * inner_width)

    def tower(self, prefix: str) -> Pieces:
        n, h, first = len(self.blocks_per_stage), self.hidden_size, self.window_size_per_stage[0]
        widths = per_layer(self.embed_dim_per_stage[:n], n, "embed_dim_per_stage", "blocks_per_stage")
        heads = per_layer(self.num_attention_heads_per_stage[:n], n, "num_attention_heads_per_stage", "blocks_per_stage")
        layers, before = list[Layer](), widths[0]
        for depth, width, one in zip(self.blocks_per_stage, widths, heads, strict=True):
            layers += [self.layer(before, width, one), *[self.layer(width, width, one)] * (depth - 1)]
            before = width
        outside = (
            Tensor("pos_embed", (1, h, *both(self.window_positional_embedding_background_size)), "embedding"),
            Tensor("pos_embed_window", (1, h, first, first), "embedding"),
            *patch_conv("patch_embed.projection", h, self.num_channels, *both(self.patch_kernel_size)),
        )
        return [group("vision", below(prefix, outside))], [stack(join(prefix, "blocks"), "vision", layers)]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Schema(TowerSchema):
    prefix = ""
    inert_keys = (
        "backbone_feature_sizes", "fpn_stride", "fpn_padding", "fpn_top_down_levels", "num_feature_levels", "hidden_act",
    )  # fmt: skip

    backbone_config: Annotated[TowerSchema, nested("sam2_hiera_det_model"), DEFAULT]
    backbone_channel_list: Sizes = (768, 384, 192, 96)
    fpn_hidden_size: Size = 256
    fpn_kernel_size: Size = 1

    @property
    def hidden_size(self) -> int:
        return int(getattr(self.backbone_config, "hidden_size", 0))

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.backbone_config.tower(join(prefix, "backbone"))
        kernel = self.fpn_kernel_size
        neck = (
            t for i, inner in enumerate(self.backbone_channel_list)
            for t in conv(f"neck.convs.{i}", self.fpn_hidden_size, inner, kernel, kernel, role="other")
        )  # fmt: skip
        return [*groups, group("vision", below(prefix, neck))], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
