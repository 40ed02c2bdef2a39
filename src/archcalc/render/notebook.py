"""Reports in a program or a notebook: as rows, as frames, and as the page of the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TextIO

from archcalc import report
from archcalc.errors import UsageError

Rows = list[dict[str, Any]]
_FRAMES = ("pandas", "polars")


def frame(rows: Sequence[dict[str, Any]], library: str | None = None) -> Any:
    """The rows as a DataFrame of pandas or polars. Raises `UsageError` where neither, or not the one that is named, is installed."""
    from importlib import import_module

    if library is not None and library not in _FRAMES:
        raise UsageError(f"{library!r} makes no frames here", f"one of {', '.join(_FRAMES)}")
    for name in _FRAMES if library is None else (library,):
        try:
            made = import_module(name)
        except ImportError:
            continue
        if name == "polars":
            # A column may begin with numbers and go on with others: all rows decide its type.
            return made.DataFrame(list(rows), infer_schema_length=None)
        return made.DataFrame(list(rows))
    wanted = library or " or ".join(_FRAMES)
    raise UsageError(f"a frame needs {wanted}, which is not installed", f"pip install {library or 'pandas'}, or take to_rows()")


def rows(r: report.Report) -> Rows:
    """The rows of a report, as its command prints them with `--format csv`."""
    if isinstance(r, report.Inspection):
        from archcalc.render import inspection

        return [inspection.row(r)]
    if isinstance(r, report.FitReport):
        from archcalc.render import fit

        return [fit.row(r)]
    if isinstance(r, report.TrainReport):
        from archcalc.render import train

        return [train.row(r)]
    if isinstance(r, report.KvReport):
        from archcalc.render import kv

        return list(kv.rows([_alone(r)]))
    if isinstance(r, report.Comparison):
        return [
            {"key": row.key, "label": row.label, "same": row.same, **dict(zip(r.sources, _values(row), strict=True))}
            for row in r.rows
        ]
    if isinstance(r, report.CheckReport):
        from archcalc.render import check

        return list(check.rows(r))
    raise TypeError(f"{type(r).__name__} has no rows")


def _values(row: report.ComparedRow) -> list[Any]:
    """Exact numbers where the row is of numbers, else the texts."""
    return list(row.values) if all(n is None for n in row.exact) else list(row.exact)


def _alone(r: report.KvReport) -> Any:
    from archcalc.analysis.kv import Comparison

    return Comparison(report.SourceInfo(r.source, "file", "hf-config"), r.context_tokens, r.batch, [r], r.notes)


def text(r: report.Report) -> str:
    """The page of the terminal, without colours."""
    write: Callable[[Any, TextIO], None]
    if isinstance(r, report.Inspection):
        from archcalc.render.page import write_page as write
    elif isinstance(r, report.FitReport):
        from archcalc.render.fit import write_page as write
    elif isinstance(r, report.TrainReport):
        from archcalc.render.train import write_page as write
    elif isinstance(r, report.KvReport):
        from archcalc.render import kv

        def write(r: Any, out: TextIO) -> None:
            kv.write_page(_alone(r), out)
    elif isinstance(r, report.Comparison):
        from archcalc.render import compare

        def write(r: Any, out: TextIO) -> None:
            compare.write_page(r, out, False)
    elif isinstance(r, report.CheckReport):
        from archcalc.render import check

        def write(r: Any, out: TextIO) -> None:
            check.write_page(r, out, False)
    else:
        raise TypeError(f"{type(r).__name__} has no page")
    out = io.StringIO()
    write(r, out)
    return out.getvalue()


def html(r: report.Report) -> str:
    """The page of the terminal, for a notebook's cell."""
    return preformatted(text(r))


def preformatted(said: str) -> str:
    """Text as it stands, in the cell's own colours."""
    return f'<pre style="line-height:1.3;overflow-x:auto">{escape(said, quote=False)}</pre>'


def table(rows: Sequence[dict[str, Any]], most: int = 50) -> str:
    """Rows as an HTML table, the first `most` of them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{'' if row.get(name) is None else escape(str(row.get(name)))}</td>" for name in names) + "</tr>"
        for row in rows[:most]
    )
    more = f"<p>{len(rows) - most:,} more rows</p>" if len(rows) > most else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{more}"
