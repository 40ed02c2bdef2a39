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
Key = tuple[str, ...]


def _key(result: report.CheckResult) -> Key:
    return (result.file.replace(os.sep, "/"), result.model, result.field, result.claimed)


def save(path: str, results: Iterable[report.CheckResult]) -> int:
    """Write the alarms and doubts to `path`, and say how many."""
    found = Counter(_key(r) for r in results if r.verdict in ("wrong", "doubtful"))
    entries = [{**dict(zip(_KEYS, key, strict=True)), "count": n} for key, n in sorted(found.items())]
    write(path, json.dumps({"version": VERSION, "claims": entries}, indent=1, ensure_ascii=False) + "\n")
    return found.total()


def read(path: str) -> Counter[Key]:
    """What `save` wrote. Raises `UsageError` for what it did not."""
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


def without(checked: Checked, known: Counter[Key]) -> tuple[Checked, int]:
    """A file's results less the mismatches that stand, each taken from `known` once, and how many those are."""
    kept, left_out = [], 0
    for result in checked.results:
        key = _key(result)
        if result.verdict in ("wrong", "doubtful") and known[key] > 0:
            known[key] -= 1
            left_out += 1
        else:
            kept.append(result)
    return checked._replace(results=kept), left_out
