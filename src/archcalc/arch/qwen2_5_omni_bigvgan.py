"""The vocoder of Qwen2.5-Omni: transposed convolutions that stretch a spectrogram into a waveform, with residual blocks between.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniToken2WavBigVGANModel`) and
configuration_qwen2_5_omni.py (defaults); Lee et al. 2022, arXiv:2206.04658.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.model import Tensor


def snake(name: str, channels: int) -> Iterator[Tensor]:
    """A periodic activation with a frequency and a magnitude for each channel."""
    for parameter in ("alpha", "beta"):
        yield Tensor(f"{name}.act.{parameter}", (channels,), "other")


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("use_bias_at_final",)

    mel_dim: Size = 80
    upsample_initial_channel: Size = 1536
    resblock_kernel_sizes: tuple[Size, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[Size, Size, Size], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    upsample_rates: tuple[Size, ...] = (5, 3, 2, 2, 2, 2)
    upsample_kernel_sizes: tuple[Size, ...] = (11, 7, 4, 4, 4, 4)

    def tensors(self) -> Iterator[Tensor]:
        wide, blocks, last = self.upsample_initial_channel, len(self.resblock_kernel_sizes), len(self.upsample_rates)
        yield from conv("conv_pre", wide, self.mel_dim, 7)
        for i, (_, kernel) in enumerate(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=False)):
            outer = wide // 2 ** (i + 1)
            yield Tensor(f"ups.{i}.0.weight", (wide // 2**i, outer, kernel), "other")
            yield Tensor(f"ups.{i}.0.bias", (outer,), "other")
        for i in range(last):
            channels = wide // 2 ** (i + 1)
            # The three dilations only space the kernels out.
            for k, (kernel, _) in enumerate(zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=False)):
                name = f"resblocks.{i * blocks + k}"
                for part in ("convs1", "convs2"):
                    for j in range(3):
                        yield from conv(f"{name}.{part}.{j}", channels, channels, kernel)
                for j in range(6):
                    yield from snake(f"{name}.activations.{j}", channels)
        yield from snake("activation_post", wide // 2**last)
        yield from conv("conv_post", 1, wide // 2**last, 7, bias=False)

    def tower(self, prefix: str) -> Pieces:
        return [group("audio", prefixed(prefix, (t._replace(role="other") for t in self.tensors())))], []
