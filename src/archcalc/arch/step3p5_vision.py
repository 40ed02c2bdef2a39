"""The vision tower of Step 3.7 Flash: pre-norm layers with layer scale, rotary and learned positions, two strided convolutions.

Source: transformers 5.23, models/step3p7/modeling_step3p7.py (`Step3p7VisionModel`) and configuration_step3p7.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv, table, vit_attention
from archcalc.model import Group, Stack, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("intermediate_size", "use_cls_token")

    hidden_size: Size = Field(1536, validation_alias=AliasChoices("width", "hidden_size"))
    num_hidden_layers: Layers = Field(47, validation_alias=AliasChoices("layers", "num_hidden_layers"))
    num_attention_heads: Size = Field(16, validation_alias=AliasChoices("heads", "num_attention_heads"))
    num_channels: Size = 3
    image_size: Size = 728
    patch_size: Size = 14
    hidden_act: str = "quick_gelu"
    mlp_ratio: float = 8960 / 1536

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p = self.hidden_size, self.patch_size
        divided(h, self.num_attention_heads, "vision_config.hidden_size", "vision_config.num_attention_heads")
        norms = [t for name in ("layernorm_before", "layernorm_after") for t in layer_norm(name, h)]
        scales = [Tensor(name, (h,), "other") for name in ("lambda_1", "lambda_2")]
        ffn = FeedForward(h, int(h * self.mlp_ratio), self.hidden_act)
        layer = encoder_layer(vit_attention(h, self.num_attention_heads), ffn, norms, extra=scales)
        outside = [
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, p, p, bias=False),
            table("embeddings.position_embedding", grid(self.image_size, p), h),
            *layer_norm("pre_layernorm", h),
            *patch_conv("downsampler1", 2 * h, h, 3, 3),
            *patch_conv("downsampler2", 4 * h, 2 * h, 3, 3),
        ]
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
