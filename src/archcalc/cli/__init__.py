"""The command line: one file per command, imported when it is called.

`main` looks at the arguments first and builds only the command that is asked for: building all of them costs more than most take to run.
"""

from __future__ import annotations

import importlib
import os
import sys
from io import BufferedWriter, TextIOWrapper
from typing import Annotated, Any

import typer

COMMANDS = {
    "inspect": "What models are made of: parameters, checkpoint, caches, knobs.",
    "tensors": "The tensors of models, a line each.",
    "kv": "KV caches and recurrent states as engines allocate them, side by side.",
    "models": "The bundled models, or the model types that are read exactly.",
    "compare": "Models side by side, or as what they change against a baseline.",
    "fit": "Whether models fit a machine under an engine, and how.",
    "diagnose": "What an engine's log shows, why it stopped, and what starts.",
    "calibrate": "A host's own measurements of speed against the forecast.",
    "pick": "A bundled model and a plan for a machine, with the reasons.",
    "plot": "Charts of models, as text, SVG or PNG.",
    "train": "What training takes of each GPU, whether it fits, and what it costs.",
    "report": "A page on models, in one HTML file.",
    "serve": "The same pages on the bundled models, on this machine.",
    "sweep": "Every combination of models, contexts, machines and config keys.",
    "card": "A model card's section whose numbers hold.",
    "check": "The claims of model cards against configs.",
    "gpus": "The catalog of GPUs.",
    "verify": "The predicted tensors against a real checkpoint's headers.",
    "mcp": "The questions as tools for an agent, over standard input and output.",
    "schema": "The JSON schema of what a command prints.",
    "new-adapter": "Start an adapter from a class of transformers, for developers.",
}
"""Every command and its line in the help, in the order shown."""


def _version(asked: bool) -> None:
    if asked:
        from archcalc import __version__

        print(f"archcalc {__version__}")
        raise typer.Exit


def _callback(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


def build(only: str | None = None) -> typer.Typer:
    """The application, with one command or with all of them."""
    from archcalc.cli._light import LightCommand, LightGroup
    from archcalc.cli._run import guarded

    app = typer.Typer(
        name="archcalc",
        cls=LightGroup,
        help="Reads any model's config.json and says what it is made of, what it costs and where it fits.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_callback)
    for name in COMMANDS if only is None else [only]:
        command = importlib.import_module(f"archcalc.cli.{name.replace('-', '_')}").command
        app.command(name, short_help=COMMANDS[name], cls=LightCommand)(guarded(command))
    return app


def _ready_streams() -> None:
    """Standard streams that take what any command writes.

    A closed one is the null device: print(file=None) would write errors to standard output. Files and pipes get UTF-8, which JSON and
    the HTML pages are in, and not the locale's encoding; what a terminal cannot show is a question mark.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    out = sys.stdout
    if isinstance(out, TextIOWrapper) and out.encoding.lower().replace("-", "") != "utf8":
        chosen = out.isatty() or "PYTHONIOENCODING" in os.environ
        out.reconfigure(encoding=None if chosen else "utf-8", errors="replace")
    if isinstance(out, TextIOWrapper) and not out.isatty():
        from archcalc.cli._run import Pipe

        encoding, errors, lines, through = out.encoding, out.errors, out.line_buffering, out.write_through
        below: Any = out.detach()
        # Without a buffer (PYTHONUNBUFFERED) the text lies on the file itself.
        piped: Any = BufferedWriter(Pipe(below.detach())) if isinstance(below, BufferedWriter) else Pipe(below)
        sys.stdout = TextIOWrapper(piped, encoding=encoding, errors=errors, line_buffering=lines, write_through=through)
    from archcalc.render.plain import guard

    sys.stdout = guard(sys.stdout)


def main() -> None:
    """The console script."""
    from archcalc.cli._run import guarded

    _ready_streams()
    completing = "_ARCHCALC_COMPLETE" in os.environ
    asked = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    app = build(asked if asked in COMMANDS and not completing else None)

    def run() -> None:
        try:
            app(prog_name="archcalc")
        finally:
            sys.stdout.flush()

    guarded(run)()
