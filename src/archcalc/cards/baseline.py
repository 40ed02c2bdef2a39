"""A file of mismatches that stand, so that a project can adopt the check with what it has: only new ones fail.

A mismatch is known by its file, its model, its field and its text, not by its line, which moves.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable

from archcalc import files, report
from archcalc.cards.check import Checked
from archcalc.cards.fix import write
from archcalc.errors import UsageError

VERSION = 1
# Some 100,000 entries: more mismatches than anyone lets stand.
_MAX_BYTES = 16 * 2**20
_KEYS = ("file", "model", "field", "claimed")
_STANDING = ("wrong", "doubtful", "unknown-model")
Key = tuple[str, ...]


def _places(file: str, folder: str) -> tuple[str, ...]:
    """A file as seen from the baseline's folder, however the command line spells it; and from the working folder, as older ones have it."""
    places = (os.path.relpath(file, folder or os.curdir), os.path.relpath(file)) if file != "-" else (file,)
    return tuple(place.replace(os.sep, "/") for place in places)


def _key(result: report.CheckResult, place: str) -> Key:
    return (place, result.model, result.field, result.claimed)


def save(path: str, results: Iterable[report.CheckResult], strict: bool = False) -> int:
    """Write the alarms and doubts to `path`, `strict` with the claims about unknown models too, and say how many."""
    folder = os.path.dirname(path)
    kinds = ("wrong", "doubtful", "unknown-model") if strict else ("wrong", "doubtful")
    found = Counter(_key(r, _places(r.file, folder)[0]) for r in results if r.verdict in kinds)
    entries = [{**dict(zip(_KEYS, key, strict=True)), "count": n} for key, n in sorted(found.items())]
    write(path, json.dumps({"version": VERSION, "claims": entries}, indent=1, ensure_ascii=False) + "\n")
    return found.total()


class Baseline:
    """What `save` wrote. Raises `UsageError` for what it did not. `left_out` counts the mismatches that stood."""

    def __init__(self, path: str) -> None:
        self.folder = os.path.dirname(path)
        self.known = _read(path)
        self.left_out = 0
        self._seen: set[str] = set()

    def without(self, checked: Checked) -> Checked:
        """A file's results less the mismatches that stand, each taken from those known once."""
        self._seen.update(_places(checked.file, self.folder))
        kept = self._new(checked, self.known)
        self.left_out += len(checked.results) - len(kept.results)
        return kept

    def spared(self, checked: Checked) -> Checked:
        """As `without`, for a text that is tried: all that is known is known still."""
        return self._new(checked, self.known.copy())

    def _new(self, checked: Checked, known: Counter[Key]) -> Checked:
        """The results that are not among those known, and how they are mended."""
        places = _places(checked.file, self.folder)
        kept, standing = [], set()
        for result in checked.results:
            keys = (_key(result, place) for place in places) if result.verdict in _STANDING else ()
            if (key := next((key for key in keys if known[key] > 0), None)) is not None:
                known[key] -= 1
                standing.add((result.line, result.column))
            else:
                kept.append(result)
        return checked._replace(results=kept, edits=[edit for edit in checked.edits if (edit.line, edit.column) not in standing])

    @property
    def gone(self) -> int:
        """How many mismatches of the files so far stand no more."""
        return sum(count for key, count in self.known.items() if key[0] in self._seen)


def _read(path: str) -> Counter[Key]:
    hint = f"write it with archcalc check --write-baseline {path}"
    try:
        with files.open_regular(path) as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise UsageError(f"{path} has more than {_MAX_BYTES // 2**20} MiB: no baseline is that large", hint)
        data = json.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", hint) from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply to be a baseline", hint) from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint) from None
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("claims"), list):
        raise UsageError(f"{path} is no baseline of version {VERSION}", hint)
    found: Counter[Key] = Counter()
    for entry in data["claims"]:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in _KEYS):
            raise UsageError(f"{path}: {entry!r} is no claim", hint)
        count = entry.get("count", 1)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise UsageError(f"{path}: a count of {count!r}", hint)
        found[tuple(entry[key] for key in _KEYS)] += count
    return found
