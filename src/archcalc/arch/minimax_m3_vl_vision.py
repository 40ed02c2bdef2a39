"""The vision tower of MiniMax-M3: CLIP's layers over video patches with rotary positions.

Source: transformers 5.23, models/minimax_m3_vl/modeling_minimax_m3_vl.py (`MiniMaxM3VLVisionModel`) and configuration_minimax_m3_vl.py
(defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import clip_layer, patch_conv
from archcalc.model import Encoder, stack


class Schema(TowerSchema):
    inert_keys = ("image_size", "img_token_compression_config", "position_embedding_type", "rope_mode")

    hidden_size: Size = 1280
    intermediate_size: Size = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    num_channels: Size = 3
    patch_size: Size = 14
    temporal_patch_size: Size = 2
    spatial_merge_size: Size = 2
    hidden_act: str = "gelu"

    def tower(self, prefix: str) -> Pieces:
        h, n, p = self.hidden_size, self.num_attention_heads, self.patch_size
        divided(h, n, "hidden_size", "num_attention_heads")
        outside = (
            *patch_conv("embeddings.proj", h, self.num_channels, self.temporal_patch_size, p, p, bias=False),
            *layer_norm("pre_layrnorm", h),
        )
        layer = clip_layer(h, n, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(451584, self.patch_size, self.spatial_merge_size)
        source = "transformers 5.24, models/minimax_m3_vl/image_processing_minimax_m3_vl.py `size`"
        return within(self, most, self.spatial_merge_size, source, frames=self.temporal_patch_size, rotated=True)
