"""How long archcalc takes, as ratios against what it cannot do without. Run by hand; nothing in the tests asserts a time.

    python -m venv /tmp/bench && /tmp/bench/bin/pip install . && /tmp/bench/bin/python benchmarks/startup.py

Whole processes run in turn (A B A B ...), so that a drift of the machine's speed meets both; the figure to quote is the median of
the ratios. Install archcalc as users do: from an editable checkout without compiled bytecode it is not the same program.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ONE_MODEL = "import typer, pydantic\nclass A(pydantic.BaseModel):\n    x: int\n"
PAGE = ONE_MODEL + "import rich.console, rich.table\n"


def seconds(command: list[str]) -> float:
    """The wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    return time.perf_counter() - start


def paired(name: str, limit: float, ours: list[str], theirs: list[str], runs: int) -> None:
    """Print the medians of both and of the ratio, run by run."""
    seconds(ours)
    seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name:42} {a * 1000:6.0f} ms against {b * 1000:4.0f} ms: {ratio:.2f} (at most {limit})")


def best(call: Callable[[], object], runs: int = 200) -> float:
    """The median time of a call in milliseconds, after a warm-up."""
    for _ in range(20):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def main() -> None:
    """All measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    import archcalc
    from archcalc import zoo
    from archcalc.analysis.inspect import inspect
    from archcalc.arch import parse
    from archcalc.report import SourceInfo

    python, script = sys.executable, str(Path(sys.executable).parent / "archcalc")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(zoo.config("deepseek-v3")), encoding="utf-8")
        file = str(config)
        print(f"archcalc {archcalc.__version__}, Python {sys.version.split()[0]}, {runs} pairs, medians")
        paired("inspect FILE --format json", 1.25, [script, "inspect", file, "-f", "json"], [python, "-c", ONE_MODEL], runs)
        paired("inspect FILE, the page", 1.3, [script, "inspect", file], [python, "-c", PAGE], runs)
        paired(
            "inspect deepseek-v3 --format json",
            1.4,
            [script, "inspect", "deepseek-v3", "-f", "json"],
            [python, "-c", "import typer"],
            runs,
        )
        paired(
            "inspect deepseek-v3, the page",
            1.4,
            [script, "inspect", "deepseek-v3"],
            [python, "-c", "import typer, rich.console, rich.table"],
            runs,
        )

        source = SourceInfo("x", "file", "hf-config")
        for name, limit in (("deepseek-v3", 1.0), ("llama-3.1-8b", 0.3)):
            text = zoo.config(name)
            took = best(lambda text=text: inspect(parse(text), source, context_tokens=131072))
            print(f"{'parse and analyse ' + name + ', in process':42} {took:6.2f} ms (at most {limit})")

        thousand = []
        names = list(zoo.names())
        for i in range(1000):
            path = Path(folder, f"{i}.json")
            path.write_text(json.dumps({**zoo.config(names[i % len(names)]), "seed": i}), encoding="utf-8")
            thousand.append(str(path))
        few = seconds([script, "inspect", "-f", "jsonl", *thousand[: len(names)]])
        many = seconds([script, "inspect", "-f", "jsonl", *thousand])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"{'1,000 configs in one run':42} {many:6.2f} s, {len(names)} of them {few:.2f} s (at most 2 s beyond start-up)")
        print(f"{'peak memory of any of these processes':42} {peak // 1024} MiB")


if __name__ == "__main__":
    main()
