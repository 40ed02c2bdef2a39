"""Llama 4, the vision tower: patches unfolded and projected, a class token at the end, an adapter that shuffles pixels.

Source: transformers 5.23, models/llama4/modeling_llama4.py (`Llama4VisionModel`) and configuration_llama4.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, vit_attention
from archcalc.model import Group, Shard, Stack, Tensor, stack


class Schema(TowerSchema):
    # The reference implementation takes the last layer, shuffles by a ratio that changes no width, and has no biases there.
    inert_keys = ("vision_feature_layer", "vision_feature_select_strategy", "pixel_shuffle_ratio", "multi_modal_projector_bias")

    hidden_size: Size = 768
    hidden_act: str = "gelu"
    num_hidden_layers: Layers = 34
    num_attention_heads: Size = 16
    num_channels: Size = 3
    intermediate_size: Size = 5632
    vision_output_dim: Size = 7680
    image_size: Size = 448
    patch_size: Size = 14
    projector_input_dim: Size = 4096
    projector_output_dim: Size = 4096

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads, width, p = self.hidden_size, self.num_attention_heads, self.intermediate_size, self.patch_size
        divided(h, heads, "hidden_size", "num_attention_heads")
        inner, outer = self.projector_input_dim, self.projector_output_dim
        outside = [
            *linear("patch_embedding.linear", h, self.num_channels * p * p, "embedding"),
            Tensor("class_embedding", (h,), "embedding"),
            Tensor("positional_embedding_vlm", (grid(self.image_size, p) + 1, h), "embedding"),
            *layer_norm("layernorm_pre", h),
            *layer_norm("layernorm_post", h),
            *linear("vision_adapter.mlp.fc1", inner, width, "mlp", shard=Shard(0, inner)),
            *linear("vision_adapter.mlp.fc2", outer, outer, "mlp", shard=Shard(1, outer)),
        ]
        layer = encoder_layer(
            vit_attention(h, heads, names=("q_proj", "k_proj", "v_proj", "o_proj")),
            FeedForward(h, width, self.hidden_act),
            (*layer_norm("input_layernorm", h), *layer_norm("post_attention_layernorm", h)),
        )
        layers = stack(join(prefix, "model.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
