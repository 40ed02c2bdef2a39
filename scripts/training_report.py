"""Write how close `archcalc train` comes to what was measured, into docs/training.md.

python scripts/training_report.py            rewrite in place
python scripts/training_report.py --check    say whether it is out of date, exit 1 if it is
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
sys.path.insert(0, str(ROOT / "tests"))

from archcalc.errors import UnsupportedError  # noqa: E402
from test_activations import predicted, rows  # noqa: E402
from test_training import peak  # noqa: E402
from test_training_recipes import last_stage, recorded  # noqa: E402
from training_logs import logs  # noqa: E402
from training_rows import rows as published  # noqa: E402
from training_rows import why  # noqa: E402


def table() -> str:
    """The section, in Markdown."""
    lines = ["| what | rows | equal | median error | largest |", "| --- | ---: | ---: | ---: | ---: |"]
    for label, name in (
        ("bytes autograd saved, 14 dense types", "activations.jsonl.gz"),
        ("the same, 39 more configs, routed experts and MLA among them", "activations_more.jsonl.gz"),
    ):
        found = rows(name)
        errors = [abs(predicted(row) / row["saved_bytes"] - 1) for row in found]
        equal = sum(e == 0 for e in errors)
        lines.append(f"| {label} | {len(found)} | {equal} | {statistics.median(errors):.2%} | {max(errors):.2%} |")
    with open(DATA / "training_measured.tsv", encoding="utf-8") as file:
        measured = list(csv.DictReader(file, delimiter="\t"))
    errors = [abs(peak(row) / 1e9 / float(row["measured_peak_gb"]) - 1) for row in measured]
    lines.append(f"| peaks on one GPU (vramcalc's) | {len(measured)} | | {statistics.median(errors):.2%} | {max(errors):.2%} |")
    found_logs = logs()
    errors = [abs(error) for *_, error in found_logs]
    lines.append(
        f"| logs of torchtitan, torchtune, litgpt | {len(errors)} | | {statistics.median(errors):.1%} | {max(errors):.1%} |"
    )
    static, peaks, refused = megatron()
    lines.append(
        f"| static bytes of Megatron-LM's recorded runs | {len(static)} | | {statistics.median(static):.2%} | {max(static):.2%} |"
    )
    lines.append(f"| their peaks | {len(peaks)} | | {statistics.median(peaks):.2%} | {max(peaks):.2%} |")
    found_rows = list(published())
    errors = sorted(abs(error) for *_, error in found_rows)
    lines.append(f"| other published peaks | {len(errors)} | | {statistics.median(errors):.1%} | {errors[-1]:.1%} |")
    near = sum(error <= 0.1 for error in errors)
    kinds = Counter(row["metric"] for row, *_ in found_rows)
    tenth = errors[max(0, -(-9 * len(errors) // 10) - 1)]
    within = sum(a <= 0.01 and b <= 0.05 for a, b in zip(static, peaks, strict=True))
    lines += [
        "",
        f"Of the other peaks {kinds['allocated']} are what was allocated at most, {kinds['reserved']} what the allocator had reserved, and",
        f"{kinds['nvidia-smi']} nvidia-smi's, which holds the context too: each is compared with that figure of the report.",
        f"Of Megatron-LM's runs {within} of {len(static)} have static bytes within 1% and the peak within 5%; {refused} more are refused",
        f"by the name of an argument. Of the other peaks {near} are within 10%, nine of ten within {tenth:.0%}. Those that are",
        "off by more than 10%, and why:",
        "",
        "| run | predicted | measured | of what | error | why |",
        "| --- | ---: | ---: | --- | ---: | --- |",
    ]
    far = sorted((row for row in found_rows if abs(row[2]) > 0.1), key=lambda row: -abs(row[2]))
    lines += [
        f"| {row['id']} | {gib:.1f} | {row['measured_gib']:.1f} | {row['metric']} | {error:+.1%} | {why(row)} |"
        for row, gib, error in far
    ]
    lines += ["", "The logs, one by one (GiB):", "", "| run | predicted | logged | error |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {row['id']} | {gib:.1f} | {logged:.1f} | {error:+.1%} |" for row, gib, logged, error in found_logs]
    return "\n".join(lines)


def megatron() -> tuple[list[float], list[float], int]:
    """Errors of static bytes and of peaks, and how many runs are refused."""
    static, peaks, refused = [], [], 0
    for row in recorded():
        try:
            stage = last_stage(row)
        except UnsupportedError:
            refused += 1
            continue
        static.append(abs(stage.static / row["allocated_bytes"] - 1))
        peaks.append(abs(stage.total / row["max_allocated_bytes"] - 1))
    return static, peaks, refused


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    page = ROOT / "docs" / "training.md"
    old = page.read_text(encoding="utf-8")
    new = re.sub(r"(<!-- accuracy -->\n).*?(\n<!-- end -->)", lambda m: m[1] + table() + m[2], old, flags=re.DOTALL)
    if args.check:
        sys.exit("docs/training.md is out of date: run scripts/training_report.py" if new != old else 0)
    page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
