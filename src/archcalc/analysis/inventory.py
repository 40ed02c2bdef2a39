"""The tensor list as lines: of the published checkpoint, or of the reference implementation."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.analysis.inspect import ranges, stored_as
from archcalc.model import Architecture, Tensor
from archcalc.report import TensorLine


def stored(a: Architecture, source: str, expand: bool, dtype: str | None = None) -> Iterator[TensorLine]:
    """What the published files hold. A line stands for all tensors that differ by layer and expert alone, `{}` marking where;
    with `expand` every tensor has its own.

    Raises `UnsupportedError` for a quantization method that archcalc does not know.
    """
    from archcalc.figures import checkpoint

    for entry in checkpoint.inventory(a, stored_as(dtype)):
        t, shape = entry.tensor, list(entry.shape)
        if expand:
            for name in checkpoint.physical_names(entry):
                yield TensorLine(source, name, shape, entry.dtype, t.role, entry.part, 1, entry.elements, None, None)
        else:
            layers = ranges(entry.layers) if entry.layers else None
            yield TensorLine(
                source, entry.name, shape, entry.dtype, t.role, entry.part, entry.copies, entry.elements * entry.copies, layers,
                entry.experts or None,
            )  # fmt: skip


def reference(a: Architecture, source: str, expand: bool) -> Iterator[TensorLine]:
    """The parameters of the reference implementation, tied ones marked in place of a dtype; MTP layers and copies are none of them."""
    from archcalc.figures.checkpoint import base_dtype

    dtype, _ = base_dtype(a)

    def line(t: Tensor, name: str, part: str, numbers: list[int]) -> TensorLine:
        kind = "tied" if t.kind == "tied" else t.dtype or dtype
        count = max(1, len(numbers))
        layers = ranges(numbers) if len(numbers) else None
        experts = t.experts.total if t.experts else None
        return TensorLine(source, name, list(t.shape), kind, t.role, part, count, t.elements * count, layers, experts)

    for group in a.groups:
        if group.part != "mtp":
            for t in group.tensors:
                if t.kind != "copy":
                    yield line(t, t.name, group.part, [])
    for stack in a.stacks:
        if stack.part == "mtp":
            continue
        # Kinds of layers that differ elsewhere share most of their tensors: fold those that are equal.
        by_tensor: dict[tuple[Tensor, str], list[int]] = {}
        for i, kind in enumerate(stack.pattern):
            for t in stack.kinds[kind].tensors:
                if t.kind != "copy":
                    by_tensor.setdefault((t, t.name), []).append(stack.start + i)
        for (t, name), numbers in by_tensor.items():
            if expand:
                for n in numbers:
                    yield line(t, f"{stack.prefix}.{n}.{name}", stack.part, [])
            else:
                yield line(t, f"{stack.prefix}.{{}}.{name}", stack.part, numbers)
