"""Published peaks of training runs (`data/training_rows.jsonl`), asked through the command line with options that a user can type.

`flag` is the framework that `--framework` names; `version` its release: no row states one, and that of fsdp_qlora's is inferred from the
date in its file's name (March 2024: transformers 4.39). What a row's own configuration says beyond options is not known to it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

DATA = Path(__file__).parent / "data"

# Why rows are off by more than a tenth: by what the runs did that options do not say, or that is not reproduced.
_WHY: tuple[tuple[str, str], ...] = (
    ("tune-llama2-7b-qlora", "the peak is that of loading, and the length is not stated"),
    (
        "fsdpq-7b-qlora-512",
        "reserved: 3.72 GiB of it before training begins (the benchmark's own text), of which weights and adapters are 2.1: FSDP1 has "
        "embedding and head four times while it wraps them (parameters, broadcast buckets, one flat tensor, its shard)",
    ),
    (
        "fsdpq-",
        "reserved: scales of its matrices (3.7 MB each, in segments for large tensors) are taken while these are quantized on the GPU, and "
        "hold what is freed around them; a matrix of 7B has scales below 1 MiB, which have segments of their own",
    ),
    (
        "peft-70b-fsdp-qlora-off",
        "nvidia-smi: as the same model in fsdp_qlora's benchmark, whose allocator reserved 14.9 GiB of it: scales hold segments that are "
        "freed otherwise; the rest is not settled",
    ),
    ("peft-", "nvidia-smi, with what the allocator reserved"),
    (
        "nous-",
        "reserved; length and checkpointing are not stated; torchtitan up to 0.2.2 kept no exchanged rows for Qwen3, from 0.2.1 what "
        "compiled code gives",
    ),
    ("bridge-", "CUDA graphs, and the experts' exchange hidden"),
    (
        "mcore-mixtral_8x7b_tp2pp4ep4",
        "the row's configuration has 256,000 words, and its static bytes are those of 32,000: its own recipe is counted at 24.7",
    ),
    (
        "mcore-dsv3_mini",
        "the row's options have --ep 2 over dp, where the run has 4 over tp x dp: its own recipe is counted 4% too low",
    ),
    ("mcore-", "the number of GPUs is an assumption of the row"),
    (
        "axolotl-seed-oss",
        "its file names cut cross-entropy and the row's options a full loss: its own recipe is counted at 28.2 allocated, 30.2 reserved",
    ),
    (
        "axolotl-magistral",
        '"about 24GB" in an older page; on the model\'s next release the same configuration is stated at 19.1 GiB (examples/magistral)',
    ),
    (
        "axolotl-",
        "reserved, as stated in a comment of the example; its lengths are caps, and batches that packing does not fill are shorter",
    ),
    ("ao-", "the length is not stated"),
)


def why(row: dict[str, Any]) -> str:
    return next((text for start, text in _WHY if row["id"].startswith(start)), "")


def rows(start: str = "") -> Iterator[tuple[dict[str, Any], float, float]]:
    """Each row whose id starts so, with the predicted GiB and the error."""
    from archcalc.cli import main

    configs = json.loads((DATA / "training_configs.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for line in (DATA / "training_rows.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if not row["id"].startswith(start):
                continue
            if "recipe" in row:  # Its own arguments, in a file as the framework reads them.
                Path(folder, "recipe.yaml").write_text(json.dumps(row["recipe"]), encoding="utf-8")
                run = ["--recipe", os.path.join(folder, "recipe.yaml")]
            else:
                source = row["config"]
                if source in configs:
                    source = os.path.join(folder, source)
                    Path(source).write_text(json.dumps(configs[row["config"]]), encoding="utf-8")
                run = [source, *row["args"]]
            words = [
                "archcalc",
                "train",
                *run,
                *(["--framework", row["flag"]] if "flag" in row else []),
                *(["--framework-version", row["version"]] if "version" in row else []),
                *(["--gpu", row["gpu"]] if "gpu" in row else []),
                "--format",
                "json",
                "--offline",
            ]
            out = io.StringIO()
            with (
                mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()),
                contextlib.suppress(SystemExit),
            ):  # fmt: skip
                main()
            r = json.loads(out.getvalue())
            size = r["stages"][-1]["total_bytes"] if row.get("logged_rank") == "last stage" else r["per_gpu"]["total_bytes"]
            if row["metric"] == "reserved":
                size = r["per_gpu"]["reserved_bytes"]
            elif row["metric"] == "nvidia-smi":
                size = r["per_gpu"]["reserved_bytes"] + r["per_gpu"]["overhead_bytes"]
            gib = size / 2**30
            yield row, gib, gib / row["measured_gib"] - 1
