"""Mimi, an audio codec: convolutions and a transformer either way, with a residual quantizer between.

Its codebooks are buffers, so they are counted nowhere.

Source: transformers 5.23, models/mimi/modeling_mimi.py (`MimiModel`) and configuration_mimi.py (defaults).
"""

import math

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided
from archcalc.arch._seanet import SeanetTower
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Half(ConfigSchema):
    """What the class derives from the keys beside it, and writes down again."""

    language = False
    inert_keys = (
        "attention_bias", "audio_channels", "codebook_dim", "codebook_size", "compress", "dilation_growth_rate", "frame_rate",
        "head_dim", "hidden_size", "intermediate_size", "kernel_size", "last_kernel_size", "layer_scale_initial_scale",
        "num_attention_heads", "num_filters", "num_hidden_layers", "num_key_value_heads", "num_quantizers", "num_residual_layers",
        "num_semantic_quantizers", "pad_mode", "residual_kernel_size", "sampling_rate", "sliding_window", "tie_word_embeddings",
        "trim_right_ratio", "upsample_groups", "upsampling_ratios", "use_causal_conv", "use_conv_shortcut", "use_streaming",
        "vector_quantization_hidden_dimension", "downsampling_ratios", "base_config_key",
    )  # fmt: skip


class Schema(SeanetTower):
    inert_keys = (
        "codebook_dim", "codebook_size", "dilation_growth_rate", "layer_scale_initial_scale", "num_quantizers",
        "num_semantic_quantizers", "pad_mode", "sliding_window", "trim_right_ratio", "use_causal_conv", "use_streaming",
        "normalize", "_frame_rate",
    )  # fmt: skip

    sampling_rate: Size = 24000
    frame_rate: float | None = None
    vector_quantization_hidden_dimension: Size = 256
    upsample_groups: Size = 512
    num_hidden_layers: Layers = 8
    intermediate_size: Size = 2048
    num_attention_heads: Size = 8
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = None
    attention_bias: Flag = False
    hidden_act: str = "gelu"
    # All derived from the keys above; null drops one.
    encoder_config: Half | None = Half()
    decoder_config: Half | None = Half()

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = self.head_dim or divided(h, heads, "hidden_size", "num_attention_heads")
        attention = GroupedQueryAttention(
            h, heads, self.num_key_value_heads or heads, dim, bias=self.attention_bias, output_bias=self.attention_bias
        )
        norms = (*layer_norm("input_layernorm", h), *layer_norm("post_attention_layernorm", h))
        scales = [Tensor(f"{name}_layer_scale.scale", (h,), "other") for name in ("self_attn", "mlp")]
        return encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act, bias=False), norms, extra=scales)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, inner, layer, product = self.hidden_size, self.vector_quantization_hidden_dimension, self.layer(), math.prod(self.ratios)
        frames = math.ceil(self.sampling_rate / product)
        rate = self.frame_rate or self.sampling_rate / (2 * product)
        width, stacks = 2 * int(frames / rate), []
        outside: list[Tensor] = []
        for name, sampled, given in (("encoder", "downsample", self.encoder_config), ("decoder", "upsample", self.decoder_config)):
            if given is None:
                continue
            outside += prefixed(f"{name}.{name}_seanet.layers", self.encoder() if name == "encoder" else self.decoder())
            if frames != rate:
                deep = h if name == "encoder" else h // self.upsample_groups
                outside += conv(f"{name}.{sampled}.conv", h, deep, width, bias=False)
            stacks.append(stack(join(prefix, f"{name}.{name}_transformer.layers"), "audio", [layer] * self.num_hidden_layers))
        if inner != h:
            for name in ("semantic", "acoustic"):
                outside += conv(f"quantizer.{name}_residual_vector_quantizer.input_proj", inner, h, 1, bias=False)
                outside += conv(f"quantizer.{name}_residual_vector_quantizer.output_proj", h, inner, 1, bias=False)
        return [group("audio", prefixed(prefix, outside))], stacks
