"""Write what is generated in README.md and docs/: examples with their real output, the help of every command, the support table.

python scripts/build_docs.py            rewrite in place
python scripts/build_docs.py --check    say what is out of date, exit 1 if anything is
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_EXAMPLE = re.compile(r"<!-- example: (archcalc [^\n]*?) -->\n.*?<!-- end -->", re.DOTALL)
_WIDTH = "80"


def run(command: str) -> str:
    """The output of an archcalc command, in a pipe 80 columns wide, offline."""
    arguments = shlex.split(command)[1:]
    if arguments and arguments[0] in ("inspect", "tensors", "kv"):
        arguments.append("--offline")
    done = subprocess.run(
        [sys.executable, "-m", "archcalc", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "COLUMNS": _WIDTH,
            "TERMINAL_WIDTH": _WIDTH,
            "NO_COLOR": "1",
            "TERM": "dumb",
            "_TYPER_STANDARD_TRACEBACK": "1",
        },
    )
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}: {done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


def with_examples(text: str) -> str:
    """The text with the output of every example as it is now."""

    def example(match: re.Match[str]) -> str:
        return f"<!-- example: {match[1]} -->\n```console\n$ {match[1]}\n{run(match[1])}```\n<!-- end -->"

    return _EXAMPLE.sub(example, text)


def cli_page() -> str:
    """The help of every command."""
    from archcalc.cli import COMMANDS

    parts = ["# Commands\n", "Generated from `archcalc COMMAND --help`.\n"]
    for name in ("", *COMMANDS):
        command = f"archcalc {name}".strip()
        parts.append(f"## {command}\n\n```console\n$ {command} --help\n{run(f'{command} --help')}```\n")
    return "\n".join(parts)


def support_page() -> str:
    """The table of adapters, from their own docstrings."""
    from archcalc.arch import model_types
    from archcalc.arch._schema import TowerSchema

    rows, towers = [], []
    for name in sorted(model_types()):
        module = importlib.import_module(f"archcalc.arch.{name}")
        text = " ".join((module.__doc__ or "").split())
        what, _, source = text.partition("Source:")
        line = f"| `{name}` | {what.strip()} | {source.strip()} |"
        (towers if issubclass(module.Schema, TowerSchema) else rows).append(line)
    head = "| model type | what it is | source |\n| --- | --- | --- |\n"
    return (
        "# Supported architectures\n\n"
        "Generated from the adapters in `src/archcalc/arch/`: one file a `model_type`, with `-` and `.` written `_`.\n"
        f"\n## Models ({len(rows)})\n\n{head}"
        + "\n".join(rows)
        + f"\n\n## Towers that models hold ({len(towers)})\n\n{head}"
        + "\n".join(towers)
        + "\n"
    )


def pages() -> dict[Path, str]:
    """Every generated file with what it should hold."""
    out = {ROOT / "docs" / "cli.md": cli_page(), ROOT / "docs" / "support.md": support_page()}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if path not in out and _EXAMPLE.search(text):
            out[path] = with_examples(text)
    return out


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [(path, text) for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        print(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
