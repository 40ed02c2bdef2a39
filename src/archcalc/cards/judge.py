"""A claim against a model: right in a convention that can be named, wrong with what it should say, or beyond what a config tells.

A number is right if the true value reads so at the precision printed: rounded, with trailing zeros as none, or cut off, in that order of
preference and over every convention of `truth`. In generated sections only the rounded canonical value is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from archcalc import units
from archcalc.cards import truth, words
from archcalc.cards.labels import NUMERIC, UNKNOWABLE, Quals
from archcalc.cards.models import Model
from archcalc.cards.names import Closed
from archcalc.cards.quantity import MAX_DIGITS, How, Kind, Number, compare, like, scales
from archcalc.cards.readers.claim import Claim
from archcalc.cards.truths.layers import indices
from archcalc.cards.truths.params import stated
from archcalc.cards.truths.value import Value
from archcalc.errors import ArchcalcError
from archcalc.records import NamedTuple

Outcome = Literal["ok", "wrong", "unverifiable"]


class Judgement(NamedTuple):
    """`fix` is what the claim's text should be, in its own style, where that can be written."""

    verdict: Outcome
    actual: str = ""
    why: str = ""
    fix: str = ""


class Rules(NamedTuple):
    """How to judge: `strict` in generated sections; `tolerance` a share that the user asked for; `tuned` for a release tuned from the
    model, where the tuning may have changed what `_TUNING_CHANGES` lists, `quantized` where the files are smaller; `family` for a row
    about one, `closed` for what is wrong if no member that is known here has it."""

    strict: bool = False
    tolerance: Fraction = Fraction(0)
    tuned: bool = False
    quantized: bool = False
    family: bool = False
    closed: tuple[Closed, ...] = ()


# Rounding before cutting off, and common conventions before rare ones.
_ORDER: tuple[tuple[tuple[How, ...], bool], ...] = (
    (("exact",), True), (("rounded",), False), (("zeros",), False), (("rounded",), True), (("cut",), False), (("zeros", "cut"), True),
)  # fmt: skip
_STRICT = _ORDER[:2]
_READS = {"exact": "", "rounded": "rounded", "zeros": "trailing zeros as none", "cut": "cut off, not rounded"}
_TUNING_CHANGES = ("context", "vocab", "original_context", "rope_theta", "tied", "yarn", "longrope")
_GUESSED = "no adapter reads this architecture: figures are guessed, and guesses judge nothing"


def judge(model: Model, claim: Claim, rules: Rules) -> Judgement:
    """One claim against one model."""
    if model.architecture.status == "guessed" and claim.form not in ("unread", "unknowable"):
        return Judgement("unverifiable", why=_GUESSED)
    found = _judge(model, claim, rules)
    if found.verdict == "wrong" and claim.product is not None and _is_product(model, claim):
        return Judgement("ok", found.actual, f"the product of figures of the model: {found.why}")
    excuse = _excuse(model, claim, rules) if found.verdict == "wrong" else ""
    return Judgement("unverifiable", found.actual, f"{found.why}; {excuse}") if excuse else found


def _excuse(model: Model, claim: Claim, rules: Rules) -> str:
    """Why a number that is not the model's may still be right: what the cell or the release leaves open. Empty if it may not."""
    if claim.number is not None and not claim.number.mantissa and _reads_as_none(model, claim, claim.number, rules):
        return "it is less than the digits tell"
    if claim.field == "kv_cache" and not claim.quals.context and not rules.strict:
        return "no context is stated"
    if rules.tuned and (claim.field in _TUNING_CHANGES or claim.word in _TUNING_CHANGES):
        return "a tuned release may have its own"
    if claim.quals.span == "variant":
        return "a variant may have its own"
    if claim.quals.dtype == "int4" and claim.field in _STORED and _is_between(model, claim):
        return "formats of four bits differ"
    if claim.field == "weights":
        if claim.quals.other == "loose":
            return "the column may count more than weights"
        if rules.quantized:
            return "a quantized release is smaller"
        if claim.quals.tp > 1 and claim.number is not None and _about_the_share(model, claim, claim.number):
            return "engines keep some weights whole on every device"
    if model.architecture.status == "partial":
        keys = ", ".join(model.architecture.unmodelled_keys)
        return f"keys of the config are not understood: {keys}" if keys else "the model is not read in full"
    return ""


