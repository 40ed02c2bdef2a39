"""Sizes as people write them: tables of what must come out, and properties that hold for every number."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import units
from archcalc.errors import UsageError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("128k", 131072),
        ("128K", 131072),
        (" 128 k ", 131072),
        ("1m", 1048576),
        ("10M", 10485760),
        ("131,072", 131072),
        ("131_072", 131072),
        ("131072", 131072),
        ("1.5k", 1536),
        (".5k", 512),
        ("0.25m", 262144),
        ("128k tokens", 131072),
        ("1 token", 1),
        ("1,000,000", 1000000),
        ("1099511627776", 2**40),
    ],
)
def test_tokens(text: str, tokens: int) -> None:
    assert units.parse_tokens(text) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "k", "0", "0k", "-1", "-128k", "+1", "nan", "inf", "1e6", "0x10", "128kb", "128g", "12,34", "1,0000", "1,024k5",
        "1.3k", "1.5", "1.", "k128", "128 128", "１２８k", "١٢٨", "1099511627777", "999999999999m", "9" * 5000, "1." + "0" * 100,
        "1__000", "1k k",
    ],
)  # fmt: skip
def test_no_tokens(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_tokens(text)
    assert len(caught.value.message) < 200
    assert caught.value.hint


def test_an_error_says_what_would_do() -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_tokens("1.3k")
    assert "'1.3k'" in caught.value.message
    assert "1,331 or 1,332" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        units.parse_bytes("24")
    assert "24GiB" in caught.value.hint
    assert "24GB" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GiB", 24 * 2**30),
        ("24 gib", 24 * 2**30),
        ("80GB", 80 * 10**9),
        ("512MB", 512 * 10**6),
        ("512MiB", 512 * 2**20),
        ("1TiB", 2**40),
        ("1.5TB", 1_500_000_000_000),
        ("0.1GiB", 107374182),
        ("81,559 MiB", 81559 * 2**20),
        ("1,024 bytes", 1024),
        ("1b", 1),
        ("1.5B", 2),
        ("2.5B", 2),
        ("1PiB", 2**50),
        ("1024PiB", 2**60),
    ],
)
def test_bytes(text: str, size: int) -> None:
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "24g",
        "24G",
        "0GiB",
        "-1GiB",
        "nan GiB",
        "1e3GB",
        "24Gbit",
        "24 GiBs",
        "1,00GB",
        "GiB",
        "2EiB",
        "1025PiB",
        "9" * 5000,
    ],
)
def test_no_bytes(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        units.parse_bytes(text)
    assert len(caught.value.message) < 200
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bf16", "bf16"),
        ("BFloat16", "bf16"),
        ("torch.float16", "fp16"),
        ("half", "fp16"),
        ("f32", "fp32"),
        ("float", "fp32"),
        ("fp8", "fp8"),
        ("fp8_e4m3", "fp8"),
        ("fp8-e5m2", "fp8_e5m2"),
        ("int8", "int8"),
        ("Q8_0", "q8_0"),
        ("q4_K", "q4_k"),
        ("Q4_K_M", "q4_k_m"),
        ("iq4_nl", "iq4_nl"),
        ("IQ2_XXS", "iq2_xxs"),
        ("q5_1", "q5_1"),
    ],
)
def test_dtypes(text: str, name: str) -> None:
    assert units.parse_dtype(text) == name


@pytest.mark.parametrize("text", ["", "bf17", "q9_0", "q", "8", "auto", "q4_"])
def test_no_dtype(text: str) -> None:
    with pytest.raises(UsageError):
        units.parse_dtype(text)


@pytest.mark.parametrize(
    ("text", "count", "name"),
    [
        ("8xH100", 8, "h100"),
        ("8 x h100 sxm", 8, "h100 sxm"),
        ("8×H100", 8, "h100"),
        ("8*H100", 8, "h100"),
        ("H100", 1, "h100"),
        ("h200*8", 8, "h200"),
        ("h200 * 8", 8, "h200"),
        ("H100x8", 8, "h100"),
        ("a100-80gbx4", 4, "a100-80gb"),
        ("a100:40gb x4", 4, "a100:40gb"),
        ("8 H100", 8, "h100"),
        ("2x4090", 2, "4090"),
        ("4090x2", 2, "4090"),
        ("4090 x 2", 2, "4090"),
        ("rtx4090", 1, "rtx4090"),
        ("rtx 4090", 1, "rtx 4090"),
        ("7900xtx", 1, "7900xtx"),
        ("7900xtx x2", 2, "7900xtx"),
        ("2x7900xtx", 2, "7900xtx"),
        ("9070xt", 1, "9070xt"),
        ("3080 12gb", 1, "3080 12gb"),
        ("max 1550", 1, "max 1550"),
        ("8xt4", 8, "t4"),
        ("p5.48xlarge", 1, "p5.48xlarge"),
        ("2xp5.48xlarge", 2, "p5.48xlarge"),
        ("0xh100", 0, "h100"),
        ("1000xh100", 1000, "h100"),
    ],
)
def test_counts_of_gpus(text: str, count: int, name: str) -> None:
    assert units.split_count(text) == (count, name)


@pytest.mark.parametrize("text", ["", "  ", "-1xH100", "-8 h100", "1.5xH100", ".5xh100", "2x2xh100", "2xh100x2", "h" * 200])
def test_no_count_of_gpus(text: str) -> None:
    with pytest.raises(UsageError):
        units.split_count(text)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        # Published totals: DeepSeek-V3 671 B and 37 B active, Llama 3.1 8B, GPT-2 124 M, Kimi K2 1 T.
        (671026419200, "671.0 B"),
        (37552297472, "37.6 B"),
        (8030261248, "8.03 B"),
        (124439808, "124.4 M"),
        (1026408232448, "1.03 T"),
        (0, "0"),
        (999999, "999,999"),
        (1000000, "1.00 M"),
        (9994999, "9.99 M"),
        (9995001, "10.0 M"),
        (999949999, "999.9 M"),
        (999950000, "1.00 B"),
        (123456789012345678, "123,456.8 T"),
        (10050000000, "10.0 B"),  # halves go to the even digit
        (10150000000, "10.2 B"),
        (-1500000, "-1.50 M"),
    ],
)
def test_counts(n: int, text: str) -> None:
    assert units.format_count(n) == text


@pytest.mark.parametrize(
    ("n", "binary", "decimal"),
    [
        (0, "0 bytes", "0 bytes"),
        (512, "512 bytes", "512 bytes"),
        (2**30, "1.00 GiB", "1.07 GB"),
        (10**9, "953.7 MiB", "1.00 GB"),
        (80 * 10**9, "74.5 GiB", "80.0 GB"),
        (24 * 2**30, "24.0 GiB", "25.8 GB"),
        (2**40 - 1, "1.00 TiB", "1.10 TB"),
        (85520809984, "79.6 GiB", "85.5 GB"),
        (-3 * 2**30, "-3.00 GiB", "-3.22 GB"),
        (5 * 2**50, "5,120.0 TiB", "5,629.5 TB"),
    ],
)
def test_sizes(n: int, binary: str, decimal: str) -> None:
    assert units.format_bytes(n) == binary
    assert units.format_gb(n) == decimal


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (131072, "128k"),
        (163840, "160k"),
        (1048576, "1m"),
        (10485760, "10m"),
        (1310720, "1280k"),
        (0, "0"),
        (1000, "1,000"),
        (131073, "131,073"),
    ],
)
def test_tokens_print(n: int, text: str) -> None:
    assert units.format_tokens(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 ms"),
        (0.00999, "10 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3600, "1 h 0 min"),
        (10**6, "277 h 46 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert units.format_seconds(seconds) == text


@given(st.integers(1, units.MAX_TOKENS))
def test_tokens_round_trip(n: int) -> None:
    assert units.parse_tokens(units.format_tokens(n)) == n
    assert units.parse_tokens(str(n)) == units.parse_tokens(f"{n:,}") == n


@given(st.integers(1, units.MAX_BYTES))
def test_bytes_round_trip(n: int) -> None:
    assert units.parse_bytes(f"{n} bytes") == n
    for text in (units.format_bytes(n), units.format_gb(n)):
        # At least three digits are printed: half of the last one is at most 0.5 % of the number.
        assert abs(units.parse_bytes(text) - n) * 200 <= n


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_more_never_prints_as_less(a: int, b: int) -> None:
    less, more = sorted((a, b))
    scale = {"M": 10**6, "B": 10**9, "T": 10**12}

    def value(text: str) -> float:
        number, _, unit = text.replace(",", "").partition(" ")
        return float(number) * scale.get(unit, 1)

    assert value(units.format_count(less)) <= value(units.format_count(more))
    assert abs(value(units.format_count(more)) - more) <= more * 0.005 + 1


@given(st.integers(0, 10**30))
def test_exact_is_exact(n: int) -> None:
    assert int(units.format_exact(n).replace(",", "")) == n


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_shares(part: int, rest: int) -> None:
    text = units.format_share(part, part + rest)
    assert (text == "0.0%") == (part == 0)
    assert text != "100.0%"
    assert units.format_share(part + rest, part + rest) == "100.0%"


@pytest.mark.parametrize("parse", [units.parse_tokens, units.parse_bytes, units.parse_dtype, units.split_count])
@given(text=st.text(max_size=80) | st.from_regex(r"[0-9.,_x* ]{0,12}[a-z0-9 ]{0,8}", fullmatch=True))
def test_any_text_is_a_size_or_an_error(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(UsageError):
        parse(text)
