"""InternViT, the vision tower of InternVL.

Source: OpenGVLab/InternVL2-2B, modeling_intern_vit.py and configuration_intern_vit.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    inert_keys = (
        "drop_path_rate", "use_fa3", "shift_level", "capacity_factor", "eval_capacity_factor", "laux_allreduce",
        "moe_coeff_ratio", "moe_intermediate_size", "moe_output_scale", "noisy_gate_policy", "num_experts", "num_routed_experts",
        "num_shared_experts", "shared_expert_intermediate_size", "use_moe", "use_residual", "use_rts", "use_weighted_residual",
    )  # fmt: skip

    num_channels: Size = 3
    patch_size: Size = 14
    image_size: Size = 224
    qkv_bias: Flag = False
    hidden_size: Size = 3200
    num_attention_heads: Size = 25
    intermediate_size: Size = 12800
    qk_normalization: Flag = True
    num_hidden_layers: Layers = 48
    hidden_act: str = "gelu"
    norm_type: str = "rms_norm"

    def norm(self, name: str) -> tuple[Tensor, ...]:
        h = self.hidden_size
        return (rms_norm(name, h),) if self.norm_type == "rms_norm" else tuple(layer_norm(name, h))

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = divided(h, heads, "hidden_size", "num_attention_heads")
        attention = GroupedQueryAttention(
            h, heads, heads, dim, bias=self.qkv_bias, output_bias=True, fused="qkv", names=("", "", "", "proj"),
            qk_norm="full" if self.qk_normalization else "none",
        )  # fmt: skip
        norms = (*self.norm("norm1"), *self.norm("norm2"), Tensor("ls1", (h,), "other"), Tensor("ls2", (h,), "other"))
        return encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms, attention_name="attn")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p = self.hidden_size, self.patch_size
        outside = [
            Tensor("embeddings.class_embedding", (1, 1, h), "embedding"),
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, p, p),
            Tensor("embeddings.position_embedding", (1, grid(self.image_size, p) + 1, h), "embedding"),
        ]
        layers = stack(join(prefix, "encoder.layers"), "vision", [self.layer()] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
