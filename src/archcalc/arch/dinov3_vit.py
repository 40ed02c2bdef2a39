"""DINOv3: a ViT with rotary positions, registers and scaled residuals; keys without a bias.

Source: transformers 5.24, models/dinov3_vit/modeling_dinov3_vit.py (`DINOv3ViTModel`) and configuration_dinov3_vit.py (defaults);
Siméoni et al. 2025, arXiv:2508.10104.
"""

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import Block, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Architecture, Layer, Tensor, stack


class Schema(TowerSchema):
    prefix = ""
    alone = "a model without text: it keeps no cache"
    inert_keys = (
        "apply_layernorm", "layerscale_value", "drop_path_rate", "reshape_hidden_states", "out_features", "out_indices",
        "stage_names", "pos_embed_jitter", "pos_embed_rescale", "pos_embed_shift", "return_class_token",
    )  # fmt: skip

    hidden_size: Size = 384
    intermediate_size: Size = 1536
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 6
    hidden_act: str = "gelu"
    image_size: Sides = 224
    patch_size: Sides = 16
    num_channels: Size = 3
    num_register_tokens: Count = 0
    query_bias: Flag = True
    key_bias: Flag = False
    value_bias: Flag = True
    proj_bias: Flag = True
    mlp_bias: Flag = True
    use_gated_mlp: Flag = False

    def layer(self) -> Layer:
        h, n, width, bias = self.hidden_size, self.num_attention_heads, self.intermediate_size, self.mlp_bias
        attention = GroupedQueryAttention(h, n, n, head_width(h, n), True, self.proj_bias)
        gated = GatedFeedForward(h, width, self.hidden_act, bias)
        ffn: Block = gated if self.use_gated_mlp else FeedForward(h, width, self.hidden_act, bias, ("up_proj", "down_proj"))
        layer = encoder_layer(
            attention, ffn, (*layer_norm("norm1", h), *layer_norm("norm2", h)), attention_name="attention",
            extra=[Tensor(f"layer_scale{i}.lambda1", (h,), "other") for i in (1, 2)],
        )  # fmt: skip
        has = {"q_proj": self.query_bias, "k_proj": self.key_bias, "v_proj": self.value_bias}
        lacking = {f"attention.{name}.bias" for name, biased in has.items() if not biased}
        return layer._replace(tensors=tuple(t for t in layer.tensors if t.name not in lacking))

    def tower(self, prefix: str) -> Pieces:
        h = self.hidden_size
        outside = [
            Tensor("embeddings.cls_token", (1, 1, h), "embedding"), Tensor("embeddings.mask_token", (1, 1, h), "embedding"),
            *([Tensor("embeddings.register_tokens", (1, n, h), "embedding")] if (n := self.num_register_tokens) else []),
            *patch_conv("embeddings.patch_embeddings", h, self.num_channels, *both(self.patch_size)), *layer_norm("norm", h),
        ]  # fmt: skip
        layers = stack(join(prefix, "model.layer"), "vision", [self.layer()] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside) if prefix else outside)], [layers]

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")
