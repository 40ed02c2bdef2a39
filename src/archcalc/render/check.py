"""What `archcalc check` found: for people, for GitHub's annotations, as SARIF and as JUnit's XML."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, TextIO

from archcalc.render.plain import plain
from archcalc.render.rows import Column, text
from archcalc.report import CheckReport, CheckResult

COLUMNS = tuple(
    Column(key, key, text)
    for key in ("file", "line", "column", "model", "resolved", "field", "claimed", "actual", "verdict", "why", "fix")
)
_SHOWN = ("wrong", "doubtful")
_FAILING = {False: ("wrong",), True: ("wrong", "doubtful", "unknown-model")}
"""What fails, by whether `--strict` was asked for."""
_AT_ONCE = 1000
"""Lines, or pieces of JSON, that are written at once."""


def label(field: str) -> str:
    """A field as people call it."""
    return {"kv_heads": "KV heads", "moe": "MoE", "kv_cache": "KV cache", "mtp": "MTP", "total_params": "total parameters",
            "active_params": "active parameters", "kv_per_token": "KV cache a token", "qk_norm": "QK-norm"}.get(
        field, field.replace("_", " ")
    )  # fmt: skip


def sentence(r: CheckResult) -> str:
    """One result in one line."""
    if r.verdict == "unknown-model":
        return f"{label(r.field)} {r.claimed!r}: {r.why}"
    who = r.model or r.resolved or ""
    if r.verdict == "ok":
        return f"{who}: {label(r.field)} {r.claimed!r} is right: {r.why}"
    if r.verdict == "unverifiable":
        return f"{who}: {label(r.field)} {r.claimed!r} is left alone: {r.why}"
    if r.verdict == "doubtful":
        return f"{who}: {label(r.field)} {r.claimed!r} is not {r.actual!r}: {r.why}"
    return f"{who}: {label(r.field)} is {r.claimed!r} and should be {r.actual!r}: {r.why}"


def summary(r: CheckReport) -> str:
    """The counts in one line."""
    files = f"{r.files} file{'s' * (r.files != 1)}"
    if not r.claims:
        return f"{files}, no claims"
    parts = [
        f"{r.ok} right",
        f"{r.wrong} wrong",
        *([f"{r.doubtful} doubtful"] if r.doubtful else []),
        f"{r.unverifiable} not verifiable",
    ]
    if r.unknown_model:
        parts.append(f"{r.unknown_model} of unknown models")
    return f"{files}, {r.claims} claim{'s' * (r.claims != 1)}: {', '.join(parts)}"


def write_page(r: CheckReport, out: TextIO, explain: bool) -> None:
    """Wrong claims by file, with `explain` all claims and how each is known; then the counts."""
    from archcalc.render.terminal import console, known_width

    if known_width(out) is None:
        # A pipe: a line for each, which to lay out would take longer than to check.
        write = getattr(out, "write_raw", out.write)
        lines = (f"{plain(line).rstrip()}\n" for line in _page(r, explain))
        while chunk := "".join(islice(lines, _AT_ONCE)):
            write(chunk)
        return
    from rich.text import Text

    page = console(out)
    styles = {"wrong": "bold red", "doubtful": "magenta", "ok": "green", "unverifiable": "dim", "unknown-model": "yellow"}
    shown = [x for x in r.results if explain or x.verdict in _SHOWN]
    file = ""
    for x in shown:
        if x.file != file:
            if file:
                page.print()
            file = x.file
            page.print(Text(file, style="bold"))
        head = Text.assemble(f"  {x.line}:{x.column}".ljust(10), (x.verdict.ljust(14), styles[x.verdict]))
        rows = Text(sentence(x)).wrap(page, max(page.width - len(head), 20))
        for i, row in enumerate(rows):
            row.rstrip()
            page.print(Text.assemble(head if i == 0 else " " * len(head), row))
    if not explain:
        _unknown(page, r)
    if shown:
        page.print()
    page.print(Text(summary(r), style="bold"))


def write_json(value: object, out: TextIO, record: Callable[[Any], dict[str, Any]] = vars) -> None:
    """A report as JSON, piece by piece: a page may hold a hundred thousand claims. `record` says what stands for each record in it."""
    pieces = json.JSONEncoder(indent=2, ensure_ascii=False, default=record).iterencode(value)
    while chunk := "".join(islice(pieces, _AT_ONCE)):
        out.write(chunk)
    out.write("\n")


def _page(r: CheckReport, explain: bool) -> Iterator[str]:
    """The lines of the page."""
    file = ""
    for x in r.results:
        if explain or x.verdict in _SHOWN:
            if x.file != file:
                yield from ("", x.file) if file else (x.file,)
                file = x.file
            yield f"{f'  {x.line}:{x.column}'.ljust(10)}{x.verdict.ljust(14)}{sentence(x)}"
    yield from unknown(r) if not explain else ()
    if file:
        yield ""
    yield summary(r)


def _unknown(page: Any, r: CheckReport) -> None:
    from rich.text import Text

    for line in unknown(r):
        page.print(Text(line, style="yellow"))


def unknown(r: CheckReport) -> Iterator[str]:
    """Names without a model, each once, where it stands first, and how many claims were not judged for it."""
    return (f"{x.file}:{x.line}: {said}" for x, said in _unknown_models(r))


def _unknown_models(r: CheckReport) -> Iterator[tuple[CheckResult, str]]:
    """The first claim of each name without a model, and what is said of all of them."""
    names: dict[tuple[str, str, str], list[CheckResult]] = {}
    for x in r.results:
        if x.verdict == "unknown-model":
            names.setdefault((x.file, x.model, x.why), []).append(x)
    for (_, _, why), found in names.items():
        count = len(found)
        yield found[0], f"{why} ({count} claim{'s' * (count != 1)} not judged)"


def _noted(r: CheckReport, strict: bool) -> Iterator[tuple[CheckResult, str, str]]:
    """What CI systems are told beside the errors, how grave it is, and in which words: alarms and doubts, and where they fail names
    without a model, each once."""
    for x in r.results:
        if x.verdict in _SHOWN:
            yield x, "error" if x.verdict in _FAILING[strict] else "warning", sentence(x)
    if strict:
        yield from ((x, "error", said) for x, said in _unknown_models(r))


def write_github(r: CheckReport, out: TextIO, strict: bool = False) -> None:
    """Workflow commands that annotate the lines of a pull request (GitHub Docs, "Workflow commands for GitHub Actions")."""
    for error in r.errors:
        out.write(f"::error file={_property(error.file)},line={max(error.line, 1)},title=archcalc::{_message(error.message)}\n")
    for x, level, said in _noted(r, strict):
        title = _property(f"archcalc: {label(x.field)}")
        out.write(f"::{level} file={_property(x.file)},line={x.line},col={x.column},title={title}::{_message(said)}\n")
    for line in unknown(r) if not strict else ():
        out.write(f"{_plain(line)}\n")
    out.write(summary(r) + "\n")


def _message(text_: str) -> str:
    return text_.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text_: str) -> str:
    return _message(text_).replace(":", "%3A").replace(",", "%2C")


def write_sarif(r: CheckReport, out: TextIO, strict: bool = False) -> None:
    """SARIF 2.1.0 (OASIS), as code scanning reads it: wrong claims are errors, doubtful ones warnings, unless they fail too.

    Unknown models are notes of the run, each once, or errors where they fail.
    """
    from archcalc import __version__

    noted = list(_noted(r, strict))
    fields = sorted({x.field for x, *_ in noted})
    rules = [{"id": f"archcalc/{f}", "shortDescription": {"text": f"{label(f)} as the config says"}} for f in fields]
    run = {
        "tool": {
            "driver": {
                "name": "archcalc",
                "version": __version__,
                "rules": rules,
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not r.errors,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": e.message}, "locations": [_location(e.file, max(e.line, 1), 1)]}
                    for e in r.errors
                ]
                + [{"level": "note", "message": {"text": line}} for line in unknown(r) if not strict],
            }
        ],
        "results": [_Noted(x, level, said, fields.index(x.field)) for x, level, said in noted],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    write_json(log, out, _sarif_result)


def _location(file: str, line: int, column: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": _artifact(file),
            "region": {"startLine": line, "startColumn": column},
        }
    }


@lru_cache(maxsize=256)
def _artifact(file: str) -> dict[str, str]:
    """A file as a URI from the working folder, or an absolute one where it lies elsewhere (SARIF 2.1.0, section 3.4)."""
    from urllib.parse import quote

    below = os.path.relpath(file)
    if below.split(os.sep)[0] == os.pardir:
        return {"uri": f"file://{quote(os.path.abspath(file).replace(os.sep, '/'))}"}
    return {"uri": quote(below.replace(os.sep, "/")), "uriBaseId": "%SRCROOT%"}


class _Noted:
    """A result of a log, made when it is written."""

    __slots__ = ("index", "level", "result", "said")

    def __init__(self, result: CheckResult, level: str, said: str, index: int) -> None:
        self.result, self.level, self.said, self.index = result, level, said, index


def _sarif_result(x: _Noted) -> dict[str, Any]:
    r = x.result
    return {
        "ruleId": f"archcalc/{r.field}",
        "ruleIndex": x.index,
        "level": x.level,
        "message": {"text": x.said},
        "locations": [_location(r.file, r.line, r.column)],
    }


def write_junit(r: CheckReport, out: TextIO, strict: bool = False) -> None:
    """JUnit's XML: a suite a file, a case a claim. `strict` where doubts and unknown models fail."""
    from xml.sax.saxutils import escape, quoteattr

    by_file: dict[str, list[CheckResult]] = {}
    for x in r.results:
        by_file.setdefault(x.file, []).append(x)
    for error in r.errors:
        by_file.setdefault(error.file, [])
    failing = _FAILING[strict]
    skipped = sum(x.verdict != "ok" and x.verdict not in failing for x in r.results)
    failures = sum(x.verdict in failing for x in r.results)
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    out.write(
        f'<testsuites name="archcalc" tests="{r.claims + len(r.errors)}" failures="{failures}" errors="{len(r.errors)}" '
        f'skipped="{skipped}">\n'
    )
    for file, found in by_file.items():
        errors = [e for e in r.errors if e.file == file]
        wrong = sum(x.verdict in failing for x in found)
        left = sum(x.verdict != "ok" and x.verdict not in failing for x in found)
        out.write(
            f'  <testsuite name={quoteattr(_plain(file))} tests="{len(found) + len(errors)}" failures="{wrong}" errors="{len(errors)}" '
            f'skipped="{left}">\n'
        )
        for error in errors:
            out.write(f'    <testcase classname={quoteattr(_plain(file))} name="source">')
            out.write(f"<error message={quoteattr(_plain(error.message))}/></testcase>\n")
        for x in found:
            name = quoteattr(_plain(f"{x.line}:{x.column} {x.model}: {label(x.field)} {x.claimed}"))
            out.write(
                f'    <testcase classname={quoteattr(_plain(file))} name={name} file={quoteattr(_plain(file))} line="{x.line}"'
            )
            if x.verdict == "ok":
                out.write("/>\n")
                continue
            tag = "failure" if x.verdict in failing else "skipped"
            out.write(f"><{tag} message={quoteattr(_plain(sentence(x)))}>{escape(_plain(x.why))}</{tag}></testcase>\n")
        out.write("  </testsuite>\n")
    out.write("</testsuites>\n")


def _plain(text_: str) -> str:
    """Text without the characters that XML 1.0 cannot hold (section 2.2)."""
    return "".join(
        c if c in "\t\n\r" or 0x20 <= ord(c) <= 0xD7FF or 0xE000 <= ord(c) <= 0xFFFD or ord(c) > 0xFFFF else "�" for c in text_
    )


def rows(r: CheckReport) -> Iterable[dict[str, Any]]:
    """Every result as a row of a list."""
    return (vars(x) for x in r.results)
