"""Sizes as people write them: the only file that parses or prints 8xH100, 128k, 24GiB, bf16, 671.0 B.

Everything is computed with integers, so that no printed digit depends on floating point; halves round to even.
``k`` and ``m`` of tokens are 2^10 and 2^20 (as in 128k context); ``GiB`` is 2^30 bytes and ``GB`` 10^9, never one for the other;
``B`` after a count of parameters is 10^9, so plain bytes are written out ("512 bytes").
"""

from __future__ import annotations

import math
import re

from archcalc.errors import UsageError

MAX_TOKENS = 1 << 40
"""More tokens than this are taken for a slip: a million times the longest context published."""
MAX_BYTES = 1 << 60
"""More bytes than this (1 EiB) are taken for a slip."""

# Patterns are text, compiled where they are first used: most runs parse nothing, and start-up counts. Digits are ASCII.
_K, _M = 1 << 10, 1 << 20
_NUMBER = r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+|[0-9]+)?(?:\.(?P<fraction>[0-9]+))?"
_TOKENS = _NUMBER + r"\s*(?P<unit>[km]?)(?:\s*(?:tokens?|toks?))?"
_BYTES = _NUMBER + r"\s*(?P<unit>[a-z]*)"
_BYTE_UNITS = {
    "b": 1, "byte": 1, "bytes": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50,
}  # fmt: skip

_DTYPES = {
    "fp32": "fp32 float32 f32 float",
    "fp16": "fp16 float16 f16 half",
    "bf16": "bf16 bfloat16",
    "fp8": "fp8 fp8_e4m3 fp8_e4m3fn float8_e4m3fn e4m3 f8_e4m3",
    "fp8_e5m2": "fp8_e5m2 float8_e5m2 e5m2 f8_e5m2",
    "fp4": "fp4 fp4_e2m1 float4_e2m1 e2m1",
    "int8": "int8 i8",
    "int4": "int4 i4",
}
_DTYPE = {alias: name for name, aliases in _DTYPES.items() for alias in aliases.split()}
_CACHE_LAYOUTS = frozenset("fp8_ds_mla nvfp4 nvfp4_ds_mla int4_per_token_head int8_per_token_head fp8_per_token_head mxfp8".split())
_GGUF_TYPE = r"i?q[1-8]_(?:[0-9]|k|nl|xs|xxs|s|m)(?:_(?:s|m|l|xl))?|tq[12]_0"

# The x of 7900xtx, rtx 4090 and max 8 is no times sign; that of 8xh100, h100x8 and a100 x 4 is.
_COUNT_FIRST = r"(?P<count>[0-9]+)\s*(?:x(?!tx?\b)|[×*])\s*(?P<name>\S.*)"
_COUNT_LAST = r"(?P<name>\S.*?)(?:\s*[×*]|\s+x)\s*(?P<count>[0-9]+)"
_COUNT_ATTACHED = r"(?P<name>.*[0-9].*)x(?P<count>[0-9]{1,3})"
_COUNT_BARE = r"(?P<count>[0-9]{1,3})\s+(?P<name>[a-z].*)"


# Parsing


def parse_tokens(text: str) -> int:
    """Tokens, as people write them.

    >>> parse_tokens("128k"), parse_tokens("1M"), parse_tokens("131,072"), parse_tokens("1.5k")
    (131072, 1048576, 131072, 1536)
    """
    examples = "write tokens like 128k (131,072), 1m (1,048,576) or 131072"
    match = _match(_TOKENS, text)
    if match is None:
        raise UsageError(f"{_shown(text)} is not a number of tokens", examples)
    tokens, remainder, _ = _scaled(match, {"": 1, "k": _K, "m": _M}[match["unit"]])
    if remainder:
        raise UsageError(
            f"{_shown(text)} is not a whole number of tokens", f"write {tokens:,} or {tokens + 1:,}; k is 1,024 and m is 1,048,576"
        )
    if not 1 <= tokens <= MAX_TOKENS:
        raise UsageError(f"{_shown(text)} tokens: from 1 to {MAX_TOKENS:,} can be asked for", examples)
    return tokens


