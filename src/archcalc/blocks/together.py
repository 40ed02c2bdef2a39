"""Blocks side by side in one layer, whose outputs are summed: attention beside a recurrence, experts beside a shared FFN."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import Block, Mixer, Routed, prefixed
from archcalc.model import Attend, Cache, Step, Tensor
from archcalc.records import Frozen


class Together(Frozen):
    """Blocks by the names their tensors have below the layer, empty for those that name their own.

    `text` is the label where the parts' own would repeat themselves.
    """

    parts: tuple[tuple[str, Block], ...]
    text: str = ""

    def tensors(self) -> Iterator[Tensor]:
        for name, block in self.parts:
            yield from prefixed(name, block.tensors()) if name else block.tensors()

    def steps(self) -> Iterator[Step]:
        for _, block in self.parts:
            if isinstance(block, Routed):
                yield from block.steps()

    def width(self) -> int:
        return sum(block.width() for _, block in self.parts)

    def label(self) -> str:
        return self.text or " + ".join(block.label() for _, block in self.parts)


class MixersTogether(Frozen):
    """The same of mixers."""

    parts: tuple[tuple[str, Mixer], ...]

    def tensors(self) -> Iterator[Tensor]:
        for name, mixer in self.parts:
            yield from prefixed(name, mixer.tensors()) if name else mixer.tensors()

    def caches(self) -> Iterator[Cache]:
        for _, mixer in self.parts:
            yield from mixer.caches()

    def attends(self) -> Iterator[Attend]:
        for _, mixer in self.parts:
            yield from mixer.attends()

    def steps(self) -> Iterator[Step]:
        for _, mixer in self.parts:
            yield from mixer.steps()

    def scan_flops(self) -> int:
        return sum(mixer.scan_flops() for _, mixer in self.parts)

    def width(self) -> int:
        return sum(mixer.width() for _, mixer in self.parts)

    def label(self) -> str:
        return " + ".join(mixer.label() for _, mixer in self.parts)
