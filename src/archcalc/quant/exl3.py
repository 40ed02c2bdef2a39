"""EXL3: tiles of 16 by 16 weights as paths through a trellis, with signs and scales of rows and columns.

Sides are filled up to a multiple of 128. Every linear module of the decoder's layers has a whole number of bits, and so has the head,
which is stored even where it is tied. `bits` is the average over the layers: where it is no whole number, which modules get a bit more is
told by quantization_config.json beside the checkpoint and not by the config; here they are spread over the layers.

Source: exllamav3 1.4.1, exllamav3/modules/quant/exl3.py `LinearEXL3.get_tensors`, modules/linear.py `Linear` (`pad_to`),
conversion/allocation.py `create_q_strategy`, conversion/compile.py (config) and modules/quant/exl3_lib/quantize.py (`mcg`, `mul1`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Part, Tensor
from archcalc.quant._names import Layers
from archcalc.quant._plan import Module, Plan, Scheme, Stored, ceil_div, in_decoder, is_linear_or_head, scalar, wrong

_SIDE = 128


def average_bits(quantization: Mapping[str, Any], key: str, most: float) -> float:
    """A number of bits that may be an average."""
    bits = quantization.get(key)
    if not isinstance(bits, (int, float)) or isinstance(bits, bool) or not 1 <= bits <= most:
        raise wrong(key, bits, f"a number from 1 to {most:g}")
    return float(bits)


def of_decoder_and_head(tensor: Tensor, part: Part) -> bool:
    """The decoder's linear modules and the head: towers and MTP layers are left alone."""
    return in_decoder(tensor, part) or (tensor.role == "head" and part != "mtp" and is_linear_or_head(tensor, part))


def _packed(bits: int, table: str) -> Scheme:
    def scheme(out: int, width: int) -> tuple[Stored, ...]:
        rows, columns = ceil_div(width, _SIDE) * _SIDE, ceil_div(out, _SIDE) * _SIDE
        pieces = (
            Stored("trellis", (rows // 16, columns // 16, 16 * bits), "I16"),
            scalar("suh", "F16", (rows,)),
            scalar("svh", "F16", (columns,)),
        )
        return (*pieces, scalar(table, "I32")) if table else pieces

    return scheme


def plan(quantization: Mapping[str, Any], architecture: Architecture, dtype: str) -> Plan:
    bits, head = average_bits(quantization, "bits", 8), quantization.get("head_bits", 6)
    if head not in (*range(1, 9), 16) or isinstance(head, bool):
        raise wrong("head_bits", head, "1 to 8, or 16")
    # The first releases had one table, which needs no number.
    table = quantization.get("codebook", "3inst")
    if table not in ("3inst", "mcg", "mul1"):
        raise UnsupportedError(
            f"quantization_config.codebook is {table!r}: archcalc does not know it", "known are 3inst, mcg and mul1"
        )
    number = "" if table == "3inst" else str(table)
    low, part_more = floor(bits), bits - floor(bits)
    head_scheme = None if head == 16 else _packed(int(head), number)

    def split(module: Module, layers: Layers) -> Iterable[tuple[Scheme | None, Layers]]:
        if module.role == "head":
            yield head_scheme, layers
            return
        more = [i for i in layers if floor((i + 1) * part_more + 0.5) > floor(i * part_more + 0.5)] if part_more else []
        if more:
            yield _packed(low + 1, number), more
        taken = set(more)
        yield _packed(low, number), [i for i in layers if i not in taken] if taken else layers

    notes = (f"EXL3's bits are an average ({bits:g}): which modules get {low} and which {low + 1} is spread over the layers here",)
    return Plan(split, of_decoder_and_head, stores_tied=True, notes=notes if part_more else ())
