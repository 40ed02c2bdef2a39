"""What matrices keep of what they read, and the adapters beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archcalc.analysis.activations.saved import FP32, Block, How, Linear, Saved, linears_of
from archcalc.model import Layer

_MASK, _LESS_ONE, _WHOLE = ": mask of the dropout", ": magnitudes less one", ": the matrix in the adapter's type"
BEHIND = _MASK, _LESS_ONE, _WHOLE
"""What the gradient of an adapted matrix's input needs, and nothing else."""


def input_saved(
    how: How,
    block: Block,
    name: str,
    readers: Iterable[Linear],
    width: int,
    size: int,
    split: bool = False,
    kept_already: bool = False,
) -> Iterator[Saved]:
    """What the matrices that read one tensor keep of it: once if its type is theirs; under autocast each casts for itself. With
    `kept_already` something else keeps that tensor."""
    readers = list(readers)
    if how.reads and readers:
        casts = len(readers) if how.amp and size == FP32 and how.size != FP32 and not how.compiled else 1
        yield Saved(block, f"{name}: input", how.size, width * casts, split=split)
    adapted = [reader for reader in readers if f"decoder.{reader.name}" in how.targets]
    # PEFT casts the input to the adapter's type; under autocast it is then cast to the computing one.
    kept = how.adapter_kept
    recast = kept != size or how.amp or (how.autocast == "cast" and how.adapter_size != size)
    modules = 1 if how.joined and block == "attention" and not split else len(adapted)
    masked = size if how.autocast == "kept" else how.adapter_size
    shared = how.reads or kept_already
    for place, reader in enumerate(adapted):
        if how.adapter_dropout:
            if place < modules:
                yield Saved("adapters", f"{reader.name}: adapter's input after dropout", kept, width, split=split)
                yield Saved("adapters", f"{reader.name}{_MASK}", masked if how.cpu else 1, width, split=split)
        elif recast or not (shared or place):
            yield Saved("adapters", f"{reader.name}: adapter's input", kept, width, split=split)
        yield Saved("adapters", f"{reader.name}: between the adapter's matrices", kept, how.rank)
        if how.dora:
            yield from dora_saved(how, reader.name, reader.read, reader.write, kept, not reader.row)


def dora_saved(how: How, name: str, read: int, write: int, kept: int, split: bool = False) -> Iterator[Saved]:
    """What DoRA keeps beside the adapter of a matrix: the outputs of both, which its magnitudes multiply, and three vectors of these.

    PEFT 0.21, tuners/lora/dora.py `DoraLinearLayer.forward`: `(mag_norm_scale - 1) * base_result + mag_norm_scale * lora_result`, where the
    norm is detached. What an adapter drops its matrix reads again, whole and in the adapter's type, and the gradient of that needs it
    (variants.py `DoraLinearVariant.forward`: `base_result = None`).
    """
    again = how.adapter_dropout
    yield Saved("adapters", f"{name}: the matrix's output", kept if again else how.size, write, split=split)
    yield Saved("adapters", f"{name}: the adapter's output", kept, write, split=split)
    yield Saved("adapters", f"{name}: norms, magnitudes", how.adapter_size, fixed=2 * write)
    yield Saved("adapters", f"{name}{_LESS_ONE}", how.adapter_size, fixed=write)
    if again and how.whole:
        yield Saved("adapters", f"{name}{_WHOLE}", kept, fixed=read * write)


def dora_working(layer: Layer, how: How) -> int:
    """Bytes alive at once while DoRA takes the norm of a layer's largest adapted matrix."""
    return max((norm_bytes(how, x.read, x.write) for x in linears_of(layer) if f"decoder.{x.name}" in how.targets), default=0)


def norm_bytes(how: How, read: int, write: int) -> int:
    """Bytes alive at once while DoRA takes the norm of a matrix and its adapter.

    PEFT 0.21, tuners/lora/dora.py `get_lora_weight`, `get_weight_norm`: a unit matrix goes through the adapter, whose product is kept
    beside it, scaled, and added to the matrix, which is there in the same type too if it is cast or dequantized.
    """
    return how.adapter_size * (read * (read + how.rank) + (4 if how.whole else 3) * read * write)