def parse_count(text: str, of: str = "parameters") -> int:
    """A number of parameters or of tokens to train on, as people write it; a number below 1,000 without a unit is refused.

    >>> parse_count("7B"), parse_count("1.5t"), parse_count("350 M"), parse_count("124,439,808")
    (7000000000, 1500000000000, 350000000, 124439808)
    """
    match = _match(_BYTES, text)
    scales = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
    if match is None or match["unit"] not in scales:
        raise UsageError(f"{_shown(text)} is not a number of {of}", "write it like 7B, 350M, 1.5T or 7000000000")
    whole, remainder, scale = _scaled(match, scales[match["unit"]])
    count = _round_half_even(whole * scale + remainder, scale)
    if not match["unit"] and 0 < whole * scale + remainder < 1000 * scale:
        raise UsageError(f"{_shown(text)} lacks a unit", f"write {text.strip()}B, if billions are meant (k, M, B or T)")
    return count


def parse_bytes(text: str) -> int:
    """Bytes with their unit, to the nearest byte. A number without a unit is refused: 24 is neither GiB nor GB.

    >>> parse_bytes("24GiB"), parse_bytes("80 GB"), parse_bytes("1.5TiB")
    (25769803776, 80000000000, 1649267441664)
    """
    examples = "write bytes with their unit, like 24GiB (2^30 each), 80GB (10^9 each) or 512MiB"
    match = _match(_BYTES, text)
    if match is None:
        raise UsageError(f"{_shown(text)} is not a size in bytes", examples)
    unit = match["unit"]
    if unit in ("", "k", "m", "g", "t", "p"):
        number, letter = text.strip()[: -len(unit) or None].strip(), (unit or "g").upper()
        if not unit and (plain := number.replace("_", "").replace(",", "")).isdecimal() and int(plain) >= 2**20:
            # An engine's own flag takes bytes without a unit.
            size = int(plain)
            near = f"{size >> 30}GiB" if not size % 2**30 else f"{size >> 20}MiB" if not size % 2**20 else f"{plain}B"
            raise UsageError(f"{_shown(text)} lacks a unit of bytes", f"write {near}, if bytes are meant")
        raise UsageError(
            f"{_shown(text)} lacks a unit of bytes",
            f"write {number}{letter}iB (2^{_BYTE_UNITS[letter.lower() + 'ib'].bit_length() - 1} bytes each) or {number}{letter}B "
            f"(10^{len(str(_BYTE_UNITS[letter.lower() + 'b'])) - 1} bytes each)",
        )
    if unit not in _BYTE_UNITS:
        raise UsageError(f"{_shown(text)} has the unknown unit {unit!r}", examples)
    whole, remainder, scale = _scaled(match, _BYTE_UNITS[unit])
    size = _round_half_even(whole * scale + remainder, scale)
    if not 1 <= size <= MAX_BYTES:
        raise UsageError(f"{_shown(text)}: sizes from 1 byte to {format_bytes(MAX_BYTES)} can be asked for", examples)
    return size


def parse_share(text: str, option: str) -> float:
    """A share of a whole given as `option`: above 0, and 1 at most.

    >>> parse_share("0.9", "--utilization")
    0.9
    """
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"{option} {text}: a number above 0, up to 1, was expected", "such as 0.9")
    return share


def parse_seconds(text: str) -> float:
    """A time with its unit.

    >>> parse_seconds("30ms"), parse_seconds("1.5 s")
    (0.03, 1.5)
    """
    match = _match(_BYTES, text)
    if match is None or match["unit"] not in ("ms", "s"):
        raise UsageError(f"{_shown(text)} is not a time", "write it like 30ms or 1.5s")
    whole, remainder, scale = _scaled(match, 1)
    seconds = (whole + remainder / scale) / (1000 if match["unit"] == "ms" else 1)
    if not 0 < seconds <= 10**6:
        raise UsageError(f"{_shown(text)}: a time above zero was expected", "write it like 30ms or 1.5s")
    return seconds


