"""EXL2: rows of a matrix in groups, each with its own number of bits, chosen for each matrix by what it loses.

The converter spends `bits` times the weights of the decoder's layers, scales and the order of rows among them; which matrix gets how
many is told by no config, so packed weights are given here as the average leaves them, and their bytes are right in sum. The head has
one of six mixtures, and is stored even where it is tied.

Source: exllamav2 0.3.2, exllamav2/conversion/optimize.py (`weight_budget`), conversion/qparams.py (`QParams.total_bits`,
`qparams_headoptions`), conversion/adaptivegptq.py (tensors).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from archcalc.model import Architecture
from archcalc.quant._names import Layers
from archcalc.quant._plan import Module, Plan, Scheme, Stored, ceil_div, scalar, wrong
from archcalc.quant.exl3 import average_bits, of_decoder_and_head

# Group size, and bits with the share of rows that have them.
_HEAD: dict[int, tuple[int, tuple[tuple[int, float], ...]]] = {
    2: (32, ((4, 0.3), (2, 0.7))), 3: (32, ((4, 0.15), (3, 0.85))), 4: (32, ((6, 0.15), (4, 0.85))),
    5: (128, ((6, 0.15), (5, 0.85))), 6: (128, ((8, 0.15), (6, 0.85))), 8: (128, ((8, 1.0),)),
}  # fmt: skip


def _beside(groups: int, out: int, width: int) -> tuple[Stored, ...]:
    return (
        scalar("q_scale", "I32", (groups, ceil_div(out * 4, 32))),
        scalar("q_scale_max", "F16", (groups,)),
        scalar("q_groups", "I16", (2 * groups,)),
        scalar("q_invperm", "I32", (width,)),
    )


def _head(bits: int) -> Scheme:
    size, shares = _HEAD[bits]

    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        groups, rows, left = 0, 0, width
        for each, share in shares:
            own = ceil(min(width * share, left) / size)
            rows += min(own * size, left) * each
            left -= min(own * size, left)
            groups += own
        return Stored("q_weight", (ceil_div(rows, 32), out), "I32"), *_beside(groups, out, width)

    return scheme


def _average(bits: float) -> Scheme:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        beside = _beside(ceil_div(width, 128), out, width)
        spent = sum(piece.elements * (4 if piece.dtype == "I32" else 2) for piece in beside)
        return Stored("q_weight", (max(0, round((bits * out * width / 8 - spent) / 4)),), "I32"), *beside

    return scheme


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    bits, head = average_bits(quantization, "bits", 9), quantization.get("head_bits", 6)
    if head not in (*_HEAD, 16) or isinstance(head, bool):
        raise wrong("head_bits", head, f"one of {', '.join(map(str, _HEAD))} and 16")
    of_head, of_layers = None if head == 16 else _head(int(head)), _average(bits)

    def split(module: Module, layers: Layers) -> Iterable[tuple[Scheme | None, Layers]]:
        yield of_head if module.role == "head" else of_layers, layers

    notes = (
        f"EXL2's bits are an average ({bits:g}) over the layers: bytes follow from it in sum, the shapes of single matrices do not",
    )
    return Plan(split, of_decoder_and_head, stores_tied=True, notes=notes)
