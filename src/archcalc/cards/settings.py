"""What a project's `archcalc.toml`, or `[tool.archcalc]` in its pyproject.toml, says about checking."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from fnmatch import filter, fnmatch
from fractions import Fraction
from typing import Any

from archcalc import files
from archcalc.errors import UsageError
from archcalc.records import NamedTuple


def spellings(file: str) -> tuple[str, ...]:
    """A path as patterns may mean it: as it is given, and as seen from the working folder.

    >>> spellings("./docs/../docs/card.md")
    ('./docs/../docs/card.md', 'docs/card.md')
    """
    return tuple(path.replace(os.sep, "/") for path in (file, os.path.relpath(file) if file != "-" else file))


class Ignore(NamedTuple):
    """Claims to leave alone: those that match every pattern given, and stand in that line."""

    file: str = "*"
    model: str = "*"
    field: str = "*"
    text: str = "*"
    line: int = 0
    reason: str = ""

    def covers(self, file: str, model: str, field: str, text: str = "", line: int = 0) -> bool:
        """Whether a claim is one of them. Patterns are those of shells."""
        return (
            fnmatch(model.lower(), self.model.lower())
            and fnmatch(field, self.field)
            and fnmatch(text, self.text)
            and self.line in (0, line)
            and any(fnmatch(path, self.file) for path in (*spellings(file), os.path.basename(file)))
        )


class Settings(NamedTuple):
    """`sources` says what names mean; `files` is checked when the command line names none."""

    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    sources: Mapping[str, str] = {}
    ignore: tuple[Ignore, ...] = ()
    tolerance: Fraction = Fraction(0)
    require_claims: bool = False
    baseline: str = ""
    folder: str = "."


_KEYS = {
    "files": list,
    "exclude": list,
    "sources": dict,
    "ignore": list,
    "tolerance": (str, int, float),
    "require-claims": bool,
    "baseline": str,
}


def find(path: str | None) -> Settings:
    """The settings in `path`, or in the working folder's archcalc.toml or pyproject.toml, or none."""
    if path is not None:
        return _read(path, named=True)
    for name in ("archcalc.toml", "pyproject.toml"):
        if os.path.isfile(name):
            found = _read(name, named=False)
            if name == "archcalc.toml" or found != Settings():
                return found
    return Settings()


_MAX_BYTES = 2**20


def _text(raw: bytes) -> str:
    """UTF-8, as TOML is, or UTF-16 by its byte order mark; marks are passed over."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    return raw.decode("utf-8-sig").replace("\r\n", "\n")


def _read(path: str, named: bool) -> Settings:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

    try:
        with files.open_regular(path) as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise UsageError(f"{path} has more than {_MAX_BYTES // 2**20} MiB", "give the settings alone")
        data: dict[str, Any] = tomllib.loads(_text(raw))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", "give the path of a TOML file") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply to hold settings", "correct it there") from None
    # Beside what is no TOML and no UTF-8: a number of thousands of digits, a date that does not exist.
    except ValueError as error:
        if not named and os.path.basename(path) == "pyproject.toml" and b"[tool.archcalc" not in raw:
            return Settings()
        raise UsageError(f"{path} is not TOML: {error}", "correct it there") from None
    if os.path.basename(path) == "pyproject.toml" or "tool" in data:
        tool = data.get("tool")
        found = tool.get("archcalc", {}) if isinstance(tool, dict) else {}
        if not isinstance(found, dict):
            raise UsageError(f"{path}: tool.archcalc is {found!r}", "it is a table: [tool.archcalc]")
        data = found
    return _settings(data, path)


def _settings(data: Mapping[str, Any], path: str) -> Settings:
    for key, value in data.items():
        if key not in _KEYS:
            raise UsageError(f"{path}: unknown key {key!r}", f"one of {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):  # type: ignore[arg-type]
            raise UsageError(f"{path}: {key} is {value!r}", "see docs/commands/check.md for its form")
    rules = []
    for rule in data.get("ignore", ()):
        if (
            not isinstance(rule, dict)
            or not rule.keys() <= set(Ignore._fields)
            or not all(isinstance(v, int if key == "line" else str) for key, v in rule.items())
        ):
            raise UsageError(f"{path}: ignore holds {rule!r}", 'as in { file = "docs/*.md", field = "context", reason = "why" }')
        if not rule.keys() - {"reason"}:
            raise UsageError(
                f"{path}: an ignore without a pattern leaves out every claim", "name its file, model, field, text or line"
            )
        if not _is_field(rule.get("field", "*")):
            raise UsageError(
                f"{path}: ignore names the field {rule['field']!r}, which no claim has",
                "archcalc check --format json says which they are",
            )
        rules.append(Ignore(**rule))
    sources = data.get("sources", {})
    if not all(isinstance(value, str) for value in sources.values()):
        raise UsageError(f"{path}: sources must map names to sources", 'as in "Foo 7B" = "org/foo-7b"')
    return Settings(
        files=tuple(map(str, data.get("files", ()))),
        exclude=tuple(map(str, data.get("exclude", ()))),
        sources=sources,
        ignore=tuple(rules),
        tolerance=tolerance(str(data.get("tolerance", "0"))),
        require_claims=bool(data.get("require-claims", False)),
        baseline=os.path.join(os.path.dirname(path), str(data["baseline"])) if data.get("baseline") else "",
        folder=os.path.dirname(path) or ".",
    )


def _is_field(pattern: str) -> bool:
    """Whether a pattern of an ignore may be of a claim: of a field, or of a part's (`vision:layers`)."""
    from archcalc.cards.vocabulary import fields

    own, parts = filter(fields(), pattern), [f"{part}:{field}" for part in _PARTS for field in fields()]
    return bool(own or filter(parts, pattern))


_PARTS = ("vision", "mtp")


def tolerance(text: str) -> Fraction:
    """A share: `1%`, `0.01`.

    >>> tolerance("1%"), tolerance("0.005")
    (Fraction(1, 100), Fraction(1, 200))
    """
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,12})?|\.\d{1,12}|\d(?:\.\d{1,17})?e-0?\d)\s*(%?)\s*", text)
    if match is None:
        raise UsageError(f"tolerance {text!r} is not a share", "as in 1% or 0.01")
    value = Fraction(match[1]) / (100 if match[2] else 1)
    if not 0 <= value < 1:
        raise UsageError(f"tolerance {text!r}: a share from 0 to 1 was expected", "as in 1% or 0.01")
    return value
