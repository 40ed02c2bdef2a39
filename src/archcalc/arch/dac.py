"""DAC: a codec of sound: convolutions with snakes for activations down to vectors, codes one behind the other, and back.

Source: transformers 5.24, models/dac/modeling_dac.py (`DacModel`) and configuration_dac.py (defaults); Kumar et al. 2023,
arXiv:2306.06546.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Encoder, Tensor


def snake(name: str, width: int) -> Tensor:
    """An activation with a learned frequency for each channel (Ziyin et al. 2020, arXiv:2006.08195)."""
    return Tensor(f"{name}.alpha", (1, width, 1), "other")


def residuals(width: int) -> Iterator[Tensor]:
    """Three residual units, each seeing farther than the one before."""
    for i in (1, 2, 3):
        yield snake(f"res_unit{i}.snake1", width)
        yield from conv(f"res_unit{i}.conv1", width, width, 7, role="other")
        yield snake(f"res_unit{i}.snake2", width)
        yield from conv(f"res_unit{i}.conv2", width, width, 1, role="other")


class Schema(TowerSchema):
    outcome = "waves"

    prefix = ""
    alone = "a codec of sound: it keeps no cache"
    inert_keys = ("sampling_rate", "hop_length")

    encoder_hidden_size: Size = 64
    downsampling_ratios: tuple[Size, ...] = (2, 4, 8, 8)
    decoder_hidden_size: Size = 1536
    n_codebooks: Layers = 9
    codebook_size: Size = 1024
    codebook_dim: Size = 8
    # Where a config states neither, they follow from the others.
    hidden_size: Size | None = None
    upsampling_ratios: tuple[Size, ...] | None = None

    @property
    def latent(self) -> int:
        return self.hidden_size or self.encoder_hidden_size << len(self.downsampling_ratios)

    def encoder(self) -> Iterator[Tensor]:
        width = self.encoder_hidden_size
        yield from conv("conv1", width, 1, 7, role="other")
        for i, ratio in enumerate(self.downsampling_ratios):
            yield from prefixed(f"block.{i}", residuals(width))
            yield snake(f"block.{i}.snake1", width)
            yield from conv(f"block.{i}.conv1", 2 * width, width, 2 * ratio, role="other")
            width *= 2
        yield snake("snake1", width)
        yield from conv("conv2", self.latent, width, 3, role="other")

    def decoder(self) -> Iterator[Tensor]:
        width = self.decoder_hidden_size
        yield from conv("conv1", width, self.latent, 7, role="other")
        for i, ratio in enumerate(self.upsampling_ratios or self.downsampling_ratios[::-1]):
            inner, width = self.decoder_hidden_size // 2**i, self.decoder_hidden_size // 2 ** (i + 1)
            yield snake(f"block.{i}.snake1", inner)
            yield Tensor(f"block.{i}.conv_t1.weight", (inner, width, 2 * ratio), "other")
            yield Tensor(f"block.{i}.conv_t1.bias", (width,), "other")
            yield from prefixed(f"block.{i}", residuals(width))
        yield snake("snake1", width)
        yield from conv("conv2", 1, width, 7, role="other")

    def codes(self) -> Iterator[Tensor]:
        for i in range(self.n_codebooks):
            yield from conv(f"{i}.in_proj", self.codebook_dim, self.latent, 1, role="other")
            yield from conv(f"{i}.out_proj", self.latent, self.codebook_dim, 1, role="other")
            yield table(f"{i}.codebook", self.codebook_size, self.codebook_dim)

    def tower(self, prefix: str) -> Pieces:
        tensors = (
            *prefixed("encoder", self.encoder()), *prefixed("decoder", self.decoder()),
            *prefixed("quantizer.quantizers", self.codes()),
        )  # fmt: skip
        return [group("audio", below(prefix, tensors))], []

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
