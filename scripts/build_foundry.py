"""Copy the runs of llm-foundry's published benchmarks into tests/data/llm_foundry.tsv: shapes and settings, no text.

python scripts/build_foundry.py CHECKOUT    CHECKOUT is a clone of github.com/mosaicml/llm-foundry
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "llm_foundry.tsv"
COLUMNS = "model d_model n_heads n_layers seq gpus gpu micro_batch accumulate precision mixed strategy checkpointing offload params"


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path)
    train = parser.parse_args().checkout / "scripts" / "train"
    shapes = {}
    for path in sorted(train.glob("yamls/pretrain/mpt-*.yaml")):
        text = path.read_text(encoding="utf-8")
        found = [re.search(rf"^  {key}: (\d+)", text, re.MULTILINE) for key in ("d_model", "n_heads", "n_layers")]
        shapes[path.stem.removeprefix("mpt-")] = [m[1] for m in found if m]
    lines = ["\t".join(COLUMNS.split())]
    for line in (train / "benchmarking" / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 20 and cells[1].isdigit():
            lines.append("\t".join([cells[0], *shapes[cells[0]], *(cells[i] for i in (1, 2, 3, 7, 8, 14, 15, 16, 17, 18, 19))]))
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
