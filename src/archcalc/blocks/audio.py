"""Audio encoders: convolutions that thin out a spectrogram, and conformer layers.

Sources: Gulati et al. 2020, arXiv:2005.08100 (conformer); Zhang et al. 2023, arXiv:2303.01037 (Universal Speech Model);
transformers 5.23, models/gemma3n/modeling_gemma3n.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Layer, Tensor


def subsampling(
    bins: int, hidden: int, channels: Sequence[int], kernels: Sequence[Sequence[int]], strides: Sequence[Sequence[int]]
) -> Iterator[Tensor]:
    """Convolutions over time and frequency, then a projection of what is left of the `bins` frequencies in all channels."""
    inner = 1
    for i, (outer, (in_time, in_frequency), (_, stride)) in enumerate(zip(channels, kernels, strides, strict=True)):
        yield Tensor(f"conv_{i}.conv.weight", (outer, inner, in_time, in_frequency), "embedding")
        yield rms_norm(f"conv_{i}.norm", outer)
        bins = (bins + 2 - in_frequency) // stride + 1  # one bin of padding on either side
        inner = outer
    yield from linear("input_proj_linear", hidden, inner * bins, "embedding")


def _half_ffn(hidden: int) -> Iterator[Tensor]:
    yield rms_norm("pre_layer_norm", hidden)
    yield from linear("ffw_layer_1", 4 * hidden, hidden, "mlp")
    yield from linear("ffw_layer_2", hidden, 4 * hidden, "mlp")
    yield rms_norm("post_layer_norm", hidden)


def _attention(hidden: int, heads: int) -> Iterator[Tensor]:
    yield rms_norm("pre_attn_norm", hidden)
    yield Tensor("attn.per_dim_scale", (hidden // heads,), "attention")
    for name in ("relative_position_embedding.pos_proj", "q_proj", "k_proj", "v_proj"):
        yield from linear(f"attn.{name}", hidden, hidden, "attention")
    yield from linear("post", hidden, hidden, "attention")
    yield rms_norm("post_norm", hidden)


def _convolution(hidden: int, kernel: int) -> Iterator[Tensor]:
    yield rms_norm("pre_layer_norm", hidden)
    yield from linear("linear_start", 2 * hidden, hidden, "other")  # gated
    yield Tensor("depthwise_conv1d.weight", (hidden, 1, kernel), "other")
    yield rms_norm("conv_norm", hidden)
    yield from linear("linear_end", hidden, hidden, "other")


def conformer_layer(hidden: int, heads: int, kernel: int, context: int) -> Layer:
    """Half an FFN, attention over `context` frames, a light convolution, and the other half of the FFN."""
    tensors = (
        *prefixed("ffw_layer_start", _half_ffn(hidden)),
        *prefixed("attention", _attention(hidden, heads)),
        *prefixed("lconv1d", _convolution(hidden, kernel)),
        *prefixed("ffw_layer_end", _half_ffn(hidden)),
        rms_norm("norm", hidden),
    )
    dim = hidden // heads
    return Layer(
        mixer=f"MHA ({heads}/{heads} x {dim}), window {context}, convolution {kernel}",
        ffn=f"2 x SiLU {4 * hidden}",
        tensors=tensors,
        attends=(Attend(heads, dim, dim, context),),
        mixer_width=4 * hidden,
        ffn_width=8 * hidden,
    )
