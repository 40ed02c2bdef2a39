"""`archcalc report`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from archcalc.cli._options import Offline, Refresh, Set, Sources
from archcalc.cli._run import complain, each, leave


def command(
    source: Sources,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Where to write the page; - is standard output.")] = "-",
    set_: Set = None,
    offline: Offline = False,
    refresh: Refresh = False,
) -> None:
    """Write a page on models, side by side: anatomy, knobs, parameters, cache, and a fit panel to play with.

    One HTML file that needs no network: open it, send it, print it.
    """
    import gc

    from archcalc import files, units
    from archcalc.errors import ArchcalcError, UsageError
    from archcalc.loader import load

    if out == "-" and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", "give -o report.html, or send the output to a file")
    if out != "-":
        files.check_output(out, source)
    found = [r for _, r in each(source, lambda text: load(text, offline=offline, refresh=refresh, overrides=set_ or ()))]
    errors = [r for r in found if isinstance(r, ArchcalcError)]
    for error in errors:
        complain(error.message, error.hint)
    models = [r for r in found if not isinstance(r, ArchcalcError)]
    if not models:
        leave(2 if len(source) == 1 else 1)

    from archcalc.render.html import write_page

    # A page is made of millions of small tuples, none of them in a cycle: looking for cycles is a sixth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        page = write_page(models)
    finally:
        if collects:
            gc.enable()
    if out == "-":
        sys.stdout.write(page)
    else:
        files.write_text(out, page)
        print(f"archcalc: {out} written, {units.format_bytes(len(page.encode()))}; open it in a browser", file=sys.stderr)
    if errors:
        leave(1)
