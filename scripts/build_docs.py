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
            "HF_HUB_OFFLINE": "1",
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


def accuracy_page() -> str:
    """What the figures are compared with, and how active parameters are told."""
    import csv
    import json
    from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

    from archcalc import api, units

    golden = {
        path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted((ROOT / "tests" / "golden").glob("*.jsonl"))
    }
    rows = [json.loads(line) for lines in golden.values() for line in lines]
    real = sum(not row["id"].startswith(("default/", "vlm-default/")) for row in rows)
    text = (
        "# Accuracy\n\nGenerated from the data that the tests compare with; nothing here is archcalc's own word.\n\n"
        "## Parameters and tensors\n\n"
        "Every tensor name, shape and kind, and the total, equal transformers 5.23.0 built on the meta device in "
        f"{len(rows)} of {len(rows)} configs of {len(golden)} model types: {real} as published, {len(rows) - real} class defaults "
        "(`tests/test_golden.py`, rebuilt by "
        "`scripts/build_golden.py`). Keys that are not understood make a status `partial`, and the test asks for `counted`.\n\n"
        "## Active parameters\n\n"
        "Publishers count in several conventions. For each model the convention whose value rounds (or, failing that, truncates) to the "
        "printed figure:\n\n| model | published | archcalc | convention | how | source |\n| --- | ---: | ---: | --- | --- | --- |\n"
    )
    with (ROOT / "tests" / "data" / "published_active.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            p = api.inspect(row["model"], offline=True).params
            printed = Decimal(row["active"].removesuffix("B"))
            unit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
            named = {"all parts": p.active, **p.active_by_convention}
            found = next(
                (name, how)
                for how, mode in (("rounds", ROUND_HALF_UP), ("truncates", ROUND_DOWN))
                for name, value in named.items()
                if (Decimal(value) / 10**9).quantize(unit, mode) == printed
            )
            value = units.format_exact(named[found[0]])
            text += f"| {row['model']} | {row['active']} | {value} | {found[0]} | {found[1]} | {row['source']} |\n"
    return text


def pages() -> dict[Path, str]:
    """Every generated file with what it should hold."""
    out = {
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "support.md": support_page(),
        ROOT / "docs" / "accuracy.md": accuracy_page(),
    }
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
