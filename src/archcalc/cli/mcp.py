"""`archcalc mcp`."""

from __future__ import annotations

from archcalc.cli._options import Offline


def command(offline: Offline = False) -> None:
    """Answer the questions as tools for an agent, over standard input and output (Model Context Protocol).

    Tools are inspect, kv, fit, train, compare, check and sweep, with the option names of the commands; an answer is what the command
    prints with --format json. A client starts this command itself. Needs the extra mcp: pip install 'archcalc[mcp]'.
    """
    from archcalc.tools import serve

    serve(offline)
