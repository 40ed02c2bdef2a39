"""What a cell says, taken apart, and the words for yes, no and nothing."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from archcalc.cards.labels import NUMERIC, Quals
from archcalc.cards.quantity import Number
from archcalc.records import NamedTuple

Form = Literal["number", "word", "flag", "ratio", "every", "relation", "fit", "product", "unknowable", "unread"]


class Claim(NamedTuple):
    """One thing that a cell says. `start` and `end` are its place in the cell's text.

    `number`, `word` with `flag`, `ratio` or `every` hold the value, as `form` says. `scope` are the members of a family that the cell
    says it of; `listed` marks one of several values that a family takes; `also` are fields that it may be of if it is none of its own.
    `factors` are those of the product in front of the sign of an equation, and `product` is what they make; of the form `product`, a
    product without a result, it is its `number` too.
    """

    field: str
    form: Form
    start: int
    end: int
    quals: Quals = Quals()
    number: Number | None = None
    word: str = ""
    flag: bool = True
    ratio: tuple[int, int] = (0, 0)
    every: int = 0
    scope: tuple[str, ...] = ()
    listed: bool = False
    also: tuple[str, ...] = ()
    factors: tuple[int | Fraction, ...] = ()
    product: Number | None = None


EMPTY = re.compile(
    r"(?i)\s*(?:[-–—−_./?*]+|n/?a\.?|n\.a\.|tbd|tba|unknown|undisclosed|null|…|\.\.\."
    r"|not (?:disclosed|stated|public|released|available))?\s*"
)


YES = re.compile(r"(?i)\s*(?:(?:yes|true|y|sí|oui|ja|✓|✔️?|✅|☑️?|on(?! +[a-z])|enabled|supported|√)(?![A-Za-z])|是|有)")


NO = re.compile(r"(?i)\s*(?:(?:no|none|false|n|non|nein|✗|✘|❌|✕|✖️?|×|off|disabled|not used|without|0)(?![A-Za-z0-9.])|否|无|不)")


RATIO = re.compile(r"(?<![\d.:])(\d{1,3})\s*[:：∶]\s*(\d{1,3})(?![\d:])")


def of(field: str, number: Number, quals: Quals) -> Claim:
    if NUMERIC.get(field) in ("tokens", "int") and number.decimals == 3 and not number.scale and number.printed < 1000:
        # 32.768 tokens: on the continent the point groups thousands, and no such count has decimals.
        number = number._replace(decimals=0)
    return Claim(field, "number", number.start, number.after, quals, number)
