"""Pages in a pipe that are written without rich are what rich writes."""

from __future__ import annotations

import io
from typing import Any

import pytest

from archcalc import zoo
from archcalc.analysis import sizes
from archcalc.analysis.explain import explained
from archcalc.analysis.inspect import inspect
from archcalc.loader import load
from archcalc.render import terminal
from archcalc.render.page import write_page


def _by_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.Grid, "lines", lambda *_: None)
    monkeypatch.setattr(terminal.Page, "_whole", lambda *_: False)


def _written(report: Any) -> str:
    out = io.StringIO()
    write_page(report, out)
    return out.getvalue()


@pytest.mark.parametrize("width", [None, 40, 80, 100])
def test_every_page_is_what_rich_writes(width: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if width:
        monkeypatch.setenv("COLUMNS", str(width))
    else:
        monkeypatch.delenv("COLUMNS", raising=False)
    names = zoo.names()[:: 1 if width is None else 7]
    reports = []
    for name in names:
        model = load(name, offline=True)
        report = inspect(model.architecture, model.source)
        report.loaded = sizes.loaded(model)
        if len(name) % 2:
            report.explain = list(explained(model.architecture, report))
        reports.append(report)
    ours = list(map(_written, reports))
    _by_rich(monkeypatch)
    for name, report, page in zip(names, reports, ours, strict=True):
        assert page == _written(report), name


TEXTS = (
    "",
    "a",
    "two words",
    "a longer run of short words that has to break somewhere",
    "longwordthatfitsnowhere" * 3,
    "wide: 你好",
    "x  y",
)


@pytest.mark.parametrize("width", [12, 20, 33, 60])
@pytest.mark.parametrize("first", TEXTS)
@pytest.mark.parametrize("second", TEXTS)
@pytest.mark.parametrize(
    "columns",
    [
        (terminal.Column(min_width=5, no_wrap=True), terminal.Column(overflow="fold")),
        (terminal.Column("head"), terminal.Column("right", justify="right")),
        (terminal.Column(width=2), terminal.Column(overflow="fold")),
        (terminal.Column("long", max_width=9, overflow="fold"), terminal.Column("h", min_width=7)),
    ],
)
def test_a_grid_is_what_rich_writes(columns: Any, first: str, second: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    texts = []
    for by_rich in (False, True):
        if by_rich:
            _by_rich(monkeypatch)
        for heads in (False, True):
            grid = terminal.Grid(*columns, heads=heads)
            grid.add_row("-", second)
            grid.add_row(first, "b")
            out = io.StringIO()
            page = terminal.Page(out)
            page.print(grid)
            page.print(first)
            page.print(f"\n{second}", style="bold")
            page.spans((first, "dim"), (second, ""))
            page.notes([second, first])
            texts.append(out.getvalue())
    assert texts[:2] == texts[2:]
