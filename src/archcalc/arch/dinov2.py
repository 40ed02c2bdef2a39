"""DINOv2: a ViT with scaled residuals.

Source: transformers 5.24, models/dinov2/modeling_dinov2.py (`Dinov2Model`, `Dinov2ForImageClassification`) and configuration_dinov2.py
(defaults); Oquab et al. 2023, arXiv:2304.07193.
"""

from collections.abc import Iterable
from typing import ClassVar

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import Block, linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Architecture, Tensor, stack


class Schema(TowerSchema):
    prefix = ""
    inert_keys = (
        "apply_layernorm", "layerscale_value", "drop_path_rate", "reshape_hidden_states", "out_features", "out_indices",
        "stage_names",
    )  # fmt: skip
    alone = "a model without text: it keeps no cache"
    root: ClassVar[str] = "dinov2"

    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    mlp_ratio: int | float = 4
    hidden_act: str = "gelu"
    image_size: Sides = 224
    patch_size: Sides = 14
    num_channels: Size = 3
    qkv_bias: Flag = True
    use_swiglu_ffn: Flag = False
    use_mask_token: Flag = True

    def ffn(self) -> Block:
        h = self.hidden_size
        if not self.use_swiglu_ffn:
            return FeedForward(h, int(h * self.mlp_ratio), self.hidden_act)
        # Two thirds of the width, up to a multiple of 8.
        return GatedFeedForward(h, (int(int(h * self.mlp_ratio) * 2 / 3) + 7) // 8 * 8, "silu", bias=True)

    def registers(self) -> Iterable[Tensor]:
        """Tokens beside the class's and the patches'."""
        return ()

    def tower(self, prefix: str) -> Pieces:
        h, n, patch, (height, width) = self.hidden_size, self.num_attention_heads, both(self.patch_size), both(self.image_size)
        rows = (height // patch[0]) * (width // patch[1]) + 1  # and the class token's
        outside = [
            Tensor("embeddings.cls_token", (1, 1, h), "embedding"), Tensor("embeddings.position_embeddings", (1, rows, h), "embedding"),
            *([Tensor("embeddings.mask_token", (1, h), "embedding")] if self.use_mask_token else []), *self.registers(),
            *patch_conv("embeddings.patch_embeddings.projection", h, self.num_channels, *patch), *layer_norm("layernorm", h),
        ]  # fmt: skip
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, head_width(h, n), self.qkv_bias, True), self.ffn(),
            (*layer_norm("norm1", h), *layer_norm("norm2", h)), attention_name="attention",
            extra=[Tensor(f"layer_scale{i}.lambda1", (h,), "other") for i in (1, 2)],
        )  # fmt: skip
        layers = stack(join(prefix, "encoder.layer"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside) if prefix else outside)], [layers]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForImageClassification"):
            return super().head_of(name)
        # The class token beside the mean of the patches.
        return linear("classifier", labels_of(self.model_extra or {}), 2 * self.hidden_size, "head", bias=True)

    def architecture(self, prefix: str) -> Architecture:
        named = self.class_name()
        return super().architecture(self.root if named.endswith("Classification") else "")


class Dinov2WithRegisters(Schema):
    """DINOv2 with registers: tokens that belong to no patch.
    Source: transformers 5.24, models/dinov2_with_registers/modeling_dinov2_with_registers.py (`Dinov2WithRegistersModel`) and
    configuration_dinov2_with_registers.py (defaults); Darcet et al. 2023, arXiv:2309.16588."""

    root = "dinov2_with_registers"

    patch_size: Sides = 16
    num_register_tokens: Count = 4

    def registers(self) -> Iterable[Tensor]:
        if self.num_register_tokens:
            yield Tensor("embeddings.register_tokens", (1, self.num_register_tokens, self.hidden_size), "embedding")
