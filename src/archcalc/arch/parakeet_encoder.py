"""Parakeet's encoder (FastConformer): depthwise convolutions that thin out a spectrogram, and conformer layers.

Source: transformers 5.23, models/parakeet/modeling_parakeet.py (`ParakeetEncoder`) and configuration_parakeet.py (defaults); Rekesh et
al. 2023, arXiv:2305.05084.
"""

from collections.abc import Iterator
from typing import ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Attend, Layer, Tensor, stack

NORMS = ("norm_feed_forward1", "norm_self_att", "norm_conv", "norm_feed_forward2", "norm_out")


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("scale_input", "dropout_positions", "sampling_rate")

    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 8
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    intermediate_size: Size = 4096
    hidden_act: str = "silu"
    attention_bias: Flag = True
    convolution_bias: Flag = True
    conv_kernel_size: Size = 9
    subsampling_factor: Size = 8
    subsampling_conv_channels: Size = 256
    num_mel_bins: Size = 80
    subsampling_conv_kernel_size: Size = 3
    subsampling_conv_stride: Size = 2
    # Of the projector that a composite puts behind the encoder.
    projection_hidden_size: Size = 4096
    projection_bias: Flag = False

    def convolution(self) -> Iterator[Tensor]:
        h, bias = self.hidden_size, self.convolution_bias
        yield from conv("pointwise_conv1", 2 * h, h, 1, bias=bias)  # gated
        yield from conv("depthwise_conv", h, 1, self.conv_kernel_size, bias=bias)
        yield from layer_norm("norm", h)
        yield from conv("pointwise_conv2", h, h, 1, bias=bias)

    def layer(self) -> Layer:
        h, n, width, bias = self.hidden_size, self.num_attention_heads, self.intermediate_size, self.attention_bias
        dim = self.head_dim or h // n
        attention = GroupedQueryAttention(h, n, self.num_key_value_heads or n, dim, bias, bias)
        ffn = FeedForward(h, width, self.hidden_act, bias, ("linear1", "linear2"))
        tensors = (
            *prefixed("feed_forward1", ffn.tensors()),
            *prefixed("self_attn", attention.tensors()),
            *linear("self_attn.relative_k_proj", n * dim, h, "attention"),
            *(Tensor(f"self_attn.{name}", (n, dim), "attention") for name in ("bias_u", "bias_v")),
            *(t._replace(role="norm" if ".norm." in t.name else "other") for t in prefixed("conv", self.convolution())),
            *prefixed("feed_forward2", ffn.tensors()),
            *(t for name in NORMS for t in layer_norm(name, h)),
        )
        mixer = f"MHA ({n}/{n} x {dim}), convolution {self.conv_kernel_size}"
        return Layer(mixer, f"2 x {ffn.label()}", tensors, (), (Attend(n, dim, dim),), 0, attention.width(), 2 * ffn.width())

    def tower(self, prefix: str) -> Pieces:
        channels, kernel = self.subsampling_conv_channels, self.subsampling_conv_kernel_size
        halvings = self.subsampling_factor.bit_length() - 1
        outside = [*conv("subsampling.layers.0", channels, 1, kernel, kernel)]
        for i in range(halvings - 1):
            outside += conv(f"subsampling.layers.{3 * i + 2}", channels, 1, kernel, kernel)
            outside += conv(f"subsampling.layers.{3 * i + 3}", channels, channels, 1, 1)
        bins = self.num_mel_bins // self.subsampling_conv_stride**halvings
        outside += linear("subsampling.linear", self.hidden_size, channels * bins, "embedding", bias=True)
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]
