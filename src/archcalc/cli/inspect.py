"""`archcalc inspect`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from archcalc.cli._options import (
    ENGINES,
    Batch,
    Context,
    Dtype,
    FormatOption,
    KvDtype,
    Offline,
    Reference,
    Refresh,
    Set,
    Sources,
    all_engines,
)
from archcalc.cli._run import Format, explains, print_each
from archcalc.engines.engine import TEXTBOOK, check_engine
from archcalc.report import Inspection, to_plain

MOST_LOADED = 8
"""Models of one call for which the weights in other formats are worked out unasked: they take longer than all else."""


def command(
    source: Sources,
    ctx: Context = None,
    batch: Batch = 1,
    dtype: Dtype = None,
    kv_dtype: KvDtype = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar=ENGINES, help="As whose rules allocate the cache.", autocompletion=all_engines)
    ] = TEXTBOOK,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every figure as its formula with the numbers in it, and its source.")
    ] = False,
    loaded_: Annotated[
        bool | None,
        typer.Option(
            "--loaded/--no-loaded",
            help="What weights take in other formats and the cards that hold them; by default for up to 8 models.",
            show_default=False,
        ),
    ] = None,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
    reference: Reference = False,
) -> None:
    """Say what models are made of: parameters by component, checkpoint, caches, knobs.

    Figures are counted from the architecture's tensors, never estimated; a config that no adapter reads is guessed at, and every
    figure of a guess is marked ~.
    """
    from archcalc import units
    from archcalc.analysis.inspect import inspect
    from archcalc.loader import load

    explains(explain, form)
    tokens = units.parse_tokens(ctx) if ctx is not None else None
    weights = units.parse_dtype(dtype) if dtype is not None else None
    cache = units.parse_cache_dtype(kv_dtype) if kv_dtype is not None else None

    if loaded_ is None:
        loaded_ = form is Format.table or (form in (Format.json, Format.jsonl) and len(source) <= MOST_LOADED)

    def report(text: str) -> Inspection:
        loaded = load(text, offline=offline, refresh=refresh, overrides=set_ or (), reference=reference)
        made = inspect(
            loaded.architecture,
            loaded.source,
            context_tokens=tokens,
            batch=batch,
            dtype=weights,
            kv_dtype=cache,
            engine=check_engine(engine),
            note=loaded.note,
            header=loaded.header,
        )
        if explain:
            from archcalc.analysis.explain import explained

            made.explain = list(explained(loaded.architecture, made))
        if loaded_:
            from archcalc.analysis import sizes

            made.loaded = sizes.loaded(loaded)
        return made

    def page(r: Inspection) -> None:
        from archcalc.render.page import write_page

        write_page(r, sys.stdout)

    print_each(source, report, form, plain=to_plain, page=page, markdown=_markdown, csv=_csv)


def _markdown(r: Inspection) -> None:
    from archcalc.render.inspection import write_inspection_markdown

    write_inspection_markdown(r, sys.stdout)


def _csv(reports: Iterable[Inspection]) -> None:
    from archcalc.render.inspection import COLUMNS, row
    from archcalc.render.rows import write_csv

    write_csv(COLUMNS, map(row, reports), sys.stdout)
