"""Feature maps mixed by convolutions, from the smallest to the largest and back.

Source: transformers 5.24, models/rt_detr/modeling_rt_detr.py (`RTDetrHybridEncoder`, `RTDetrCSPRepLayer`, `RTDetrRepVggBlock`).
"""

from collections.abc import Iterator

from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


def convolved(name: str, outer: int, inner: int, kernel: int) -> Iterator[Tensor]:
    yield from conv(f"{name}.conv", outer, inner, kernel, kernel, bias=False, role="other")
    yield from layer_norm(f"{name}.norm", outer)


def mixing(name: str, h: int, inside: int) -> Iterator[Tensor]:
    """Two paths of convolutions over two feature maps side by side (`RTDetrCSPRepLayer`)."""
    for path in ("conv1", "conv2"):
        yield from convolved(f"{name}.{path}", inside, 2 * h, 1)
    for i in range(3):
        yield from convolved(f"{name}.bottlenecks.{i}.conv1", inside, inside, 3)
        yield from convolved(f"{name}.bottlenecks.{i}.conv2", inside, inside, 1)
    if inside != h:
        yield from convolved(f"{name}.conv3", h, inside, 1)


def pyramid(maps: int, h: int, inside: int) -> Iterator[Tensor]:
    """Feature maps mixed downwards and upwards (`RTDetrHybridEncoder`)."""
    for i in range(maps - 1):
        yield from convolved(f"encoder.lateral_convs.{i}", h, h, 1)
        yield from mixing(f"encoder.fpn_blocks.{i}", h, inside)
        yield from convolved(f"encoder.downsample_convs.{i}", h, h, 3)
        yield from mixing(f"encoder.pan_blocks.{i}", h, inside)
