"""The audio tower of Phi-4-multimodal: depthwise convolutions that thin out a spectrogram, and conformer layers.

Source: transformers 5.23, models/phi4_multimodal/modeling_phi4_multimodal.py (`Phi4MultimodalAudioModel`) and
configuration_phi4_multimodal.py (defaults); Gulati et al. 2020, arXiv:2005.08100.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import heard
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Attend, Encoder, Layer, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("chunk_size", "left_chunk", "conv_activation", "conv_glu_type", "nemo_activation", "feature_layer")

    hidden_size: Size = 1024
    intermediate_size: Size = 1536
    num_blocks: Layers = 24
    num_attention_heads: Size = 16
    head_dim: Size | None = None
    activation: str = "swish"
    ext_pw_out_channel: Size = 1024
    depthwise_separable_out_channel: Size = 1024
    depthwise_multiplier: Size = 1
    kernel_size: Size = 3
    input_size: Size = 80
    time_reduction: Size = 8
    bias_max_distance: Size = 1000
    bias_symmetric: Flag = False
    nemo_conv_channels: Size = 1024
    nemo_final_size: Size | None = None
    downsample_rate: Size = 1

    def ffn(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from layer_norm("layer_norm", h)
        yield from GatedFeedForward(h, self.intermediate_size, self.activation, True, fused="gate_up_proj").tensors()

    def convolution(self) -> Iterator[Tensor]:
        h, out, deep, separable = (
            self.hidden_size,
            self.ext_pw_out_channel,
            self.depthwise_multiplier,
            self.depthwise_separable_out_channel,
        )
        yield from layer_norm("layer_norm", h)
        yield from (Tensor(f"glu.{name}", (1, out, 1), "other") for name in ("b1", "b2"))
        yield from conv("glu.ext_pw_conv_1d", 2 * out, h, 1)
        yield from conv("dw_sep_conv_1d.dw_conv", h * deep, 1, self.kernel_size)
        yield from conv("dw_sep_conv_1d.pw_conv", separable, h * deep, 1)
        yield from conv("ext_pw_conv_1d", out, h, 1)

    def layer(self) -> Layer:
        h, n, width = self.hidden_size, self.num_attention_heads, self.intermediate_size
        dim = self.head_dim or h // n
        attention = GroupedQueryAttention(h, n, n, dim, True, True)
        tensors = (
            *prefixed("feed_forward_in", self.ffn()), *prefixed("self_attn", attention.tensors()),
            *(t._replace(role="norm" if "norm" in t.name else "other") for t in prefixed("conv", self.convolution())),
            *prefixed("feed_forward_out", self.ffn()), *layer_norm("layer_norm_att", h), *layer_norm("layer_norm", h),
        )  # fmt: skip
        mixer = f"MHA ({n}/{n} x {dim}), convolution {self.kernel_size}"
        return Layer(mixer, f"2 x SwiGLU {width}", tensors, (), (Attend(n, dim, dim),), 0, attention.width(), 6 * width)

    def tower(self, prefix: str) -> Pieces:
        channels, bins, halvings = self.nemo_conv_channels, self.input_size, self.time_reduction.bit_length() - 1
        outside = [*conv("embed.conv.0", channels, 1, 3, 3)]
        for i in range(halvings - 1):
            outside += conv(f"embed.conv.{3 * i + 2}", channels, 1, 3, 3)
            outside += conv(f"embed.conv.{3 * i + 3}", channels, channels, 1, 1)
        for _ in range(halvings):
            bins = (bins - 1) // 2 + 1
        outside += linear("embed.out", self.hidden_size, channels * (self.nemo_final_size or bins), "embedding", bias=True)
        buckets = self.bias_max_distance * (1 if self.bias_symmetric else 2)
        outside.append(table("relative_attention_bias_layer.bias_values", buckets, self.num_attention_heads))
        layers = stack(join(prefix, "encoders"), "audio", [self.layer()] * self.num_blocks)
        return [group("audio", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """The longest sound that engines profile."""
        # 241,000 samples of 16 kHz, in frames of 10 ms, eight to a row.
        rows = -(-241_000 // (160 * self.time_reduction))
        source = "vLLM 0.33, models/phi4mm.py `_AUDIO_MAX_SOUNDFILE_SIZE`"
        return heard(self, rows, rows, self.time_reduction * self.input_size, source)
