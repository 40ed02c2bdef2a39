"""InternViT as transformers has it: scaled residuals, a class token, positions for a fixed grid.

Source: transformers 5.23, models/internvl/modeling_internvl.py (`InternVLVisionModel`) and configuration_internvl.py (defaults).
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from archcalc.arch._composite import Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.model import Group, Stack, Tensor, stack


class Schema(TowerSchema):
    layers_name: ClassVar[str] = "encoder.layer"

    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    attention_bias: Flag = False
    use_qk_norm: Flag = False
    intermediate_size: Size = 4096
    hidden_act: str = "gelu"
    norm_type: Literal["layer_norm", "rms_norm"] = "layer_norm"
    image_size: Sides = (448, 448)
    patch_size: Sides = (14, 14)
    num_channels: Size = 3
    use_mask_token: Flag = False
    use_absolute_position_embeddings: Flag = True
    use_mean_pooling: Flag = True

    def norm(self, name: str) -> Iterable[Tensor]:
        h = self.hidden_size
        return layer_norm(name, h) if self.norm_type == "layer_norm" else (rms_norm(name, h),)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads, patch, (height, width) = self.hidden_size, self.num_attention_heads, both(self.patch_size), both(self.image_size)
        outside = [
            Tensor("embeddings.cls_token", (1, 1, h), "embedding"),
            *patch_conv("embeddings.patch_embeddings.projection", h, self.num_channels, *patch),
        ]
        if self.use_mask_token:
            outside.append(Tensor("embeddings.mask_token", (1, 1, h), "embedding"))
        if self.use_absolute_position_embeddings:
            rows = (height // patch[0]) * (width // patch[1]) + 1  # and the class token's
            outside.append(Tensor("embeddings.position_embeddings", (1, rows, h), "embedding"))
        if not self.use_mean_pooling:
            outside += layer_norm("layernorm", h)
        attention = GroupedQueryAttention(
            h, heads, heads, divided(h, heads, "hidden_size", "num_attention_heads"), self.attention_bias, True,
            qk_norm="full" if self.use_qk_norm else "none", names=("q_proj", "k_proj", "v_proj", "projection_layer"),
        )  # fmt: skip
        layer = encoder_layer(
            attention,
            FeedForward(h, self.intermediate_size, self.hidden_act),
            (*self.norm("layernorm_before"), *self.norm("layernorm_after")),
            attention_name="attention",
            extra=[Tensor(name, (h,), "other") for name in ("lambda_1", "lambda_2")],
        )
        layers = stack(join(prefix, self.layers_name), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class QianfanOcrVision(Schema):
    """The vision tower of Qianfan-OCR: InternViT with biased queries, keys and values.
    Source: transformers 5.23, models/qianfan_ocr/modeling_qianfan_ocr.py (`QianfanOCRVisionModel`) and configuration_qianfan_ocr.py
    (defaults)."""

    inert_keys = (*Schema.inert_keys, "drop_path_rate")
    layers_name = "layers"

    attention_bias: Flag = True
