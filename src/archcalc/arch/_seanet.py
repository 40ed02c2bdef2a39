"""The convolutions of SEANet, either way, which the audio codecs have.

Source: Tagliasacchi et al. 2020, arXiv:2009.02095; transformers 5.23, models/mimi/modeling_mimi.py (`MimiConvEncoder`,
`MimiConvDecoder`) and configuration_mimi.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._schema import Few, Flag, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.model import Tensor


class SeanetTower(TowerSchema):
    audio_channels: Size = 1
    hidden_size: Size = 512
    num_filters: Size = 64
    num_residual_layers: Few = 1
    upsampling_ratios: list[Size] | None = None
    kernel_size: Size = 7
    last_kernel_size: Size = 3
    residual_kernel_size: Size = 3
    compress: Size = 2
    use_conv_shortcut: Flag = False

    @property
    def ratios(self) -> list[int]:
        return [8, 6, 5, 4] if self.upsampling_ratios is None else self.upsampling_ratios

    def residual(self, name: str, width: int) -> Iterator[Tensor]:
        inner = width // self.compress
        yield from conv(f"{name}.block.1.conv", inner, width, self.residual_kernel_size)
        yield from conv(f"{name}.block.3.conv", width, inner, 1)
        if self.use_conv_shortcut:
            yield from conv(f"{name}.shortcut.conv", width, width, 1)

    def encoder(self) -> Iterator[Tensor]:
        width, at = self.num_filters, 1
        yield from conv("0.conv", width, self.audio_channels, self.kernel_size)
        for ratio in reversed(self.ratios):
            for i in range(at, at + self.num_residual_layers):
                yield from self.residual(f"{i}", width)
            at += self.num_residual_layers + 2  # and an activation
            yield from conv(f"{at - 1}.conv", 2 * width, width, 2 * ratio)
            width *= 2
        yield from conv(f"{at + 1}.conv", self.hidden_size, width, self.last_kernel_size)

    def decoder(self) -> Iterator[Tensor]:
        width, at = self.num_filters * 2 ** len(self.ratios), 1
        yield from conv("0.conv", width, self.hidden_size, self.kernel_size)
        for ratio in self.ratios:
            # Transposed: the input's channels come first.
            yield Tensor(f"{at + 1}.conv.weight", (width, width // 2, 2 * ratio), "embedding")
            width //= 2
            yield Tensor(f"{at + 1}.conv.bias", (width,), "embedding")
            at += 2
            for i in range(at, at + self.num_residual_layers):
                yield from self.residual(f"{i}", width)
            at += self.num_residual_layers
        yield from conv(f"{at + 1}.conv", self.audio_channels, width, self.last_kernel_size)