def _judge(model: Model, claim: Claim, rules: Rules) -> Judgement:
    if claim.form == "unknowable":
        return Judgement("unverifiable", why=UNKNOWABLE[claim.field])
    if claim.form == "unread":
        # A generated section says nothing that cannot be read.
        return Judgement("wrong" if rules.strict else "unverifiable", why="not understood")
    if claim.form == "number" and claim.number is not None:
        return _number(model, claim, claim.number, rules)
    if claim.form in ("word", "flag"):
        found = _word(model, claim) if claim.form == "word" else _none(model, claim)
        key = "" if rules.strict or found.verdict == "ok" else claim.quals.key
        said = next((name for name, value in model.keys.get(key, ()) if value is claim.flag), "") if key else ""
        return Judgement("ok", str(claim.flag).lower(), f"{said} of the config") if said else found
    if claim.form == "ratio":
        return _ratio(model, claim, rules)
    if claim.form == "every":
        return _every(model, claim)
    if claim.form == "fit":
        return _fit(model, claim, rules)
    if claim.form == "product" and claim.number is not None:
        return _product(model, claim, claim.number, rules)
    return Judgement("unverifiable", why="not understood")


# Numbers


def settled(model: Model, claim: Claim, rules: Rules) -> tuple[tuple[int, int], ...] | None:
    """Between which digits a number in the style of one that was just judged may be judged otherwise; None where all of them may."""
    number, quals = claim.number, claim.quals
    if claim.form != "number" or number is None or claim.product is not None or rules.tolerance or quals.tp != 1:
        return None
    if number.unit == "%" or number.bound:
        return None
    values, readings = _open(model, claim, rules), scales(number, NUMERIC[claim.field], quals.unit)
    if rules.strict:
        values, readings = values[:1], readings[:1]
    return _near(number, claim.field, values, readings) if values else None


def within(bands: Iterable[tuple[int, int]], digits: int) -> bool:
    """Whether digits lie in one of some bands."""
    for low, high in bands:  # noqa: SIM110  `any` takes three times as long, and this is asked of every number
        if low <= digits <= high:
            return True
    return False


_ANY = ((0, 10**MAX_DIGITS),)
_LAST = 12
"""More than `compare` allows: half of ten of the last digit."""
_UNPADDED = Fraction(985, 1000)
"""The rows of an embedding without its padding."""


def _near(number: Number, field: str, values: Sequence[Value], readings: Sequence[tuple[int, str]]) -> tuple[tuple[int, int], ...]:
    """What digits in the style of a number may stand for each value. Of plain counts only the value itself, or a vocabulary without its
    padding; numbers with decimals read as none that is more than some of their last digits off, others as none more than an eighth off."""
    if _least(field) < _DIGITS_COUNT:
        return _ANY
    digits = [value.value * 10**number.decimals / Fraction(unit) for value in values for unit, _ in readings]
    if NUMERIC[field] == "int" and not number.scale:
        return tuple((int(one * _UNPADDED) - 2 if field == "vocab" else int(one) - 2, int(one) + 2) for one in digits)
    if number.decimals:
        return tuple((int(one) - _LAST, int(one) + _LAST) for one in digits)
    return tuple((int(one * 7 / 8) - 2, int(one * 9 / 8) + 2) for one in digits)


def _open(model: Model, claim: Claim, rules: Rules) -> list[Value]:
    """The values that a number may stand for."""
    quals = claim.quals._replace(key="") if rules.strict else claim.quals
    return _allowed(truth.safely(model, claim.field, quals), claim, rules)


