"""`archcalc sweep`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

import typer

from archcalc import files
from archcalc.cli._options import Offline, Sources, engines, formats, gpus
from archcalc.cli._records import options
from archcalc.cli._run import CLOSED_PIPE, complain, leave, unread
from archcalc.errors import FormatError, UsageError
from archcalc.records import NamedTuple


class Forms(str, Enum):
    """How rows print."""

    jsonl = "jsonl"
    json = "json"
    table = "table"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    html = "html"


_MAX_ROW = 2**20
"""Bytes of a row, which names a source, the values set and some thirty figures."""
_BATCH = 500


class Axes(NamedTuple):
    """What is varied."""

    ctx: Annotated[str | None, typer.Option("--ctx", metavar="LIST", help="Contexts: 4k,32k,128k.")] = None
    concurrency: Annotated[str | None, typer.Option("--concurrency", metavar="LIST", help="Sequences at once: 1,8,64.")] = None
    isl: Annotated[str | None, typer.Option("--isl", metavar="LIST", help="Prompts of requests: 1k,8k.")] = None
    osl: Annotated[str | None, typer.Option("--osl", metavar="LIST", help="Outputs of requests: 256,1k.")] = None
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="LIST", help="Machines: h100,8xh100,2x4090; all that are rented: all.", autocompletion=gpus),
    ] = None
    vram: Annotated[
        str | None, typer.Option("--vram", metavar="LIST", help="Memory of each card, in place of the listed one: 22GiB,24GiB.")
    ] = None
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="LIST", help="Engines: vllm,sglang.", autocompletion=engines)
    ] = None
    tp: Annotated[str | None, typer.Option("--tp", metavar="LIST", help="Tensor parallelism: 1,2,4.")] = None
    pp: Annotated[str | None, typer.Option("--pp", metavar="LIST", help="Pipeline stages.")] = None
    ep: Annotated[str | None, typer.Option("--ep", metavar="LIST", help="Expert parallelism.")] = None
    dp: Annotated[str | None, typer.Option("--dp", metavar="LIST", help="Replicas.")] = None
    quant: Annotated[
        str | None, typer.Option("--quant", metavar="LIST", help="Weights: none,fp8,w4a16.", autocompletion=formats)
    ] = None
    kv_dtype: Annotated[str | None, typer.Option("--kv-dtype", metavar="LIST", help="Cache dtypes: bf16,fp8.")] = None


class Work(NamedTuple):
    """How the rows are computed."""

    resume: Annotated[bool, typer.Option("--resume", help="Keep the rows that FILE.jsonl has, and compute the rest.")] = False
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=256, help="Processes; as many as there are cores by default.")
    ] = None


@options
def command(
    *,
    source: Sources,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="FILE.jsonl, .csv or .parquet; - for standard output.")
    ] = "-",
    axes: Axes,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=LIST", help="Values of a config key: num_hidden_layers=24,32,48.")
    ] = None,
    form: Annotated[Forms | None, typer.Option("--format", "-f", help="How to print on standard output; jsonl by default.")] = None,
    offline: Offline = False,
    work: Work,
) -> None:
    """Compute every combination of models, contexts, machines and config keys.

    A row is a pure function of its columns. Sources are bundled names, files and what the Hub's cache holds: a sweep never touches the
    network. A model without figures in any row has failed: it is named, and the exit status is 1.
    """
    from archcalc import sweep as library
    from archcalc.analysis import grid

    listed = {"context_tokens" if name == "ctx" else name: _items(text) for name, text in axes._asdict().items()}
    made, overrides = library.axes(source=source, **listed, set=dict(_override(text) for text in set_ or ()))
    resume = work.resume
    _check_ending(out, resume)
    if out != "-" and form is not None:
        raise UsageError(
            f"--format {form.value} is for standard output: --out {out} says its format by its ending", "leave one out"
        )
    if out != "-":
        files.check_output(out, source)
    total = grid.size(made, overrides)
    done = _finished(out) if resume else {}
    rows = (row for row in grid.grid(made, overrides) if grid.key(row) not in done)
    todo = total - len(done) if resume else total
    tally = _Tally()
    for row in done.values():
        tally.add(row)
    computed = tally.counted(_computed(rows, todo, work.jobs or os.cpu_count() or 1))
    if out == "-" and form not in (None, Forms.jsonl):
        assert form is not None
        _show(list(computed), form)
    else:
        _write(out, computed, resume)
    if unread():
        leave(CLOSED_PIPE)
    if tally.failed:
        complain(f"{tally.failed:,} of {total:,} rows have no figures", "their column error says why")
    lost = [(text, error) for text, error in tally.errors.items() if text not in tally.sources]
    for text, error in lost:
        complain(error if error.startswith(text) else f"{text}: {error}")
    if lost:
        leave(1)


class _Tally:
    """Which sources have figures in some row, and the first error of each."""

    def __init__(self) -> None:
        self.failed = 0
        self.sources: set[str] = set()
        self.errors: dict[str, str] = {}

    def add(self, row: dict[str, Any]) -> None:
        source, error = str(row["source"]), row.get("error")
        if error is None:
            self.sources.add(source)
        else:
            self.failed += 1
            self.errors.setdefault(source, str(error))

    def counted(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows as they pass, as long as someone reads them."""
        for row in rows:
            self.add(row)
            yield row
            if unread():
                return


