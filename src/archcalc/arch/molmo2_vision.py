"""The vision tower of Molmo 2: SigLIP's layers, patches read by a linear layer.

Source: transformers 5.23, models/molmo2/modeling_molmo2.py (`Molmo2VisionModel`) and configuration_molmo2.py (defaults, and the names of
keys in released configs).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("float32_attention", "resize_mode")

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 25
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 16
    head_dim: Size = 72
    hidden_act: str = "gelu_pytorch_tanh"
    image_size: tuple[Size, Size] | None = named(None, "image_default_input_size", "image_size")
    patch_size: Size = named(14, "image_patch_size", "patch_size")
    num_position_embeddings: Size | None = named(None, "image_num_pos", "num_position_embeddings")
    num_channels: Size = 3
    attention_bias: Flag = True

    def rows(self) -> int:
        height, width = self.image_size or (378, 378)
        return self.num_position_embeddings or (height // self.patch_size) * (width // self.patch_size)

    def tower(self, prefix: str) -> Pieces:
        h, bias = self.hidden_size, self.attention_bias
        outside = [
            Tensor("positional_embedding", (self.rows(), h), "embedding"),
            *linear("patch_embedding", h, self.num_channels * self.patch_size**2, "embedding", bias=True),
        ]
        layer = encoder_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.num_key_value_heads, self.head_dim, bias, bias),
            FeedForward(h, self.intermediate_size, self.hidden_act),
            (*layer_norm("layer_norm1", h), *layer_norm("layer_norm2", h)),
        )
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