def _number(model: Model, claim: Claim, number: Number, rules: Rules) -> Judgement:
    kind = NUMERIC[claim.field]
    values = _open(model, claim, rules)
    if not values:
        return Judgement("unverifiable", why="the config does not say")
    if number.unit == "%":
        return _percent(claim, number, values)
    readings = scales(number, kind, claim.quals.unit)
    if rules.strict:
        values, readings = values[:1], readings[:1]
    if number.bound:
        return _bounded(number, values[0], readings, claim)
    namesakes = [v for v in values if v.tag == "namesake"]
    values = [v for v in values if v.tag != "namesake"]
    found = list(_fitting(number, claim.field, kind, values, readings, rules.strict))
    # What a name says is the last that a number may be right by.
    found = [one for one in found if one[0].tag not in ("name", "published")] or found
    for hows, rare in (_STRICT if rules.strict else _ORDER) if found else ():
        for value, how, name in found:
            if how in hows and (value.tag == "rare") <= rare:
                return Judgement("ok", _show(claim.field, value.value), _because(value, how, name))
    if not rules.strict and (as_thousands := _written_out(number, values, kind)):
        return as_thousands
    best = values[0]
    if claim.field == "window" and not best.value:
        return Judgement("wrong", "none", best.basis)
    written = _written(number, best if rules.strict else _as_published(model, claim, number, values, readings[0][0]), readings)
    found_wrong = Judgement("wrong", written + _behind(number), _why(claim.field, tuple(values[:4])), written)
    if (
        rules.tolerance
        and not rules.strict
        and any(abs(Fraction(v.value) - number.printed * u) <= rules.tolerance * v.value for v in values for u, _ in readings)
    ):
        return Judgement(
            "ok", found_wrong.actual, f"{best.basis}: {_show(claim.field, best.value)}, within the tolerance asked for"
        )
    if claim.field == "vocab" and not rules.strict and _padded(number, best.value, [u for u, _ in readings]):
        return Judgement(
            "unverifiable",
            found_wrong.actual,
            f"the embedding has {best.value:,} rows, which may be padded: the tokenizer knows how many are used",
        )
    why = found_wrong.why
    for namesake in namesakes:
        if any(compare(number, namesake.value, unit) for unit, _ in readings):
            why += f"; {namesake.value:,} is {namesake.basis}"
    return found_wrong if why == found_wrong.why else found_wrong._replace(why=why)


@lru_cache(maxsize=4096)
def _why(field: str, values: tuple[Value, ...]) -> str:
    """The right values, the canonical one first."""
    others = [f"{_show(field, value.value)} {value.basis}" for value in values[1:]]
    why = f"{values[0].basis}: {_show(field, values[0].value)}"
    return f"{why} ({'; '.join(others)})" if others else why


_FACTORS = (
    "layers", "heads", "kv_heads", "head_dim", "hidden_size", "intermediate_size", "expert_size", "experts", "active_experts", "vocab",
    "kv_rank", "q_rank", "rope_dim", "nope_dim", "v_dim",
)  # fmt: skip
_SMALL = 4
"""A factor up to this says how many matrices or bytes."""


@lru_cache(maxsize=1024)
def _facts(model: Model) -> frozenset[int | Fraction]:
    return frozenset(value.value for field in _FACTORS for value in truth.safely(model, field, Quals())[:1])


def _is_product(model: Model, claim: Claim) -> bool:
    """Whether a number is what it is said to be the product of, all that count of the factors are figures of the model, and one of them
    is what the label asks for: 64 x 128 = 8,192 of heads."""
    number, product = claim.number, claim.product
    if number is None or product is None or number.unit or number.printed * 10**number.scale != product.printed * 10**product.scale:
        return False
    counted = [factor for factor in claim.factors if factor > _SMALL]
    own = {value.value for value in truth.safely(model, claim.field, Quals())[:1]}
    return len(counted) > 1 and set(counted) <= _facts(model) and not own.isdisjoint(counted)


def _product(model: Model, claim: Claim, number: Number, rules: Rules) -> Judgement:
    """A product without a result: right if it makes the figure, or is a part of the name. It may be of something else."""
    if not rules.strict and re.sub(r"[\s×*x]+", "x", number.text.lower()) in model.name.split("-"):
        return Judgement("ok", number.text, "as its name says")
    found = _number(model, claim, number, rules)
    return found if found.verdict == "ok" else Judgement("unverifiable", why="not understood")


def is_misworked(model: Model, claim: Claim) -> bool:
    """Whether the product in front of a number is the model's figure, and the number is not: arithmetic speaks for itself."""
    product = claim.product
    return claim.form == "number" and product is not None and is_right(model, claim._replace(number=product, product=None))


