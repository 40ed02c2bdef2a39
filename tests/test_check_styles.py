"""Numbers of one style are read and judged by that style: each must come out as it does alone."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from archcalc.cards import judge, reading, vocabulary
from archcalc.cards.labels import NUMERIC, Label, Quals
from archcalc.cards.models import load
from archcalc.cards.owner import Owner
from archcalc.cards.quantity import numbers
from archcalc.cards.readers.claim import Claim
from archcalc.cards.resolve import Resolved
from archcalc.cards.text import Cell

STYLES = (
    "####",
    "#,###",
    "##,###",
    "######",
    "###,###",
    "#.#B",
    "##B",
    "###M",
    "#.##T",
    "##K",
    "#.# GB",
    "##.## GiB",
    "### MB",
    "#,###.#",
)


@pytest.mark.parametrize("field", sorted(set(vocabulary.fields()) - {"relation"}))  # names another model
def test_a_number_is_read_by_its_style(field: str) -> None:
    rnd = random.Random(field)
    for style in STYLES:
        text = "".join(str(rnd.randint(1, 9)) if c == "#" else c for c in style)
        for quals in (Quals(), Quals(unit=9), Quals(key="dim")):
            label = Label((field,), quals)
            cell = Cell(text, 1, 1, 0, len(text))
            assert list(reading.read(label, cell)) == list(reading._sorted(label, text, None)), text


@pytest.mark.parametrize("name", ["qwen3-8b", "deepseek-v3", "gemma-3-4b"])
@pytest.mark.parametrize("field", ["total_params", "vocab", "context", "weights", "hidden_size", "window"])
def test_a_wrong_number_hides_no_right_one_of_its_style(field: str, name: str) -> None:
    """What is kept of the first wrong number of a style must not be said of one that is right, or nearly so."""
    rules = judge.Rules()
    rnd = random.Random(f"{field} {name}")
    texts = [f"{rnd.randint(1, 999) / 10:.1f}{'B' if field == 'total_params' else ' GB'}" for _ in range(60)]
    if NUMERIC[field] in ("int", "tokens"):
        texts = [f"{rnd.randint(1000, 300_000)}" for _ in range(60)]
    model = load(name, True)
    true = [f"{value.value}" for value in judge.truth.safely(model, field, Quals()) if value.value >= 1000]
    owner = Owner(Resolved(((model,),)))
    claims = [claim(field, text) for text in (*texts, *true)]
    said = [owner.judge(one, False, Fraction(0)) for one in claims]
    assert said == [judge.judge(model, one, rules) for one in claims]
    assert len(owner.judged) < len(claims), "each number was judged alone"


QUALS = Quals()


def claim(field: str, text: str) -> Claim:
    number = next(numbers(text))
    return Claim(field, "number", number.start, number.after, QUALS, number)
