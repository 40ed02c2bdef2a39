"""AnyUp: convolutions and one attention that bring features to the size of the image they are of.

Source: tiiuae/Falcon-Perception (GitHub), falcon_perception/anyup.py.
"""

from collections.abc import Iterator

from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Tensor

UP = 128


def encoder(name: str, inner: int, kernel: int) -> Iterator[Tensor]:
    """A convolution and two residual blocks of two; without an input width, a bank of filters in the first one's place."""
    if inner:
        yield from conv(f"{name}.0", UP, inner, kernel, kernel, bias=False)
    else:
        yield Tensor(f"{name}.0.basis", (UP, 1, kernel, kernel), "other")
    for i in (1, 2):
        for norm, at in ((0, 2), (3, 5)):
            yield from layer_norm(f"{name}.{i}.block.{norm}", UP)
            yield from conv(f"{name}.{i}.block.{at}", UP, UP, 1, 1, bias=False)


def upsampler() -> Iterator[Tensor]:
    for name, inner, kernel in (("image", 3, 1), ("key", UP, 1), ("query", UP, 1), ("key_features", 0, 5)):
        yield from encoder(f"{name}_encoder", inner, kernel)
    yield from conv("cross_decode.conv2d", UP, UP, 3, 3, bias=False)
    for name in ("norm_q", "norm_k"):
        yield rms_norm(f"cross_decode.cross_attn.{name}", UP)
    yield Tensor("cross_decode.cross_attn.attention.in_proj_weight", (3 * UP, UP), "attention")
    yield Tensor("cross_decode.cross_attn.attention.in_proj_bias", (3 * UP,), "attention")
    yield from encoder("aggregation", 2 * UP, 3)
    yield Tensor("rope.freqs", (2, UP), "other")