_STATED = ("total_params", "active_params")
_CLOSE = 4
_DIGITS: tuple[int, ...] = (10**9, 10**8, 10**7, 10**6, 1)


def _as_published(model: Model, claim: Claim, number: Number, values: Sequence[Value], unit: int) -> Value:
    """The value to write in a number's place: as the publisher rounds it, where the number has no more digits than that has and the
    tensors, counted in some way, round so too."""
    best = values[0]
    if claim.field not in _STATED or claim.quals.embedding == "without":
        return best
    for count in stated(model, claim.field):
        digit = _last_digit(count)
        as_printed = number._replace(mantissa=count // digit, decimals=0)
        if (
            count >= unit >= digit * int(10**number.decimals)
            and _CLOSE * abs(Fraction(count) - best.value) < best.value
            and any(compare(as_printed, value.value, digit) for value in values if value.tag != "published")
        ):
            return best._replace(value=count)
    return best


def rounds_to_stated(model: Model, field: str, count: int | Fraction) -> bool:
    """Whether a count rounds to what the publisher states, which is not what the tensors round to; trillions have two decimals."""
    true: int | Fraction = next((value.value for value in truth.safely(model, field, Quals())), 0)
    for one in model.counts:
        digit = _last_digit(one.params)
        if one.params >= _TRILLION:
            digit *= 10
        if one.field == field and 2 * abs(Fraction(count) - one.params) <= digit < abs(Fraction(one.params) - true):
            return True
    return False


_TRILLION = 10**12


def _last_digit(count: int | Fraction) -> int:
    """What the last digit of a count stands for that is stated in billions, or millions."""
    return next(power for power in _DIGITS if count % power == 0)


_STORED = ("weights", "kv_cache", "kv_per_token")


def _is_between(model: Model, claim: Claim) -> bool:
    """Whether a size is more than four bits each, and less than sixteen: scales and what is left in a wider type come on top."""
    number = claim.number
    values = [v.value for v in truth.safely(model, claim.field, claim.quals)]
    sizes = [number.printed * unit for unit, _ in scales(number, "bytes", claim.quals.unit)] if number is not None else []
    return any(value < size < _FOUR_TO_SIXTEEN * value for value in values[:1] for size in sizes)


_FOUR_TO_SIXTEEN = Fraction(7, 2)


def _about_the_share(model: Model, claim: Claim, number: Number) -> bool:
    """Whether a size is that of an even share of the weights, or up to a fifth more."""
    return any(
        value.value * 9 <= number.printed * unit * 10 <= value.value * 12
        for value in truth.safely(model, "weights", claim.quals)
        for unit, _ in scales(number, "bytes", claim.quals.unit)
    )


def _reads_as_none(model: Model, claim: Claim, number: Number, rules: Rules) -> bool:
    """Whether a value rounds to the nought that is printed: "0 GiB" of 300 MiB."""
    unit = scales(number, NUMERIC[claim.field], claim.quals.unit)[0][0]
    values = _allowed(truth.safely(model, claim.field, claim.quals), claim, rules)
    return any(0 < 2 * v.value * 10**number.decimals <= unit for v in values)


def _fitting(
    number: Number, field: str, kind: Kind, values: Sequence[Value], readings: Sequence[tuple[int, str]], strict: bool = False
) -> Iterator[tuple[Value, How, str]]:
    """The values that read as the number, how, and in which unit."""
    zeros, least, rounds = kind in _COARSE, _least(field), kind != "int" or number.scale > 0
    for value in values:
        for unit, name in readings:
            how = compare(number, value.value, unit, zeros=zeros, least=least)
            if how is None or not (rounds or how == "exact"):
                continue
            if how == "cut" and kind == "bytes" and (name or value.tag == "rare"):
                continue  # 14 GB of 16.06: one licence, or the other
            if value.tag == "published" and unit < _last_digit(value.value) * int(10**number.decimals):
                continue  # 37.00B: who says 37B does not say so
            # Halves are rounded one way.
            if not (how == "rounded" and strict and like(number, value.value, unit) != number.text[: number.end - number.start]):
                yield value, how, name


_COARSE = ("count", "tokens", "bytes", "flops")


def is_right(model: Model, claim: Claim) -> bool:
    """Whether a claim is right of a model, without the words for why."""
    number = claim.number
    if claim.form != "number" or number is None or number.bound or number.unit == "%":
        return judge(model, claim, Rules()).verdict == "ok"
    if model.architecture.status == "guessed":
        return False
    kind = NUMERIC[claim.field]
    values = [v for v in _allowed(truth.safely(model, claim.field, claim.quals), claim, Rules()) if v.tag != "namesake"]
    if any(True for _ in _fitting(number, claim.field, kind, values, scales(number, kind, claim.quals.unit))):
        return True
    return _written_out(number, values, kind) is not None


def _least(field: str) -> int:
    """How many digits of a number count at least. Vision towers go by one (MoonViT-400M has 417 M)."""
    return 1 if field == "vision_params" else _DIGITS_COUNT


_DIGITS_COUNT = 2


def _allowed(values: Sequence[Value], claim: Claim, rules: Rules) -> list[Value]:
    """The values that the claim's own words leave open."""
    span = claim.quals.span
    if claim.field != "context":
        return list(values)
    if span == "native":
        kept = [v for v in values if v.tag in ("config", "native", "original", "namesake")]
    elif span == "extended":
        stretched = any(v.tag == "extended" for v in values)
        kept = [v for v in values if v.tag in ("extended", "config", "namesake") or (v.tag == "native" and not stretched)]
        kept.sort(key=lambda v: v.tag != "extended")
    else:
        kept = [v for v in values if v.tag != "original"]
    return [v for v in kept if v.tag == "config"] or kept if rules.strict else kept


def _because(value: Value, how: How, name: str) -> str:
    parts = [value.basis]
    if how != "exact":
        shown = f"{value.value:,}" if isinstance(value.value, int) else f"{float(value.value):.6g}"
        parts.append(f"{shown} {_READS[how]}")
    if name:
        parts.append(name)
    return ", ".join(parts)


def _written_out(number: Number, values: Iterable[Value], kind: str) -> Judgement | None:
    """128,000 for 131,072: so many k, written out with k as 1,000."""
    if kind != "tokens" or number.scale or number.decimals or number.mantissa % 1000:
        return None
    for value in values:
        for power in (1, 2):
            if number.mantissa % 1000**power == 0 and number.mantissa // 1000**power * 1024**power == value.value:
                return Judgement(
                    "ok", f"{value.value:,}", f"{value.basis}, {value.value:,} with k as 1,024 written out with k as 1,000"
                )
    return None


def _padded(number: Number, rows: int | Fraction, readings: Sequence[int]) -> bool:
    """Whether a vocabulary may be the rows of the embedding less their padding: up to 1.5 % fewer."""
    for unit in readings:
        claimed = number.printed * unit
        slack = Fraction(unit, 2 * 10**number.decimals)
        if claimed + slack >= _UNPADDED * rows and claimed - slack <= rows:
            return True
    return False


def _bounded(number: Number, value: Value, readings: Sequence[tuple[int, str]], claim: Claim) -> Judgement:
    claimed = [number.printed * unit for unit, _ in readings]
    low, high = min(claimed), max(claimed)
    true = {"+": value.value >= low, ">": value.value > low, "<": value.value < high}[number.bound]
    shown = _show(claim.field, value.value)
    return Judgement("ok" if true else "wrong", shown, f"{value.basis}: {shown}")


def _percent(claim: Claim, number: Number, values: Sequence[Value]) -> Judgement:
    for hows, _ in _ORDER:
        for value in values:
            how = compare(number, Fraction(value.value) * 100, 1, zeros=False)
            if how in hows:
                return Judgement(
                    "ok",
                    f"{like(number, Fraction(value.value) * 100, 1)}%",
                    _because(value._replace(value=Fraction(value.value) * 100), how, ""),
                )
    digits = like(number, Fraction(values[0].value) * 100, 1)
    return Judgement("wrong", f"{digits}%", values[0].basis, digits)


def _behind(number: Number) -> str:
    """The unit behind a number, as the cell prints it."""
    unit = number.text[number.text.index(number.suffix) + len(number.suffix) :] if number.suffix else number.unit and _unit(number)
    return (unit or "").rstrip("+")


def _unit(number: Number) -> str:
    """The unit as printed, with the blank before it."""
    found = re.search(r"\s?[A-Za-z%]+$", number.text.rstrip("+"))
    return found[0] if found else ""


def _written(number: Number, value: Value, readings: Sequence[tuple[int, str]]) -> str:
    """Digits and scale to write in the number's place: with as many decimals as it has, in its own scale where that says something."""
    for scale, suffix in _smaller(number):
        unit = readings[0][0] if scale == number.scale else 0
        options = [unit for unit, _ in (readings if unit else scales(number._replace(scale=scale), _kind_of(readings)))]
        if not number.decimals:
            whole = next((unit for unit in options if value.value % unit == 0), None)
            if whole is not None and value.value >= whole:
                return like(number, value.value, whole) + suffix
        unit = options[-1] if scale in (3, 6) and len(options) > 1 and not number.unit else options[0]
        if scale == 0 or value.value * 2 >= unit or not value.value:
            return like(number, value.value, unit) + suffix
    return like(number, value.value, 1)


def readings_of(model: Model, claim: Claim) -> Iterator[tuple[str, int]]:
    """The ways in which a size is right: what the value is called, and which reading of its unit."""
    number = claim.number
    if number is None or number.bound or number.unit == "%" or NUMERIC.get(claim.field) != "bytes":
        return
    readings = scales(number, "bytes", claim.quals.unit)
    values = _allowed(truth.safely(model, claim.field, claim.quals), claim, Rules())
    for value, _, name in _fitting(number, claim.field, "bytes", values, readings):
        yield value.basis, [found for _, found in readings].index(name)


def written_as(model: Model, claim: Claim, basis: str, reading: int) -> str:
    """What a wrong size should be in the way that its column is right in: which value, the first where the model has none of that name,
    and which reading of its unit."""
    number = claim.number
    values = truth.safely(model, claim.field, claim.quals)
    value = next((v for v in values if v.basis == basis), next(iter(values), None))
    readings = scales(number, "bytes", claim.quals.unit)[reading:] if number is not None else []
    return _written(number, value, readings[:1]) if number is not None and value is not None and readings else ""


def written_behind(number: Number, written: str) -> str:
    """Digits with the unit that stands behind a number."""
    return written + _behind(number)


def _kind_of(readings: Sequence[tuple[int, str]]) -> Kind:
    return "tokens" if readings[0][0] % 1024 == 0 else "count"


def _smaller(number: Number) -> list[tuple[int, str]]:
    """The number's scale and those below it, with letters in its own style."""
    if not number.suffix:
        return [(number.scale, "")]
    gap = " " if re.search(r"\d\s", number.text) else ""
    out = [(number.scale, gap + number.suffix)]
    for scale, letter in ((9, "B"), (6, "M"), (3, "K")):
        if scale < number.scale:
            out.append((scale, gap + (letter if number.suffix.isupper() else letter.lower())))
    return out


@lru_cache(maxsize=4096)
def _show(field: str, value: int | Fraction) -> str:
    """A value for people, exact where it is short."""
    kind = NUMERIC.get(field, "int")
    if isinstance(value, Fraction) and value.denominator == 1:
        value = int(value)
    if isinstance(value, Fraction):
        if kind == "share":
            return f"{float(100 * value):.4g}%"
        return units.format_bytes(round(value)) if kind == "bytes" else f"{float(value):.4g}"
    if kind == "count":
        return f"{value:,}"
    if kind == "bytes":
        return f"{units.format_gb(value)} ({units.format_bytes(value)})" if value >= 1000 else f"{value} bytes"
    if kind == "flops":
        return units.format_flops(value)
    return f"{value:,}"


# Words, ratios and patterns


_FIXES = {
    ("mha", "GQA"), ("mha", "MQA"), ("gqa", "MHA"), ("mqa", "GQA"), ("mqa", "MHA"), ("rmsnorm", "LayerNorm"), ("layernorm", "RMSNorm"),
    ("swiglu", "GeGLU"), ("geglu", "SwiGLU"), ("mha", "MLA"), ("gqa", "MLA"), ("mla", "GQA"), ("mla", "MHA"), ("dense", "MoE"),
    ("swiglu", "GELU"), ("gelu", "SwiGLU"), ("geglu", "GELU"), ("relu", "SwiGLU"),
}  # fmt: skip


def _word(model: Model, claim: Claim) -> Judgement:
    true, actual, why = words.judge(model, claim.word)
    if true is None:
        return Judgement("unverifiable", actual, f"{why}: the config cannot tell")
    if true == claim.flag:
        return Judgement("ok", actual, why)
    short = actual.split(" (")[0]
    fix = short if claim.flag and (claim.word, short) in _FIXES else ""
    if claim.word == "moe" and claim.flag and actual == "dense":
        fix = "dense"
    return Judgement("wrong", actual, why, fix)


def _none(model: Model, claim: Claim) -> Judgement:
    """ "none" or "yes" where a number would stand."""
    values = truth.safely(model, claim.field, claim.quals)
    if not values:
        return Judgement("unverifiable", why="the config does not say")
    value = values[0]
    some = value.value > 0
    return Judgement("ok" if some == claim.flag else "wrong", _show(claim.field, value.value), value.basis)


def _ratio(model: Model, claim: Claim, rules: Rules) -> Judgement:
    a, b = claim.ratio
    if claim.field == "hidden_size":
        layers, width = model.architecture.layers, model.report.architecture.hidden_size
        return Judgement(
            "ok" if layers * a == width else "wrong",
            f"{width:,}",
            f"{layers} layers x {a} is {layers * a:,}; hidden_size is {width:,}",
        )
    values = truth.safely(model, claim.field, claim.quals)
    if not values:
        return Judgement(
            "wrong" if claim.field == "layer_ratio" else "unverifiable", "one kind of layer", model.report.architecture.attention
        )
    for value in values if not rules.strict else values[:1]:
        if b and Fraction(a, b) == value.value:
            return Judgement("ok", f"{a}:{b}", value.basis)
        if a and Fraction(b, a) == value.value and not rules.strict:
            return Judgement("ok", f"{a}:{b}", f"{value.basis}, counted the other way round")
    true = Fraction(values[0].value)
    actual = f"{true.numerator}:{true.denominator}"
    return Judgement("wrong", actual, values[0].basis, actual)


def _every(model: Model, claim: Claim) -> Judgement:
    found = indices(model, claim.field)
    if found is None:
        return Judgement("unverifiable", why="not understood")
    layers = model.architecture.layers
    from archcalc.analysis.inspect import ranges

    actual = f"{len(found)} of {layers}" + (f": layers {ranges(found)}" if found and len(found) < layers else "")
    steps = {b - a for a, b in pairwise(found)}
    regular = len(found) > 1 and steps == {claim.every} and found[0] < claim.every and found[-1] >= layers - claim.every
    return Judgement("ok" if regular else "wrong", actual, "the order of the layers")


FITS_CONTEXT = 8192
"""The context of a claim that a model fits a machine, where the claim names none."""


@lru_cache(maxsize=4096)
def fits(model: Model, machine: str, tokens: int) -> bool | None:
    """Whether the published weights fit a machine under vLLM with one sequence, or None where that cannot be said."""
    from archcalc import hardware
    from archcalc.analysis.fit import Ask, plans

    try:
        ask = Ask(gpus=hardware.parse_spec(machine), engine="vllm", context_tokens=tokens)
        return plans(model.architecture, ask, alternatives=0).best.fits
    except ArchcalcError:
        return None


def _fit(model: Model, claim: Claim, rules: Rules) -> Judgement:
    longest = model.report.architecture.context_tokens or FITS_CONTEXT
    tokens = claim.quals.context or min(FITS_CONTEXT, longest)
    true = fits(model, claim.quals.other, tokens)
    if true is None:
        return Judgement(
            "wrong" if rules.strict else "unverifiable", "", f"{claim.quals.other!r}: no such machine, or none that vLLM runs on"
        )
    why = f"weights as published, one sequence of {tokens:,} tokens, under vLLM"
    return Judgement(
        "ok" if true == claim.flag else "wrong",
        "yes" if true else "no",
        why,
        "" if true == claim.flag else ("yes" if true else "no"),
    )


# Two models, and several


def relate(model: Model, other: Model, claim: Claim) -> Judgement:
    """A claim that sets one model against another."""
    quals = claim.quals._replace(context=claim.quals.context or 131072, dtype=claim.quals.dtype or "bf16")
    mine, theirs = truth.safely(model, claim.field, quals), truth.safely(other, claim.field, quals)
    if not mine or not theirs:
        return Judgement("unverifiable", why="the config does not say")
    a, b = mine[0].value, theirs[0].value
    actual = f"{_show(claim.field, a)} against {_show(claim.field, b)}"
    if claim.word == "times" and claim.number is not None:
        true = b and compare(claim.number, Fraction(a) / b, 1, zeros=False) is not None
    elif claim.word in ("same", "equal"):
        true = a == b
    elif claim.word in ("smaller", "fewer", "less", "lower", "shorter"):
        true = a < b
    else:
        true = a > b
    why = mine[0].basis + (f", both with {quals.context:,} tokens in {quals.dtype}" if claim.field == "kv_cache" else "")
    return Judgement("ok" if bool(true) == claim.flag else "wrong", actual, why)


def judge_all(groups: Sequence[Sequence[Model]], claim: Claim, rules: Rules) -> Judgement:
    """A claim about several models or families.

    Each group that is named must have a member of which the claim is true; one of several listed values only some member of any group.
    """
    closed = rules.closed
    if len(groups) == 1 == len(groups[0]) and not rules.family:
        return judge(groups[0][0], claim, rules)
    if claim.scope:
        scoped = [[m for m in group if m.name in claim.scope] for group in groups]
        if any(scoped):
            groups, closed = [[m for group in scoped for m in group]], ("words",) if closed else ()
    if claim.listed:
        groups = [[m for group in groups for m in group]]
        closed = ("all" if "all" in closed else "words" if "words" in closed else "none",) if closed else ()
    results = [[(m, judge(m, claim, rules)) for m in group] for group in groups]
    if len(results) == 1 and len(results[0]) == 1 and not rules.family:
        return results[0][0][1]
    failed = [(i, group) for i, group in enumerate(results) if not any(j.verdict == "ok" for _, j in group)]
    flat = [pair for group in results for pair in group]
    if not failed:
        right = [(m, j) for m, j in flat if j.verdict == "ok"]
        differing = [(m, j) for m, j in flat if j.verdict == "wrong"]
        why = right[0][1].why if len({j.why for _, j in right}) == 1 else f"{right[0][0].name}: {right[0][1].why}"
        if differing:
            why = f"true of {_names(m for m, _ in right)} ({why}); not of {_differing(differing)}"
        return Judgement("ok", right[0][1].actual, why)
    wrong = [(m, j) for _, group in failed for m, j in group if j.verdict == "wrong"]
    if not wrong or any(j.verdict == "unverifiable" for _, group in failed for _, j in group):
        first = next(j for _, group in failed for _, j in group if j.verdict == "unverifiable")
        return Judgement("unverifiable", "", first.why)
    actual = _differing(wrong)
    sized = claim.form == "number" and claim.field not in ("vocab", "context")
    certain = [group for i, group in failed if not closed or closed[i] == "all" or (closed[i] == "words" and not sized)]
    if not certain:
        return Judgement("unverifiable", actual, f"true of none of {_names(m for m, _ in wrong)}, but the family has others")
    wrong = [pair for group in certain for pair in group]
    actual = _differing(wrong)
    if len(wrong) == 1:
        return wrong[0][1]._replace(why=f"{wrong[0][0].name}: {wrong[0][1].why}")
    return Judgement("wrong", actual, f"true of none of {_names(m for m, _ in wrong)}: {wrong[0][1].why}")


def _names(models: Iterable[Model]) -> str:
    names = [m.name for m in models]
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _differing(pairs: Sequence[tuple[Model, Judgement]]) -> str:
    by_actual: dict[str, list[str]] = {}
    for model, judgement in pairs:
        by_actual.setdefault(judgement.actual, []).append(model.name)
    parts = [f"{actual} ({', '.join(names[:2])}{' …' if len(names) > 2 else ''})" for actual, names in list(by_actual.items())[:4]]
    return "; ".join(parts)
