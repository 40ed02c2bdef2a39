"""Runs of llm-foundry's published benchmarks (scripts/train/benchmarking/README.md at 8c8dd48, as `data/llm_foundry.tsv`), asked as its
own configuration through the command line: all of them ran. A table of 80 GB that says its GPUs are of 40 is read as written."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

DATA = Path(__file__).parent / "data"
GPUS = {"h100_80gb": "H100", "a100_80gb": "A100-80GB", "a100_40gb": "A100-40GB"}


def runs() -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Each run with the report on it. Training in fp8 is left out, which is not modelled."""
    from archcalc.cli import main

    with tempfile.TemporaryDirectory() as folder, open(DATA / "llm_foundry.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["precision"] == "amp_fp8":
                continue
            gpus, micro = int(row["gpus"]), int(row["micro_batch"])
            recipe = Path(folder) / "run.yaml"
            shape = {"d_model": int(row["d_model"]), "n_heads": int(row["n_heads"]), "n_layers": int(row["n_layers"])}
            recipe.write_text(
                json.dumps(
                    {
                        "max_seq_len": int(row["seq"]),
                        "model": {"name": "mpt_causal_lm", **shape, "max_seq_len": int(row["seq"]), "vocab_size": 50368},
                        "optimizer": {"name": "decoupled_adamw"},
                        "max_duration": "12ba",
                        "global_train_batch_size": gpus * micro * int(row["accumulate"]),
                        "device_train_microbatch_size": micro,
                        "precision": "amp_bf16" if row["precision"] == "bf16" else row["precision"],
                        "fsdp_config": {
                            "sharding_strategy": row["strategy"],
                            "mixed_precision": row["mixed"],
                            "activation_checkpointing": row["checkpointing"] == "True",
                            "activation_cpu_offload": row["offload"] == "True",
                        },
                    }
                ),
                encoding="utf-8",
            )
            words = [
                "archcalc",
                "train",
                "--recipe",
                str(recipe),
                "--gpu",
                f"{gpus}x{GPUS[row['gpu']]}",
                "--format",
                "json",
                "--offline",
            ]
            out = io.StringIO()
            with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
                main()
            yield row, json.loads(out.getvalue())
