"""`archcalc kv`: engines side by side, or one with what each kind of layer takes; with --explain every figure's formula and source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from archcalc import units
from archcalc.analysis.kv import Comparison, Skipped
from archcalc.render.rows import Column, exact, markdown_text, text, write_markdown
from archcalc.render.terminal import console, plain_table, write_notes
from archcalc.report import KvReport

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = tuple(
    Column(key, key)
    for key in (
        "source", "status", "engine", "engine_version", "gpus", "context_tokens", "batch", "dtype", "bytes", "bytes_per_token",
        "state_bytes", "rule", "error",
    )
)  # fmt: skip


def rows(comparisons: Iterable[Comparison]) -> Iterator[dict[str, Any]]:
    """One row for each model and engine; one that cannot hold the model has its reason under `error`."""
    for c in comparisons:
        for item in c.found:
            row: dict[str, Any] = dict.fromkeys(column.key for column in COLUMNS)
            if isinstance(item, Skipped):
                row |= {"source": c.source.name, "engine": item.engine, "context_tokens": c.context_tokens, "batch": c.batch}
                row["error"] = item.error.message
            else:
                row |= {key: value for key, value in vars(item).items() if key in row}
            yield row


def write_page(c: Comparison, out: TextIO, *, explain: bool = False) -> None:
    """One model on a page."""
    from rich.text import Text

    page = console(out)
    page.print(Text.assemble((c.source.name, "bold"), f"  KV cache, {_workload(c)}"))
    page.print()
    found = [item for item in c.found if isinstance(item, KvReport)]
    split = any(r.gpus > 1 for r in found)
    states = any(r.state_bytes for r in found)
    table = plain_table()
    for head, right in (
        ("engine", False),
        ("dtype", False),
        ("per GPU" if split else "bytes", True),
        ("a token more", True),
        *([("fixed", True)] if states else []),
    ):
        table.add_column(head, justify="right" if right else "left", no_wrap=True)
    table.add_column("rule", overflow="fold")
    for item in c.found:
        if isinstance(item, Skipped):
            table.add_row(item.engine, *["-"] * (4 if states else 3), item.error.message, style="dim")
        else:
            table.add_row(item.engine, item.dtype, *_bytes(item)[: 3 if states else 2], _rule(item, split))
    page.print(table)
    for item in found:
        if explain or len(c.found) == 1:
            _engine(page, item, explain)
    write_notes(page, _lines(c))


def _workload(c: Comparison) -> str:
    return f"{units.format_tokens(c.context_tokens)} tokens, {'one sequence' if c.batch == 1 else f'{c.batch:,} sequences'}"


def _mark(r: KvReport) -> str:
    return "~" if r.status == "guessed" else ""


def _bytes(r: KvReport) -> tuple[str, str, str]:
    mark = _mark(r)
    return (
        mark + units.format_bytes(r.bytes),
        mark + units.format_bytes(r.bytes_per_token) if r.bytes_per_token else "0",
        mark + units.format_bytes(r.state_bytes) if r.state_bytes else "",
    )


def _rule(r: KvReport, split: bool) -> str:
    """The rule, and whether the figure is of one GPU of several, where any engine's is."""
    if r.gpus > 1:
        return f"{r.rule}; on each of {r.gpus} GPUs"
    return f"{r.rule}; the whole cache, not split" if split else r.rule


def _engine(page: Console, r: KvReport, explain: bool) -> None:
    page.print(f"\n{r.engine} {r.engine_version or ''}".rstrip(), style="bold")
    table = plain_table()
    table.add_column("kind", min_width=12)
    table.add_column("layers", justify="right")
    table.add_column("bytes", justify="right", no_wrap=True)
    if explain:
        table.add_column("formula and source", overflow="fold")
    else:
        table.add_column("a token more", justify="right", no_wrap=True)
    for f in r.by_kind:
        name = f"{f.kind} of {f.window:,}" if f.window else f.kind
        last = (
            f"{f.formula} = {units.format_exact(f.bytes)} bytes"
            if explain
            else units.format_bytes(f.bytes_per_token)
            if f.bytes_per_token
            else ""
        )
        table.add_row(name, str(f.layers) if f.layers else "", _mark(r) + units.format_bytes(f.bytes), last)
        if explain:
            table.add_row("", "", "", f.citation, style="dim")
    if len(r.by_kind) > 1:
        table.add_row(
            "all",
            "",
            _mark(r) + units.format_bytes(r.bytes),
            f"{units.format_exact(r.bytes)} bytes" if explain else _bytes(r)[1],
            style="bold",
        )
    page.print(table)
    if r.details:
        page.print(", ".join(f"{key.replace('_', ' ')} {_detail(value)}" for key, value in r.details.items()), style="dim")


def _detail(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _lines(c: Comparison) -> list[str]:
    """Notes on the model and its context, then what each engine has to say."""
    own = [(r.engine, note) for r in c.found if isinstance(r, KvReport) for note in r.notes if note not in c.notes]
    return [*c.notes, *(note if engine in note or len(c.found) == 1 else f"{engine}: {note}" for engine, note in own)]


def write_kv_markdown(c: Comparison, out: TextIO, *, explain: bool = False) -> None:
    """One model under a heading, engines in a table; with `explain` another of formulas."""
    out.write(f"## {markdown_text(c.source.name)}\n\nKV cache, {_workload(c)}\n\n")
    split = any(isinstance(item, KvReport) and item.gpus > 1 for item in c.found)
    lines = []
    for item in c.found:
        if isinstance(item, Skipped):
            lines.append({"engine": item.engine, "dtype": "", "bytes": "", "token": "", "state": "", "rule": item.error.message})
        else:
            size, token, state = _bytes(item)
            lines.append(
                {
                    "engine": item.engine,
                    "dtype": item.dtype,
                    "bytes": size,
                    "token": token,
                    "state": state,
                    "rule": _rule(item, split),
                }
            )
    heads = (
        ("engine", "Engine"),
        ("dtype", "Dtype"),
        ("bytes", "Bytes"),
        ("token", "A token more"),
        ("state", "Fixed"),
        ("rule", "Rule"),
    )
    write_markdown([Column(key, head, right=key in ("bytes", "token", "state")) for key, head in heads], lines, out)
    found = [item for item in c.found if isinstance(item, KvReport)]
    if explain:
        out.write("\n")
        columns = [
            Column(key, key.capitalize(), exact if key == "bytes" else text, key == "bytes")
            for key in ("engine", "kind", "bytes", "formula", "source")
        ]
        formulas = [
            {"engine": r.engine, "kind": f.kind, "bytes": f.bytes, "formula": f.formula, "source": f.citation}
            for r in found
            for f in r.by_kind
        ]
        write_markdown(columns, formulas, out)
    for i, note in enumerate(_lines(c)):
        out.write(f"{'' if i else chr(10)}- {markdown_text(note)}\n")
