"""Lists of plain items are read without CommonMark's rules for each: what is read is the same."""

from __future__ import annotations

import random

import pytest

from archcalc.cards import document

PIECES = [
    "- Layers: 36", "- **Layers:** 36", "- `layers`: 36", "* Layers: 36", "+ Layers: 36", "-  Layers: 36", "- 36 layers",
    "- 1. Layers: 36", "- # Layers", "- > Layers", "- ```", "- [x]: y", "- <!-- archcalc: off -->",
    "- Layers: 36 <!-- archcalc: qwen3-8b -->", "- ---", "-", "- - Layers: 36", "- ***", "", "", "", "  and more",
    "    more", "and more", "# Qwen3-8B", "---", "===", "```", "> - Layers: 36", "1. Layers: 36", "| a | b |", "|---|---|",
    "\t- Layers: 36", " - Layers: 36", "  - Heads: 32", "- 层数：36", "- \u00a0Layers: 36", "- Layers: 36  ", "- *a* b: 3",
]  # fmt: skip


def slowly(text: str) -> document.Document:
    blocks = document._blocks()
    blocks.block.ruler.disable("plain items")
    try:
        return document.read(text)
    finally:
        blocks.block.ruler.enable("plain items")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_plain_items_are_read_as_commonmark_reads_them(ending: str) -> None:
    rnd = random.Random(7)
    for _ in range(1500):
        text = ending.join(rnd.choice(PIECES[:9] if rnd.random() < 0.6 else PIECES) for _ in range(rnd.randrange(1, 9)))
        fast, slow = document.read(text), slowly(text)
        assert (fast.tables, fast.pins) == (slow.tables, slow.pins), text