def _check_ending(out: str, resume: bool) -> None:
    """Before anything is computed."""
    if out != "-" and not out.endswith((".jsonl", ".csv", ".parquet")):
        raise UsageError(f"--out {out}: the ending says no format", "one of .jsonl, .csv, .parquet")
    if resume and not out.endswith(".jsonl"):
        raise UsageError("--resume goes on with a file of JSON lines", "give --out FILE.jsonl")
    if out.endswith(".parquet"):
        _pyarrow()


def _items(text: str | None) -> list[str] | None:
    if text is None:
        return None
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise UsageError(f"{text!r} lists nothing", "separate values by commas, as in 4k,32k")
    return items


def _override(text: str) -> tuple[str, list[Any]]:
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set {text}: KEY=LIST was expected", "as in --set num_hidden_layers=24,32,48")
    from archcalc.sweep import values_of

    found = values_of(values)
    if not found:
        raise UsageError(f"{values!r} lists nothing", "separate values by commas, as in 4k,32k")
    return name.strip(), found


def _finished(path: str) -> dict[str, dict[str, Any]]:
    """The rows that a file of JSON lines already has. A last line that was cut is computed again."""
    from archcalc.analysis import grid

    found: dict[str, dict[str, Any]] = {}
    if not os.path.exists(path):
        return found
    hint = "give a file that sweep wrote, or another name"
    with files.open_regular(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_MAX_ROW + 1), b""), 1):
            if len(line) > _MAX_ROW:
                raise FormatError(f"{path}, line {number}: longer than any row", hint)
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError):
                if line.endswith(b"\n"):
                    raise FormatError(f"{path}, line {number}: not JSON", hint) from None
                continue
            if not isinstance(row, dict) or not isinstance(row.get("source"), str):
                raise FormatError(f"{path}, line {number}: no row of a sweep", hint)
            found[grid.key(row)] = row
    files.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.values()))
    return found


def _computed(rows: Iterator[dict[str, Any]], total: int, jobs: int) -> Iterator[dict[str, Any]]:
    """The rows with their figures, in order: in this process if they are few, else in a pool, with a bar on a terminal."""
    from archcalc.analysis import grid

    if jobs == 1 or total <= 2 * _BATCH:
        yield from map(grid.point, rows)
        return
    import multiprocessing

    bar = _bar(total)
    # Spawned workers import nothing but this package: forking a process with threads is not safe everywhere.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for piece in pool.imap(grid.points, grid.batches(rows, _BATCH)):
            yield from piece
            if bar is not None:
                bar.advance(len(piece))
    if bar is not None:
        bar.stop()


class _Bar:
    """A progress bar on stderr."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("rows", total=total)
        self._progress.start()

    def advance(self, n: int) -> None:
        self._progress.advance(self._task, n)

    def stop(self) -> None:
        self._progress.stop()


def _bar(total: int) -> _Bar | None:
    return _Bar(total) if sys.stderr.isatty() else None


def _write(path: str, rows: Iterator[dict[str, Any]], resume: bool) -> None:
    """Write the rows: JSON lines as they come, tables at the end."""
    from archcalc.analysis import grid

    if path == "-":
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif path.endswith(".jsonl"):
        with open(path, "a" if resume else "w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        table = [grid.flat(row) for row in rows]
        names = list(dict.fromkeys(name for row in table for name in row))
        if path.endswith(".csv"):
            import csv

            from archcalc.render.rows import csv_cell

            with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
                writer.writerow({name: csv_cell(name) for name in names})
                writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in table)
        else:
            _parquet(path, names, table)


def _show(rows: list[dict[str, Any]], form: Forms) -> None:
    """The rows as one table on standard output."""
    from archcalc.analysis import grid

    if form is Forms.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from archcalc.render.sweep import write

    write([grid.flat(row) for row in rows], form.value, sys.stdout)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed", "pip install 'archcalc[parquet]', or write .csv or .jsonl"
        ) from None
    return pyarrow


def _parquet(path: str, names: list[str], table: list[dict[str, Any]]) -> None:
    pyarrow = _pyarrow()
    columns = {name: [row.get(name) for row in table] for name in names}
    with files.replacing(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.table(columns), temporary)
