"""safetensors: eight bytes of length, then a JSON object with each tensor's dtype, shape and place.

Source: safetensors 0.8, README.md "Format", safetensors/src/tensor.rs (limits, dtypes).
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from archcalc.errors import FormatError
from archcalc.figures.checkpoint import DTYPE_BYTES
from archcalc.formats.headers import MAX_AXES, MAX_ELEMENTS, MAX_HEADER, MAX_TENSORS, Header, Held, Reader

BITS = {
    **{name: 8 * size for name, size in DTYPE_BYTES.items()},
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64,
}  # fmt: skip
"""Bits of an element of each dtype."""
_AGAIN = "fetch or copy the file again"


def read(file: BinaryIO, label: str, size: int) -> Header:
    """The header of one file of `size` bytes."""
    reader = Reader(file, label, size)
    length = reader.number("Q", "the length of the header")
    check_length(length, label)
    data = reader.take(length, "the header")
    return parse(data, label, size)


def check_length(length: int, label: str) -> None:
    """Refuse what cannot be the length of a header."""
    if length > MAX_HEADER:
        raise FormatError(
            f"{label} is not safetensors: its header would have {length:,} bytes, and {MAX_HEADER // 2**20} MiB are the most",
            _AGAIN,
        )
    if length < 2:
        raise FormatError(f"{label} is not safetensors: its header would have {length} bytes", _AGAIN)


def parse(data: bytes, label: str, size: int | None = None) -> Header:
    """The tensors that a header lists; `size` is that of the file where it is known."""
    if data[:1] != b"{":
        raise FormatError(f"{label} is not safetensors: no JSON object follows the length", _AGAIN)
    # Each object takes a hundred bytes of memory for two of the file; a tensor is one, and two lists.
    if data.count(b"{") > MAX_TENSORS + 2 or data.count(b"[") > 2 * MAX_TENSORS:
        raise FormatError(f"{label} lists more than {MAX_TENSORS:,} tensors: no checkpoint has so many", _AGAIN)
    try:
        listed = json.loads(data, object_pairs_hook=lambda pairs: _unique(pairs, label))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{label} has a header that is no JSON: {ascii(str(error))[1:80]}", _AGAIN) from None
    if len(listed) > MAX_TENSORS:
        raise FormatError(f"{label} lists {len(listed):,} tensors: no checkpoint has so many", _AGAIN)
    metadata = listed.pop("__metadata__", {})
    tensors: dict[str, Held] = {}
    end = 0
    for name, entry in listed.items():
        tensors[name], stop = _tensor(name, entry, label)
        end = max(end, stop)
    missing = 8 + len(data) + end - size if size is not None else 0
    notes = (f"{label} ends {missing:,} bytes before its data does: the download may have stopped",) if missing > 0 else ()
    return Header("safetensors", tensors, metadata if isinstance(metadata, dict) else {}, (label,), notes)


def _tensor(name: str, entry: Any, label: str) -> tuple[Held, int]:
    if not name.isprintable():
        raise FormatError(f"{label} is damaged: its header lists a tensor {name[:60]!a}", _AGAIN)
    if not isinstance(entry, dict):
        raise _wrong(name, "no object", label)
    dtype, shape, place = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _wrong(name, f"dtype {ascii(dtype)[:40]}, which safetensors does not have", label)
    if not isinstance(shape, list) or len(shape) > MAX_AXES or not all(_count(each) for each in shape):
        raise _wrong(name, f"shape {ascii(shape)[:60]}", label)
    held = Held(tuple(shape), dtype)
    if held.elements > MAX_ELEMENTS:
        raise _wrong(name, f"shape {ascii(shape)[:60]}", label)
    if not isinstance(place, list) or len(place) != 2 or not all(_count(each) for each in place) or place[0] > place[1]:
        raise _wrong(name, f"data_offsets {ascii(place)[:60]}", label)
    if (place[1] - place[0]) * 8 != held.elements * BITS[dtype]:
        raise _wrong(name, f"{place[1] - place[0]:,} bytes for {dtype} of shape {shape}", label)
    return held, place[1]


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**62


def _wrong(name: str, what: str, label: str) -> FormatError:
    return FormatError(f"{label}: the header gives {name[:120]} {what}", _AGAIN)


def _unique(pairs: list[tuple[str, Any]], label: str) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise FormatError(f"{label} lists {key[:120]!a} twice in its header", _AGAIN)
            seen.add(key)
    return made