def parse_dtype(text: str) -> str:
    """The name of a number format, by its short name. Which ones an engine takes is the engine's to say.

    >>> parse_dtype("bfloat16"), parse_dtype("F16"), parse_dtype("Q8_0")
    ('bf16', 'fp16', 'q8_0')
    """
    name = text.strip().lower().removeprefix("torch.").replace("-", "_")
    if name in _DTYPE:
        return _DTYPE[name]
    if re.fullmatch(_GGUF_TYPE, name, re.ASCII):
        return name
    raise UsageError(f"{_shown(text)} is not a dtype archcalc knows", f"one of {', '.join(_DTYPES)}, or a GGUF type such as q8_0")


def cache_dtypes() -> tuple[str, ...]:
    """The names that `parse_cache_dtype` makes, and GGUF's types that llama.cpp keeps a cache in."""
    return (*_DTYPES, *sorted(_CACHE_LAYOUTS), "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


def parse_cache_dtype(text: str) -> str:
    """The name of a cache's number format: those of `parse_dtype`, and layouts that only one engine has.

    >>> parse_cache_dtype("FP8"), parse_cache_dtype("fp8_ds_mla")
    ('fp8', 'fp8_ds_mla')
    """
    own = text.strip().lower()
    return own if own in _CACHE_LAYOUTS else parse_dtype(text)


def split_count(text: str) -> tuple[int, str]:
    """How many of what: 8xH100 into 8 and H100. Without a count it is one. The count is not checked, except that it is a number.

    Of two numbers (2x4090, 4090x2) the smaller one is the count.

    >>> split_count("8xH100"), split_count("a100:40gb x4"), split_count("4090*2"), split_count("T4")
    ((8, 'h100'), (4, 'a100:40gb'), (2, '4090'), (1, 't4'))
    """
    clean = " ".join(text.lower().split())
    examples = "write it like 8xH100, 2x4090 or H100"
    if not clean:
        raise UsageError("no GPU is named", examples)
    if len(clean) > 100:
        raise UsageError(f"{_shown(text)} is too long for the name of a GPU", examples)
    if re.match(r"[-+]\s*[0-9]|[0-9]*\.[0-9]+\s*[x×*]", clean, re.ASCII):
        raise UsageError(f"{_shown(text)}: the number of GPUs is not a whole number above zero", examples)
    first = re.fullmatch(_COUNT_FIRST, clean, re.ASCII)
    if first and first["name"].isdecimal():
        count, name = sorted((int(first["count"]), int(first["name"])))
        return count, str(name)
    last = re.fullmatch(_COUNT_LAST, clean, re.ASCII) or re.fullmatch(_COUNT_ATTACHED, clean, re.ASCII)
    if first:
        twice = next(
            (m for p in (_COUNT_FIRST, _COUNT_LAST, _COUNT_ATTACHED) if (m := re.fullmatch(p, first["name"], re.ASCII))), None
        )
        if twice is not None and twice["name"].isdecimal():
            raise UsageError(f"{_shown(text)} gives two counts", examples)
        if twice is not None:
            # Machines are written so: two of eight GPUs. How many GPUs a machine has is the catalog's.
            all_of_them = f"{int(first['count']) * int(twice['count'])}x{twice['name']}"
            raise UsageError(
                f"{_shown(text)} gives two counts", f"name all GPUs as one number, whatever machines they stand in: {all_of_them}"
            )
    match = first or last or re.fullmatch(_COUNT_BARE, clean, re.ASCII)
    return (int(match["count"]), match["name"]) if match else (1, clean)


def _match(pattern: str, text: str) -> re.Match[str] | None:
    """The text as a number with a unit, if it has digits and a sane length."""
    match = re.fullmatch(pattern, text.strip().lower(), re.ASCII) if len(text) <= 64 else None
    return match if match and (match["whole"] or match["fraction"]) else None


def _scaled(match: re.Match[str], unit: int) -> tuple[int, int, int]:
    """The number times the unit, exactly: the whole part, and the remainder over the scale."""
    fraction = match["fraction"] or ""
    scale = 10 ** len(fraction)
    value = int((match["whole"] or "0").replace(",", "").replace("_", "") + fraction) * unit
    return value // scale, value % scale, scale


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "..."


# Printing


def format_count(n: int) -> str:
    """Parameters and other counts, at least three digits: T, B and M are 10^12, 10^9 and 10^6; below a million, exact.

    >>> format_count(671026419200), format_count(8030261248), format_count(124439808), format_count(786432)
    ('671.0 B', '8.03 B', '124.4 M', '786,432')
    """
    return _in_units(n, (("M", 10**6), ("B", 10**9), ("T", 10**12))) or format_exact(n)


def format_exact(n: int) -> str:
    """All digits, in groups of three.

    >>> format_exact(671026419200)
    '671,026,419,200'
    """
    return f"{n:,}"


def format_bytes(n: int) -> str:
    """Bytes in KiB, MiB, GiB, TiB (2^10 each).

    >>> format_bytes(25769803776), format_bytes(1280 << 20), format_bytes(512)
    ('24.0 GiB', '1.25 GiB', '512 bytes')
    """
    return _in_units(n, _BINARY) or f"{n} bytes"


def format_gib(n: int, digits: int = 1) -> str:
    """Bytes in GiB whatever their size, without the unit: for the columns of a table.

    >>> format_gib(25769803776), format_gib(123456789, 2)
    ('24.0', '0.11')
    """
    return _fixed(n, 1 << 30, digits)


def format_gb(n: int) -> str:
    """Bytes in kB, MB, GB, TB (10^3 each).

    >>> format_gb(80000000000), format_gb(3350000000000) + "/s"
    ('80.0 GB', '3.35 TB/s')
    """
    return _in_units(n, (("kB", 10**3), ("MB", 10**6), ("GB", 10**9), ("TB", 10**12))) or f"{n} bytes"


def format_tokens(n: int) -> str:
    """Tokens: in k or m (2^10, 2^20) where they come out whole, else exactly.

    >>> format_tokens(131072), format_tokens(163840), format_tokens(1048576), format_tokens(131000)
    ('128k', '160k', '1m', '131,000')
    """
    if n and n % _M == 0:
        return f"{n // _M}m"
    if n and n % _K == 0:
        return f"{n // _K}k"
    return f"{n:,}"


def format_flops(n: int) -> str:
    """Floating-point operations in MFLOP, GFLOP, TFLOP, PFLOP, EFLOP (10^3 each).

    >>> format_flops(16060522496), format_flops(989400000000000) + "/s"
    ('16.1 GFLOP', '989.4 TFLOP/s')
    """
    units = (("MFLOP", 10**6), ("GFLOP", 10**9), ("TFLOP", 10**12), ("PFLOP", 10**15), ("EFLOP", 10**18))
    return _in_units(n, units) or f"{n:,} FLOP"


def format_share(part: int, whole: int) -> str:
    """A share in percent. Only nothing is 0.0 % and only all is 100.0 %.

    >>> format_share(1, 8), format_share(1, 10**6), format_share(10**6 - 1, 10**6), format_share(8, 8), format_share(0, 0)
    ('12.5%', '<0.1%', '>99.9%', '100.0%', '-')
    """
    if not whole:
        return "-"
    per_mille = _round_half_even(1000 * part, whole)
    if part and not per_mille:
        return "<0.1%"
    if per_mille == 1000 and part < whole:
        return ">99.9%"
    return f"{_fixed(per_mille, 10, 1)}%"


def format_seconds(seconds: float, *, least: bool = False) -> str:
    """A duration with the unit that suits it; rounded down where it is the `least` that something takes.

    >>> [format_seconds(s) for s in (0.000041, 0.00125, 0.34, 2.1, 200, 7260)]
    ['41 us', '1.2 ms', '340 ms', '2.1 s', '3 min 20 s', '2 h 1 min']
    >>> format_seconds(0.00279), format_seconds(0.00279, least=True)
    ('2.8 ms', '2.7 ms')
    """

    def whole(x: float) -> int:
        return math.floor(x + 1e-9) if least else round(x)

    if 0 < seconds < 0.0001:
        return f"{whole(seconds * 1_000_000)} us"
    tenths_of_ms = whole(seconds * 10_000)
    if tenths_of_ms < 100:
        return f"{tenths_of_ms / 10:.1f} ms"
    if (ms := whole(seconds * 1000)) < 1000:
        return f"{ms} ms"
    if whole(seconds * 10) < 600:
        return f"{whole(seconds * 10) / 10:.1f} s"
    minutes, rest = divmod(whole(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def at_most(value: float, digits: int) -> float:
    """An upper bound with so many decimals: never below it.

    >>> at_most(2.4512, 2), at_most(2.5, 2)
    (2.46, 2.5)
    """
    scale = 10.0**digits
    return math.ceil(value * scale - 1e-9) / scale


def format_at_most(value: float) -> str:
    """An upper bound in three digits, whole from 100 on, rounded up.

    >>> [format_at_most(x) for x in (0.3001, 1.6, 2.4512, 99.91, 1234.2)]
    ['0.301', '1.6', '2.46', '100', '1,235']
    """
    if value <= 0:
        return "0"
    up = at_most(value, max(0, 2 - math.floor(math.log10(value))))
    return f"{up:,.0f}" if up >= 100 else f"{up:.3g}"


_BINARY = (("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40))


def at_least(value: float, digits: int) -> float:
    """What there is room for with so many decimals: never above it. The hair added is what a division leaves off.

    >>> at_least(40.31, 1), at_least(2.999, 2), at_least(13.7, 1)
    (40.3, 2.99, 13.7)
    """
    scale = 10.0**digits
    return math.floor(value * scale + 1e-6) / scale


def format_rate(value: float) -> str:
    """So many a second in three digits, and no exponent.

    >>> [format_rate(x) for x in (0.01234, 2.615, 126.2, 12345.6)]
    ['0.0123', '2.62', '126', '12,346']
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def format_held(value: float) -> str:
    """How many sequences a cache holds, with a tenth: never more than there is room for.

    >>> [format_held(n) for n in (31.99, 40.0, 0.999, 1234.56)]
    ['31.9', '40.0', '0.9', '1,234.5']
    """
    return f"{at_least(value, 1):,.1f}"


def _in_units(n: int, units: tuple[tuple[str, int], ...]) -> str:
    """The number in the largest unit it reaches: two decimals below ten, else one. Empty below the first unit."""
    size = abs(n)
    if size < units[0][1]:
        return ""
    for i, (name, unit) in enumerate(units):
        following = units[i + 1][1] if i + 1 < len(units) else None
        if following is None or _round_half_even(10 * size, unit) * unit < 10 * following:
            digits = 2 if _round_half_even(100 * size, unit) < 1000 else 1
            return f"{_fixed(n, unit, digits)} {name}"
    raise AssertionError("the last unit takes every number")


def _fixed(n: int, unit: int, digits: int) -> str:
    """`n / unit` with so many decimals."""
    scaled = _round_half_even(abs(n) * 10**digits, unit)
    whole, fraction = divmod(scaled, 10**digits)
    sign = "-" if n < 0 and scaled else ""
    return f"{sign}{whole:,}.{fraction:0{digits}}" if digits else f"{sign}{whole:,}"


def _round_half_even(n: int, by: int) -> int:
    """`n / by` to the nearest integer, halves to even."""
    quotient, remainder = divmod(n, by)
    return quotient + (2 * remainder > by or (2 * remainder == by and quotient % 2 == 1))
