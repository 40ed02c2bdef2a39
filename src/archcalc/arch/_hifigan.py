"""HiFi-GAN: transposed convolutions that stretch a spectrogram into a waveform, with residual blocks between.

Source: transformers 5.24, models/speecht5/modeling_speecht5.py (`SpeechT5HifiGan`, `HifiGanResidualBlock`) and models/vits/modeling_vits.py
(`VitsHifiGan`); Kong et al. 2020, arXiv:2010.05646.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from archcalc.arch._schema import per_layer
from archcalc.model import Role, Tensor


def conv1d(name: str, outer: int, inner: int, kernel: int, role: Role = "other", *, bias: bool = True) -> Iterator[Tensor]:
    yield Tensor(f"{name}.weight", (outer, inner, kernel), role)
    if bias:
        yield Tensor(f"{name}.bias", (outer,), role)


def stretched(name: str, inner: int, outer: int, kernel: int) -> Iterator[Tensor]:
    """A transposed convolution, whose weight has its input first."""
    yield Tensor(f"{name}.weight", (inner, outer, kernel), "other")
    yield Tensor(f"{name}.bias", (outer,), "other")


def hifigan(config: Any, inner: int, *, last_bias: bool = True) -> Iterator[Tensor]:
    """The vocoder for spectrograms of `inner` bins, as the config's `upsample_*` and `resblock_*` say."""
    width: int = config.upsample_initial_channel
    kernels: Sequence[int] = config.upsample_kernel_sizes
    n = len(config.upsample_rates)
    yield from conv1d("conv_pre", width, inner, 7)
    for i, kernel in enumerate(per_layer(kernels[:n], n, "upsample_kernel_sizes", "upsample_rates")):
        yield from stretched(f"upsampler.{i}", width // 2**i, width // 2 ** (i + 1), kernel)
    blocks = list(zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=False))
    for i in range(n):
        for j, (kernel, dilations) in enumerate(blocks):
            channels, at = width // 2 ** (i + 1), f"resblocks.{i * len(blocks) + j}"
            for k in range(len(dilations)):
                for path in ("convs1", "convs2"):
                    yield from conv1d(f"{at}.{path}.{k}", channels, channels, kernel)
    yield from conv1d("conv_post", 1, width // 2**n, 7, bias=last_bias)
