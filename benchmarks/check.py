"""How long `archcalc check` takes for a page of 1 MB, as a ratio to a bare interpreter that only finds the page's numbers. Run by hand.

    python benchmarks/check.py

Processor time of whole processes, the two in turn; the figure to quote is the median of the ratios. Pages of right figures repeat what
they say; those of wrong ones say another number each time, which is the most that can be asked for.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from archcalc import zoo
from archcalc.cards.models import Model, load

BARE = "import re, sys\nsum(map(len, re.findall(r'[0-9]+', open(sys.argv[1]).read())))\n"
SIZE = 1_000_000


def facts(count: int = 60) -> list[tuple[str, Model]]:
    """Models that have what the pages state."""
    found = [(entry.name, load(entry.name, True)) for entry in zoo.entries() if entry.card]
    return [(name, model) for name, model in found if model.report.architecture.layers and model.report.architecture.heads][:count]


def item(name: str, model: Model, off: int) -> str:
    """A section with a list."""
    a = model.report.architecture
    return (
        f"\n## {name}\n\n- Layers: {a.layers + off}\n- Hidden size: {(a.hidden_size or 0) + off}\n- Attention heads: {a.heads}\n"
        f"- Vocabulary size: {(a.vocab_size or 0) + off}\n- Parameters: {model.report.params.total / 1e9 + off:.1f}B\n"
    )


def row(name: str, model: Model, off: int) -> str:
    """A row of a table."""
    a = model.report.architecture
    total = model.report.params.total / 1e9 + off
    return (
        f"| {name} | {total:.1f}B | {a.layers + off} | {(a.hidden_size or 0) + off} | {a.heads} | {(a.vocab_size or 0) + off} |\n"
    )


def sentence(name: str, model: Model, off: int) -> str:
    """A paragraph."""
    a = model.report.architecture
    return f"The model {name} has {a.layers + off} layers, {a.heads} heads and {model.report.params.total / 1e9 + off:.1f}B parameters.\n\n"


HEAD = "# Models\n\n| Model | Parameters | Layers | Hidden size | Heads | Vocab |\n|---|---|---|---|---|---|\n"
KINDS: dict[str, tuple[str, Callable[[str, Model, int], str]]] = {
    "lists": ("# Models\n", item), "a table": (HEAD, row), "prose": ("# Models\n\n", sentence),
}  # fmt: skip


def page(head: str, write: Callable[[str, Model, int], str], known: list[tuple[str, Model]], wrong: bool) -> str:
    """1 MB of a kind, its figures right, or each off by another number."""
    parts, size, i = [head], 0, 0
    while size < SIZE:
        name, model = known[i % len(known)]
        parts.append(write(name, model, 1 + i * 7 % 997 if wrong else 0))
        size += len(parts[-1])
        i += 1
    return "".join(parts)


def seconds(command: list[str]) -> float:
    """The processor time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """All pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    known = facts()
    with tempfile.TemporaryDirectory() as folder:
        for kind, (head, write) in KINDS.items():
            for wrong in (False, True):
                file = Path(folder, "page.md")
                file.write_text(page(head, write, known, wrong), encoding="utf-8")
                ours = [sys.executable, "-m", "archcalc", "check", "--offline", "--format", "json", str(file)]
                bare = [sys.executable, "-c", BARE, str(file)]
                pairs = [(seconds(ours), seconds(bare)) for _ in range(runs)]
                ratio = statistics.median(a / b for a, b in pairs)
                best = min(a for a, _ in pairs)
                print(f"1 MB of {kind}, {'wrong' if wrong else 'right'}: {best:.1f} s, {ratio:.0f} times a bare interpreter")


if __name__ == "__main__":
    main()
