"""Mend wrong cells in place: only the digits or the word that is wrong, in the cell's own style, and only where the result then holds."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from archcalc import files
from archcalc.cards.check import Checked, Edit
from archcalc.errors import SourceError
from archcalc.records import NamedTuple


class Mended(NamedTuple):
    """A file's text with its edits, how many were made, and how many claims are still wrong. `confirmed` edits are of claims that were
    doubtful before their neighbours were mended."""

    text: str
    made: int
    left: int
    confirmed: int = 0


def mend(checked: Checked, again: Callable[[str], Checked]) -> Mended:
    """The text with every edit that makes a claim right and none wrong. `again` checks a text as that file's.

    Two claims may share a cell, as in HTML tables with spans: where they ask for different texts, neither is written. A figure that is
    mended may confirm its neighbour: the text is gone through until nothing more is to be mended.
    """
    rounds = []
    while edits := _holding(checked, again):
        rounds.append(len(edits))
        checked = again(apply(checked.text, edits))
    return Mended(checked.text, sum(rounds), _wrong(checked), sum(rounds[1:]))


def _holding(checked: Checked, again: Callable[[str], Checked]) -> list[Edit]:
    """The edits that make a claim right and none wrong, found by halves."""
    wrong = _differing(checked)

    def holding(kept: list[Edit], more: list[Edit]) -> list[Edit]:
        if not more:
            return kept
        after = _differing(again(apply(checked.text, [*kept, *more])))
        if after <= wrong - len(kept) - len(more) or after == 0:
            return [*kept, *more]
        if len(more) == 1:
            return kept
        half = len(more) // 2
        return holding(holding(kept, more[:half]), more[half:])

    return holding([], _agreed(checked.edits))


def _wrong(checked: Checked) -> int:
    return sum(result.verdict == "wrong" for result in checked.results)


def _differing(checked: Checked) -> int:
    """Alarms and doubts: a figure that is mended may confirm its neighbour."""
    return sum(result.verdict in ("wrong", "doubtful") for result in checked.results)


def _agreed(edits: Sequence[Edit]) -> list[Edit]:
    by_place: dict[tuple[int, int], set[Edit]] = {}
    for edit in edits:
        by_place.setdefault((edit.start, edit.end), set()).add(edit)
    kept = sorted(next(iter(found)) for found in by_place.values() if len(found) == 1)
    return [edit for i, edit in enumerate(kept) if not i or kept[i - 1].end <= edit.start]


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with each edit made."""
    out, position = [], 0
    for edit in sorted(edits):
        out += [text[position : edit.start], edit.new]
        position = edit.end
    return "".join([*out, text[position:]])


def diff(path: str, before: str, after: str) -> str:
    """A unified diff."""
    return "".join(difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}"))


def _lines(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n\\ No newline at end of file\n"
    return lines


def write(path: str, text: str, encoding: str = "utf-8", before: str | None = None) -> None:
    """Replace a file's text, all or nothing. With `before` only where the file still holds that text: an edit made since is kept."""
    from archcalc.cards.pages import read

    unchanged = None if before is None else lambda: read(path)[0] == before
    try:
        files.write_text(path, text, encoding, unchanged)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be written: {error.strerror or error}", "check the folder's permissions and the disk"
        ) from None
