"""The vision tower of LFM3-VL: gated depthwise convolutions over the patches, with attention in every second layer.

Source: transformers 5.23, models/lfm3_vl/modeling_lfm3_vl.py (`Lfm3VlVisionModel`) and configuration_lfm3_vl.py (defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided, per_layer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Encoder, Layer, Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = 1024
    intermediate_size: Size = 2560
    in_channels: Size = 3
    patch_size: Size = 16
    spatial_merge_size: Size = 2
    temporal_patch_size: Size = 2
    num_hidden_layers: Layers = 14
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 8
    layer_types: list[str] | None = None
    conv_kernel_size: Size = 3

    def kinds(self) -> list[str]:
        n = self.num_hidden_layers
        if self.layer_types is not None:
            return list(per_layer(self.layer_types, n, "vision_config.layer_types"))
        return ["conv" if i < 2 or i % 2 else "full_attention" for i in range(n)]

    def layer(self, kind: str) -> Layer:
        h, n, kernel = self.hidden_size, self.num_attention_heads, self.conv_kernel_size
        ffn = GatedFeedForward(h, self.intermediate_size, names=("w1", "w3", "w2"))
        norms = (rms_norm("operator_norm", h), rms_norm("ffn_norm", h))
        head_dim = divided(h, n, "vision_config.hidden_size", "vision_config.num_attention_heads")
        attention = GroupedQueryAttention(
            h, n, self.num_key_value_heads, head_dim, qk_norm="head", names=("q_proj", "k_proj", "v_proj", "out_proj")
        )
        attended = encoder_layer(attention, ffn, norms, ffn_name="feed_forward")
        if kind != "conv":
            return attended
        tensors = (
            *linear("conv.in_proj", 3 * h, h, "other"),
            Tensor("conv.spatial_conv.weight", (h, 1, kernel, kernel), "other"),
            *linear("conv.out_proj", h, h, "other"),
            *(t for t in attended.tensors if not t.name.startswith("self_attn.")),
        )
        return Layer(f"gated convolution {kernel} x {kernel}", attended.ffn, tensors, (), (), 0, 4 * h, attended.ffn_width)

    def tower(self, prefix: str) -> Pieces:
        h, kinds = self.hidden_size, self.kinds()
        built = {kind: self.layer(kind) for kind in dict.fromkeys(kinds)}
        patch = self.in_channels * self.temporal_patch_size * self.patch_size**2
        outside = (*linear("patch_embed", h, patch, "embedding"), rms_norm("embedding_norm", h))
        layers = stack(join(prefix, "layers"), "vision", [built[kind] for kind in kinds])
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(28**2 * 1280, self.patch_size, self.spatial_merge_size)
        source = "transformers 5.24, models/qwen2_vl/image_processing_qwen2_vl.py `size`, which models/auto gives lfm3_vl"
        return within(self, most, self.spatial_merge_size, source, frames=self.temporal_patch_size, rotated=True)
