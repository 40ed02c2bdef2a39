"""The vocoder of Qwen2.5-Omni: transposed convolutions that stretch a spectrogram into a waveform, with residual blocks between.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniToken2WavBigVGANModel`) and
configuration_qwen2_5_omni.py (defaults); Lee et al. 2022, arXiv:2206.04658.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.model import Layer, Stack, Tensor


def snake(name: str, channels: int) -> Iterator[Tensor]:
    """A periodic activation with a frequency and a magnitude for each channel."""
    for parameter in ("alpha", "beta"):
        yield Tensor(f"{name}.{parameter}", (channels,), "other")


def convolution(channels: int, kernel: int) -> Layer:
    named = (Tensor("weight", (channels, channels, kernel), "other"), Tensor("bias", (channels,), "other"))
    return Layer("none", f"convolution {kernel}", named, ffn_width=channels)


class Schema(TowerSchema):
    inert_keys = ("use_bias_at_final",)

    mel_dim: Size = 80
    upsample_initial_channel: Size = 1536
    resblock_kernel_sizes: tuple[Size, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[Size, Size, Size], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    upsample_rates: tuple[Size, ...] = (5, 3, 2, 2, 2, 2)
    upsample_kernel_sizes: tuple[Size, ...] = (11, 7, 4, 4, 4, 4)

    def outside(self) -> Iterator[Tensor]:
        width, last = self.upsample_initial_channel, len(self.upsample_rates)
        yield from conv("conv_pre", width, self.mel_dim, 7, role="other")
        for i, (_, kernel) in enumerate(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=False)):
            outer = width // 2 ** (i + 1)
            yield Tensor(f"ups.{i}.0.weight", (width // 2**i, outer, kernel), "other")
            yield Tensor(f"ups.{i}.0.bias", (outer,), "other")
        yield from snake("activation_post.act", width // 2**last)
        yield from conv("conv_post", 1, width // 2**last, 7, bias=False, role="other")

    def tower(self, prefix: str) -> Pieces:
        """The residual blocks' parts as layers: there are hundreds of tensors, most of them alike."""
        stacks: list[Stack] = []
        # The three dilations only space the kernels out.
        kernels = [kernel for kernel, _ in zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=False)]
        for i in range(len(self.upsample_rates)):
            channels = self.upsample_initial_channel // 2 ** (i + 1)
            active = Layer("none", "periodic activation", tuple(snake("act", channels)), ffn_width=channels)
            for k, kernel in enumerate(kernels, i * len(self.resblock_kernel_sizes)):
                layer, name = convolution(channels, kernel), f"{prefix}.resblocks.{k}"
                stacks += (Stack(f"{name}.{part}", "audio", (layer,), (0, 0, 0)) for part in ("convs1", "convs2"))
                stacks.append(Stack(f"{name}.activations", "audio", (active,), (0,) * 6))
        return [group("audio", prefixed(prefix, self.outside()))], stacks
