"""Tiny checkpoints for tests: safetensors and GGUF files with headers and no more, written by the rules of their formats."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from archcalc.formats.gguf import TYPES
from archcalc.formats.safetensors import BITS

Tensors = Iterable[tuple[str, tuple[int, ...], str]]


def write_safetensors(path: Path, tensors: Tensors, data: bool = False) -> None:
    """A safetensors file; without `data` it ends with its header."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape, dtype in tensors:
        size = prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + (b"\0" * end if data else b""))


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    body = b"".join(_value(each)[4:] for each in value)
    kind = _value(value[0])[:4]
    return struct.pack("<I", 9) + kind + struct.pack("<Q", len(value)) + body


def gguf_bytes(metadata: Mapping[str, Any], tensors: Tensors, version: int = 3) -> bytes:
    """The header of a GGUF file."""
    numbers = {name: number for number, name in TYPES.items()}
    tensors = list(tensors)
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        out += _text(key) + _value(value)
    for name, shape, dtype in tensors:
        axes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        out += _text(name) + axes + struct.pack("<IQ", numbers[dtype], 0)
    return out
