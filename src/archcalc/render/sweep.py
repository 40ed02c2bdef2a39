"""The rows of a sweep as one table, in the columns of a table of fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from archcalc import units
from archcalc.render.fit import FITS, rate, told
from archcalc.render.rows import (
    Column,
    count,
    exact,
    markdown_text,
    text,
    told_of,
    write_csv,
    write_html,
    write_latex,
    write_markdown,
    write_table,
)

_MODEL = (
    Column("source", "model"),
    Column("params_total", "parameters", count, right=True),
    Column("params_active", "active", count, right=True),
    Column("checkpoint_bytes", "on disk", lambda value: "" if value is None else units.format_bytes(value), right=True, spare=2),
    Column("context_tokens", "context", lambda value: units.format_tokens(value) if value else "", right=True),
    Column("kv_bytes", "cache", lambda value: "" if value is None else units.format_bytes(value), right=True),
    Column(
        "kv_bytes_per_token",
        "one more token",
        lambda value: "" if value is None else units.format_bytes(value),
        right=True,
        spare=1,
    ),
)
# What stands in columns of its own already, or in one of these.
_TAKEN = {"quant": "weights_taken", "engine": "engine_taken", "context_tokens": "context_taken", "machine": "gpu"}


def write(rows: Sequence[dict[str, Any]], form: str, out: TextIO) -> None:
    """The rows, with the settings that a row was asked for and that are not all the same."""
    if form == "csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        write_csv([Column(name, name) for name in names], [{name: row.get(name) for name in names} for row in rows], out)
        return
    machines = any("gpu" in row for row in rows)
    known = {column.key for column in (FITS if machines else _MODEL)} | {"gpu", "quant", "engine", "context_tokens"}
    asked = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if (name.startswith("set.") or name in ("concurrency", "isl", "osl", "vram", "tp", "pp", "ep", "dp", "kv_dtype"))
        and name not in known
    ]
    extra = tuple(Column(name, name.removeprefix("set."), _cell, right=True) for name in asked)
    columns = (FITS if machines else _MODEL)[:1] + extra + (FITS if machines else _MODEL)[1:]
    if len({row["engine"] for row in rows if row.get("engine")}) > 1:
        # What tells the rows apart stays, however narrow the terminal is.
        columns = tuple(column._replace(spare=0) if column.key == "engine" else column for column in columns)
    notes = [*_said(rows), *(_notes(rows) if machines else ())]
    lines = [_line(row, columns) for row in rows]
    columns = told(columns, lines)
    if form == "latex":
        write_latex(columns, lines, out, notes)
    elif form == "html":
        write_html(columns, lines, out, "archcalc sweep", notes)
    elif form == "markdown":
        write_markdown(columns, lines, out)
        out.writelines(f"\n{markdown_text(note)}\n" for note in notes)
    else:
        notes = told_of(notes, write_table(columns, lines, out))
        if notes:
            from archcalc.render.terminal import console

            page = console(out)
            page.print()
            for note in notes:
                page.print(note, style="dim")


def _cell(value: Any) -> str:
    return exact(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def _line(row: dict[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    taken = {name: row.get(source) for name, source in _TAKEN.items() if row.get(source) is not None}
    if row.get("plan"):
        taken["plan"] = " ".join(f"{x[:2].upper()} {x[2:]}" for x in row["plan"].split() if x[2:] != "1") or "1 GPU"
    shown = rate(row.get("tokens_per_s"), row.get("bound_tokens_per_s") if row.get("fits") else None)
    whole = row.get("requests_per_s")
    made = {**row, **taken, "rate": shown, "whole": whole}
    return {"several": whole is not None, **{column.key: made.get(column.key) for column in columns}}


_MOST = 10
"""Reasons that are told under a table."""


def _said(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Why rows have no figures, and of which models figures may be off."""
    errors = [(str(row["source"]), str(row["error"])) for row in rows if row.get("error")]
    why = list(dict.fromkeys(error if error.startswith(source) else f"{source}: {error}" for source, error in errors))
    partial = list(dict.fromkeys(str(row["source"]) for row in rows if row.get("status") == "partial"))
    more = [f"and {len(why) - _MOST:,} other reasons: --format jsonl has them all"] if len(why) > _MOST else []
    return [
        *(f"refused: {words}" for words in why[:_MOST]),
        *more,
        *([f"counted in part, as `archcalc inspect` says: {', '.join(partial)}"] if partial else []),
    ]


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    of = dict.fromkeys((row["gpu"], row["price_of"]) for row in rows if row.get("price_of"))
    others = "`archcalc fit` tries other formats too on GeForce, Radeon, Apple and cards below 25 GiB"
    stored = any(row.get("fits") is False and not row.get("quant") for row in rows)
    taken = dict.fromkeys((row["prompt_taken"], row["output_taken"]) for row in rows if row.get("prompt_taken"))
    lengths = [f"{units.format_tokens(isl)} prompt and {units.format_tokens(osl)} output tokens" for isl, osl in taken]
    load = ", or ".join(lengths) if len(lengths) <= 3 else f"of {len(lengths)} lengths: --format csv has them"
    if not taken:
        # Nothing that these words are about: every row is refused.
        return []
    return [
        *([f"weights are as stored where --quant names no other; {others}"] if stored else []),
        f"tokens/s: forecast of all requests together as they decode, a request {load}; <= is a bound, where none is. $/M tokens: of "
        "the output of whole requests, their prompts included.",
        "requests/s: whole requests a second, each begun when another ends; plans and prices go by them.",
        "sequences: how many the cache holds if every one is as long as the context; shorter ones are more.",
        *(f"price of {gpu}: {price}" for gpu, price in of),
    ]
