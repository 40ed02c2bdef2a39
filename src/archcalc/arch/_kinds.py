"""What the types are that transformers has and no adapter reads, as scripts/build_kinds.py reads them out of its source."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _table() -> dict[str, tuple[str, str]]:
    lines = Path(__file__).with_name("kinds.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {_plain(model_type): (words, cls) for model_type, words, cls in rows}


def _plain(name: str) -> str:
    return re.sub(r"[-.]", "_", name).lower()


def of(model_type: Any) -> str:
    """What the type is, in words; empty where transformers does not say, or is not known to have it."""
    found = _table().get(_plain(model_type)) if isinstance(model_type, str) else None
    if found is None:
        return ""
    words, cls = found
    whole = words.removeprefix("a part of ")
    if whole != words and (more := _table().get(_plain(whole))):
        words = f"{words}, {more[0]}"
    return f"{words} ({cls} of transformers)"
