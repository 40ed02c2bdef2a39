"""What makes sound of Qwen3-Omni's codes: layers with a window over the codes, then convolutions that stretch them into a waveform.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeCode2Wav`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Layer, Tensor, stack


def snake(name: str, channels: int) -> Iterator[Tensor]:
    for parameter in ("alpha", "beta"):
        yield Tensor(f"{name}.{parameter}", (channels,), "other")


def stretch(name: str, inner: int, outer: int, kernel: int) -> Iterator[Tensor]:
    """A transposed convolution."""
    yield Tensor(f"{name}.conv.weight", (inner, outer, kernel), "other")
    yield Tensor(f"{name}.conv.bias", (outer,), "other")


class Schema(TowerSchema):
    inert_keys = ("layer_scale_initial_scale", "codebook_dim", "num_semantic_quantizers",
        "semantic_codebook_size", "vector_quantization_hidden_dimension")  # fmt: skip

    codebook_size: Size = 2048
    hidden_size: Size = 1024
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 16
    attention_bias: Flag = False
    sliding_window: Size = 72
    intermediate_size: Size = 3072
    hidden_act: str = "silu"
    num_hidden_layers: Layers = 8
    num_quantizers: Size = 16
    upsample_rates: tuple[Size, ...] = (8, 5, 4, 3)
    upsampling_ratios: tuple[Size, ...] = (2, 2)
    decoder_dim: Size = 1536

    def layer(self) -> Layer:
        h, heads, bias = self.hidden_size, self.num_attention_heads, self.attention_bias
        attention = GroupedQueryAttention(h, heads, self.num_key_value_heads, h // heads, bias, bias, self.sliding_window)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        scales = (Tensor(f"{name}_layer_scale.scale", (h,), "other") for name in ("self_attn", "mlp"))
        return encoder_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms, extra=scales)

    def convolutions(self) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.decoder_dim
        for i, factor in enumerate(self.upsampling_ratios):
            yield from stretch(f"upsample.{i}.0", h, h, factor)
            name = f"upsample.{i}.1"
            yield Tensor(f"{name}.gamma", (h,), "other")
            yield from conv(f"{name}.dwconv.conv", h, 1, 7)
            yield from layer_norm(f"{name}.norm", h)
            yield from linear(f"{name}.pwconv1", 4 * h, h, "other", bias=True)
            yield from linear(f"{name}.pwconv2", h, 4 * h, "other", bias=True)
        yield from conv("decoder.0.conv", width, h, 7)
        for i, rate in enumerate(self.upsample_rates):
            name, inner, outer = f"decoder.{i + 1}.block", width // 2**i, width // 2 ** (i + 1)
            yield from snake(f"{name}.0", inner)
            yield from stretch(f"{name}.1", inner, outer, 2 * rate)
            for j in (2, 3, 4):
                for k, kernel in ((1, 7), (2, 1)):
                    yield from snake(f"{name}.{j}.act{k}", outer)
                    yield from conv(f"{name}.{j}.conv{k}.conv", outer, outer, kernel)
        last = len(self.upsample_rates) + 1
        yield from snake(f"decoder.{last}", width // 2 ** (last - 1))
        yield from conv(f"decoder.{last + 1}.conv", 1, width // 2 ** (last - 1), 7)

    def tower(self, prefix: str) -> Pieces:
        h = self.hidden_size
        plain = (t._replace(role="other") if t.role == "embedding" else t for t in self.convolutions())
        codes = table("code_embedding", self.codebook_size * self.num_quantizers, h)
        outside = (rms_norm("pre_transformer.norm", h), codes, *plain)
        layers = stack(f"{prefix}.pre_transformer.layers", "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]
