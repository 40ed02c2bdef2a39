"""The adapter of Molmo 2: attention that pools windows of patches from two layers of the tower, and a gated projection.

Source: transformers 5.23, models/molmo2/modeling_molmo2.py (`Molmo2Adapter`) and configuration_molmo2.py (defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.model import Shard


class Schema(TowerSchema):
    inert_keys = ("pooling_attention_mask", "float32_attention")

    vision_feature_layer: list[int] | None = named(None, "vit_layers", "vision_feature_layer")
    hidden_size: Size = 1152
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 16
    head_dim: Size = 72
    attention_bias: Flag = True
    hidden_act: str = "silu"
    intermediate_size: Size = 18944
    text_hidden_size: Size = 3584
    mlp_bias: Flag = False

    def layers_read(self) -> list[int]:
        return [24, 18] if self.vision_feature_layer is None else self.vision_feature_layer

    def tower(self, prefix: str) -> Pieces:
        h, width, bias = self.hidden_size, self.intermediate_size, self.attention_bias
        source, rows = h * len(self.layers_read()), Shard(0, width)
        pooling = GroupedQueryAttention(
            source, self.num_attention_heads, self.num_key_value_heads, self.head_dim, bias, bias, output_width=h
        )
        tensors = (
            *prefixed("image_pooling_2d", pooling.tensors()),
            *linear("image_projector.gate_proj", width, h, "other", bias=self.mlp_bias, shard=rows),
            *linear("image_projector.up_proj", width, h, "other", bias=self.mlp_bias, shard=rows),
            *linear("image_projector.down_proj", self.text_hidden_size, width, "other", shard=Shard(1, width)),
        )
        return [group("vision", prefixed(prefix, tensors))], []
