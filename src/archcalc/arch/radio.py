"""C-RADIO: a ViT with class and register tokens, scaled residuals and a position table that images crop.

Source: transformers 5.23, models/radio/modeling_radio.py (`RadioModel`) and configuration_radio.py (defaults).
"""

from collections.abc import Iterable
from typing import ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import Block, linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "drop_path_rate", "image_size", "layerscale_value", "patch_dim", "video_patch_dim", "norm_mean",
    )  # fmt: skip

    hidden_size: Size = 1280
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    head_dim: Size | None = None
    mlp_ratio: float = 4.0
    hidden_act: str = "gelu"
    use_swiglu_ffn: Flag = False
    qkv_bias: Flag = True
    num_channels: Size = 3
    patch_size: Size = 16
    max_img_size: Size = 2048
    num_cls_tokens: Count = 3
    num_registers: Count = 7
    video_temporal_patch_size: Size | None = None

    def ffn(self) -> Block:
        h, width = self.hidden_size, int(self.hidden_size * self.mlp_ratio)
        if not self.use_swiglu_ffn:
            return FeedForward(h, width, self.hidden_act)
        # Two thirds of the width, rounded up to a multiple of eight.
        return GatedFeedForward(h, (width * 2 // 3 + 7) // 8 * 8, "silu", bias=True)

    def scales(self) -> Iterable[Tensor]:
        """What the residuals are scaled by."""
        return (Tensor(f"layer_scale{i}.lambda1", (self.hidden_size,), "other") for i in (1, 2))

    def tower(self, prefix: str) -> Pieces:
        h, n, patch = self.hidden_size, self.num_attention_heads, self.num_channels * self.patch_size**2
        outside = [
            Tensor("embeddings.position_embedding", (1, (self.max_img_size // self.patch_size) ** 2, h), "embedding"),
            Tensor("embeddings.cls_register_token", (self.num_cls_tokens + self.num_registers, h), "embedding"),
            *linear("embeddings.patch_projection", h, patch, "embedding"),
        ]
        if self.video_temporal_patch_size is not None:
            outside += linear("embeddings.video_patch_projection", h, patch * self.video_temporal_patch_size, "embedding")
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, self.head_dim or h // n, self.qkv_bias, True),
            self.ffn(),
            (*layer_norm("norm1", h), *layer_norm("norm2", h)),
            attention_name="attention",
            extra=self.scales(),
        )
        layers = stack(join(prefix, "encoder.layer"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
