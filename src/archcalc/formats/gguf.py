"""GGUF: metadata and tensor infos from the first bytes of a file, and the config that the metadata amounts to.

A small reader, not the `gguf` package: that one maps the whole file, needs NumPy, and keeps a tokenizer's every string. Here strings of
arrays are passed over, and every count is held against what is left of the file.

Source: ggml, docs/gguf.md (versions 2 and 3); ggml/include/ggml.h (type numbers), llama.cpp b9500, include/llama.h `llama_ftype`.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from archcalc.errors import FormatError
from archcalc.formats.headers import MAX_AXES, MAX_ELEMENTS, MAX_TENSORS, Header, Held, Reader
from archcalc.quant.gguf import BLOCKS

TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip
FILE_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l",
    14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs",
    23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s", 29: "iq2_m", 30: "iq4_xs", 31: "iq1_m",
    32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4_moe",
}  # fmt: skip
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
# Longer arrays are a tokenizer's: their length is all that is kept.
_KEPT_ITEMS = 4096
_MAX_KEY, _MAX_STRING, _MAX_PAIRS = 2**16, 2**24, 2**16
_AGAIN = "fetch or convert the file again"


def read(file: BinaryIO, label: str, size: int) -> Header:
    """Metadata and tensors of one file of `size` bytes. Of long arrays and arrays of strings, the metadata keep the length."""
    reader = Reader(file, label, size)
    if reader.take(4, "the magic number") != b"GGUF":
        raise FormatError(f"{label} is not GGUF", _AGAIN)
    version = reader.number("I", "the version")
    if version in (2 << 24, 3 << 24):
        reader.order, version = ">", version >> 24
    if version not in (2, 3):
        raise FormatError(f"{label} is GGUF of version {version}: 2 and 3 are read", _AGAIN)
    tensors, pairs = reader.number("Q", "the number of tensors"), reader.number("Q", "the number of metadata keys")
    # A tensor's entry has 24 bytes or more, a key's 13.
    if tensors > min(MAX_TENSORS, size // 24) or pairs > min(_MAX_PAIRS, size // 13):
        raise FormatError(f"{label} is no GGUF file: {tensors:,} tensors and {pairs:,} keys in {size:,} bytes", _AGAIN)
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = _text(reader, "a metadata key", _MAX_KEY)
        metadata[key] = _value(reader, reader.number("I", f"the type of {key}"), key)
    found: dict[str, Held] = {}
    for _ in range(tensors):
        name = _text(reader, "a tensor's name", _MAX_KEY)
        if name in found:
            raise FormatError(f"{label} lists the tensor {name[:120]} twice", _AGAIN)
        found[name] = _tensor(reader, name)
    return Header("gguf", found, metadata, (label,))


def _tensor(reader: Reader, name: str) -> Held:
    axes = reader.number("I", f"the axes of {name}")
    if axes > MAX_AXES:
        raise FormatError(f"{reader.label}: {name[:120]} has {axes:,} axes", _AGAIN)
    sizes = [reader.number("Q", f"the shape of {name}") for _ in range(axes)]
    number = reader.number("I", f"the type of {name}")
    reader.skip(8, f"the place of {name}")
    dtype = TYPES.get(number)
    if dtype is None:
        raise FormatError(f"{reader.label}: {name[:120]} is of type {number}, which ggml does not have", _AGAIN)
    # ggml counts the axes from the innermost.
    held = Held(tuple(reversed(sizes)), dtype)
    if any(each > MAX_ELEMENTS for each in sizes) or held.elements > MAX_ELEMENTS:
        raise FormatError(f"{reader.label}: {name[:120]} has an absurd shape, {sizes}", _AGAIN)
    block = BLOCKS.get(dtype, (1, 0))[0]
    if sizes and sizes[0] % block:
        raise FormatError(f"{reader.label}: {name[:120]} has rows of {sizes[0]}, which blocks of {dtype} do not divide", _AGAIN)
    return held


def _text(reader: Reader, what: str, limit: int) -> str:
    length = reader.number("Q", what)
    if length > limit:
        raise FormatError(f"{reader.label}: {what} would have {length:,} bytes", _AGAIN)
    text = reader.take(length, what).decode("utf-8", "replace")
    if limit == _MAX_KEY and not text.isprintable():
        raise FormatError(f"{reader.label} is damaged: {what} is {text[:60]!a}", _AGAIN)
    return text


def _value(reader: Reader, kind: int, key: str, depth: int = 0) -> Any:
    what = f"the value of {key[:120]}"
    if kind in _SCALARS:
        return reader.number(_SCALARS[kind], what)
    if kind == _STRING:
        return _text(reader, what, _MAX_STRING)
    if kind != _ARRAY or depth > 2:
        raise FormatError(f"{reader.label}: {key[:120]} is of type {kind}, which GGUF does not have", _AGAIN)
    inner, count = reader.number("I", what), reader.number("Q", what)
    if count > reader.size - reader.at:
        raise FormatError(f"{reader.label} is truncated or damaged: {key[:120]} would have {count:,} items", _AGAIN)
    if inner == _STRING:
        for _ in range(count):
            # Read, not passed over: seeking from string to string costs more.
            reader.take(reader.number("Q", what), what)
        return Length(count)
    if inner in _WIDTHS and count > _KEPT_ITEMS:
        reader.skip(count * _WIDTHS[inner], what)
        return Length(count)
    if inner == _ARRAY and count > _KEPT_ITEMS:
        raise FormatError(f"{reader.label}: {key[:120]} holds {count:,} arrays", _AGAIN)
    return [_value(reader, inner, key, depth + 1) for _ in range(count)]


class Length(int):
    """The length of an array whose items were passed over."""
