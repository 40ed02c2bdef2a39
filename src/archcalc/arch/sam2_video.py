"""SAM 2 for videos: SAM 2, a memory of what was drawn, and attention to it.

Source: transformers 5.24, models/sam2_video/modeling_sam2_video.py (`Sam2VideoModel`, `Sam2VideoMemoryAttention`,
`Sam2VideoMemoryEncoder`) and configuration_sam2_video.py (defaults); Ravi et al. 2024, arXiv:2408.00714.
"""

from collections.abc import Iterator

from archcalc.arch import sam2
from archcalc.arch._composite import Pieces
from archcalc.arch._schema import Count, Flag, Layers, Size
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Layer, Tensor, stack

KEPT = 64  # modeling_sam2_video.py, `Sam2VideoMemoryAttentionLayer`: the width of a memory, whatever the encoder's is


class Schema(sam2.Schema):
    inert_keys = (
        "image_size", "sigmoid_scale_for_mem_enc", "sigmoid_bias_for_mem_enc", "multimask_output_in_sam", "multimask_min_pt_num",
        "multimask_max_pt_num", "multimask_output_for_tracking", "max_object_pointers_in_encoder", "max_cond_frame_num",
        "memory_attention_num_attention_heads", "memory_attention_feed_forward_hidden_act", "memory_attention_rope_feat_sizes",
        "mask_downsampler_padding", "mask_downsampler_hidden_act", "memory_fuser_padding", "memory_fuser_layer_scale_init_value",
        "memory_fuser_hidden_act", "memory_attention_rope_theta", "non_overlap_masks_for_mem_enc",
    )  # fmt: skip

    num_maskmem: Count = 7
    enable_occlusion_spatial_embedding: Flag = True
    enable_temporal_pos_encoding_for_object_pointers: Flag = True
    memory_attention_hidden_size: Size = 256
    memory_attention_num_layers: Layers = 4
    memory_attention_downsample_rate: Size = 1
    memory_attention_feed_forward_hidden_size: Size = 2048
    memory_encoder_hidden_size: Size = 256
    memory_encoder_output_channels: Size = 64
    mask_downsampler_embed_dim: Size = 256
    mask_downsampler_kernel_size: Size = 3
    mask_downsampler_stride: Size = 2
    mask_downsampler_total_stride: Size = 16
    memory_fuser_num_layers: Layers = 2
    memory_fuser_embed_dim: Size = 256
    memory_fuser_intermediate_dim: Size = 1024
    memory_fuser_kernel_size: Size = 7

    def attending(self) -> Layer:
        h, inner_width = self.memory_attention_hidden_size, self.memory_attention_feed_forward_hidden_size
        inner, made = h // self.memory_attention_downsample_rate, list[Tensor]()
        for name, kept in (("self_attn", h), ("cross_attn_image", KEPT)):
            for side, width in (("q", h), ("k", kept), ("v", kept)):
                made += linear(f"{name}.{side}_proj", inner, width, "attention", bias=True)
            made += linear(f"{name}.o_proj", h, inner, "attention", bias=True)
        made += (*linear("linear1", inner_width, h, "mlp", bias=True), *linear("linear2", h, inner_width, "mlp", bias=True))
        made += (t for i in (1, 2, 3) for t in layer_norm(f"layer_norm{i}", h))
        return Layer("MHA over a memory of frames", f"FFN {inner_width}", tuple(made), (), (), 0, 4 * h, 2 * inner_width)

    def remembering(self) -> Iterator[Tensor]:
        """What makes a memory of a frame and its mask."""
        h, out, kernel = self.memory_encoder_hidden_size, self.memory_encoder_output_channels, self.mask_downsampler_kernel_size
        inner, left, i = 1, self.mask_downsampler_total_stride, 0
        while left > 1:
            outer = inner * self.mask_downsampler_stride**2
            yield from conv(f"mask_downsampler.layers.{i}.conv", outer, inner, kernel, kernel, role="other")
            yield from layer_norm(f"mask_downsampler.layers.{i}.layer_norm", outer)
            inner, left, i = outer, left // self.mask_downsampler_stride, i + 1
        yield from conv("mask_downsampler.final_conv", self.mask_downsampler_embed_dim, inner, 1, 1, role="other")
        yield from conv("feature_projection", h, h, 1, 1, role="other")
        yield from conv("projection", out, h, 1, 1, role="other")
        inner_width, side = self.memory_fuser_embed_dim, self.memory_fuser_kernel_size
        for i in range(self.memory_fuser_num_layers):
            at = f"memory_fuser.layers.{i}"
            yield Tensor(f"{at}.scale", (inner_width,), "other")
            yield from conv(f"{at}.depthwise_conv", inner_width, 1, side, side, role="other")
            yield from layer_norm(f"{at}.layer_norm", inner_width)
            yield from linear(f"{at}.pointwise_conv1", self.memory_fuser_intermediate_dim, inner_width, "other", bias=True)
            yield from linear(f"{at}.pointwise_conv2", inner_width, self.memory_fuser_intermediate_dim, "other", bias=True)

    def extras(self) -> Iterator[Tensor]:
        h, kept = int(getattr(self.vision_config, "fpn_hidden_size", 256)), self.memory_encoder_output_channels
        for name in ("no_memory_embedding", "no_memory_positional_encoding"):
            yield Tensor(name, (1, 1, h), "other")
        yield Tensor("memory_temporal_positional_encoding", (self.num_maskmem, 1, 1, kept), "other")
        yield Tensor("no_object_pointer", (1, h), "other")
        if self.enable_occlusion_spatial_embedding:
            yield Tensor("occlusion_spatial_embedding_parameter", (1, kept), "other")
        yield from layer_norm("memory_attention.layer_norm", self.memory_attention_hidden_size)
        yield from (t._replace(name=f"memory_encoder.{t.name}") for t in self.remembering())
        yield from conv("mask_downsample", 1, 1, 4, 4, role="other")
        for name in ("proj_in", "proj_out", "layers.0"):
            yield from linear(f"object_pointer_proj.{name}", h, h, "other", bias=True)
        if self.enable_temporal_pos_encoding_for_object_pointers:
            yield from linear("temporal_positional_encoding_projection_layer", kept, h, "other", bias=True)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        layers = stack("memory_attention.layers", "other", [self.attending()] * self.memory_attention_num_layers)
        return groups, [*stacks, layers]
