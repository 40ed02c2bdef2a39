"""Counts that stand before what they count: `62 layers, 10 B active`, `4096-dim, 32 heads`, `675 billion total parameters`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from archcalc.cards.labels import Label, parse
from archcalc.cards.quantity import shape

_COUNT = re.compile(
    r"(?:^|[,;(:]|\+|\b(?:with|and|has|of|are)\b)\s*(?:an? )?"
    r"(?P<value>[~≈]?\s?\d(?:[\d,._]*\d)?\s?(?:[KMBT]\b|[bm]illion\b|trillion\b|[KMG]i?B(?:/token)?)?)"
    r"(?=[ -](?P<words>[A-Za-z][A-Za-z /_-]{2,40}))",
    re.IGNORECASE,
)
_BEFORE_PLUS = re.compile(r"(?<![\w.])\d+(?=\s*$)")
_FIELDS = (
    "total_params", "active_params", "layers", "heads", "kv_heads", "experts", "active_experts", "shared_experts", "context", "vocab",
    "hidden_size", "head_dim", "kv_cache",
)  # fmt: skip


def counted(text: str, start: int = 0) -> tuple[tuple[Label, int, int], ...]:
    """Each count in a text from `start` on: what it counts, and where the number stands."""
    return _counted(shape(text), start)


@lru_cache(maxsize=4096)
def _counted(text: str, start: int) -> tuple[tuple[Label, int, int], ...]:
    return tuple(_counts(text, start))


def _counts(text: str, start: int) -> Iterator[tuple[Label, int, int]]:
    for match in _COUNT.finditer(text, start):
        if re.search(r"(?i)\bmtp\b|multi[- ]token prediction", text[max(0, match.start() - 50) : match.start()]):
            continue
        words = re.sub("[-_]", " ", match["words"]).split()
        for n in range(min(4, len(words)), 0, -1):
            label = parse(" ".join(words[:n])) or parse(" ".join(words[:n]).removeprefix("dense "))
            if label is None:
                continue
            if label.fields == ("active",):
                scaled = re.search(r"(?i)[bmt]", match["value"]) is not None
                label = label._replace(fields=("active_params" if scaled else "active_experts",))
            if len(label.fields) == 1 and label.fields[0] in _FIELDS:
                first = _BEFORE_PLUS.search(text, 0, match.start()) if match[0][0] == "+" else None
                if first and label.fields[0] == "experts":
                    yield label, *first.span()  # 256+1 experts
                    label = label._replace(fields=("shared_experts",))
                yield label, match.start("value"), match.end("value")
                break
