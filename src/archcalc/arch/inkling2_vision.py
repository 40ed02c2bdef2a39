"""The vision tower of Inkling 2: a ViT with scaled residuals, rotary and learned positions, and a merger into the text.

Source: transformers 5.23, models/inkling2/modeling_inkling2.py (`Inkling2VisionModel`) and configuration_inkling2.py (defaults).
"""

from math import ceil

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import within
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, projector, table, vit_attention
from archcalc.model import Encoder, Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = 1024
    intermediate_size: Size | None = None
    num_hidden_layers: Layers = 23
    num_attention_heads: Size = 16
    num_channels: Size = 3
    patch_size: Size = Field(20, validation_alias=AliasChoices("native_patch_size", "patch_size"))
    hidden_act: str = "gelu"
    mlp_ratio: float = 4.0
    spatial_merge_size: Size = Field(2, validation_alias=AliasChoices("adapter_merge_size", "spatial_merge_size"))
    posemb_grid_size: Size = 32
    projection_hidden_dim: Size = 4096
    projector_bias: Flag = False
    text_hidden_size: Size = 4608

    def tower(self, prefix: str) -> Pieces:
        h, n = self.hidden_size, self.num_attention_heads
        divided(h, n, "vision_config.hidden_size", "vision_config.num_attention_heads")
        widths = (h * self.spatial_merge_size**2, self.projection_hidden_dim, self.text_hidden_size)
        outside = [
            Tensor("embeddings.class_embedding", (h,), "embedding"),
            Tensor("embeddings.cls_position_embedding", (h,), "embedding"),
            *linear("embeddings.patch_embedding", h, self.num_channels * self.patch_size**2, "embedding"),
            table("embeddings.position_embedding", self.posemb_grid_size**2, h),
            *layer_norm("pre_layernorm", h),
            *projector(("merger.linear_1", "merger.linear_2"), widths, bias=self.projector_bias),
        ]
        layer = encoder_layer(
            vit_attention(h, n),
            FeedForward(h, self.intermediate_size or int(h * self.mlp_ratio), self.hidden_act),
            (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h)),
            extra=[Tensor(name, (h,), "other") for name in ("lambda_1", "lambda_2")],
        )
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """A square image of 2,048 pixels."""
        side = self.patch_size * self.spatial_merge_size
        source = "transformers 5.24, models/inkling/image_processing_inkling.py `rescale_image_max_upscaled_long_edge`"
        return within(self, ceil(2048 / side) ** 2, self.spatial_merge_size, source)
