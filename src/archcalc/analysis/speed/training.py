"""What share of the peak rate training was published to reach, by framework and generation of the GPUs (MFU, dense models in bf16)."""

from __future__ import annotations

from archcalc.analysis.speed.coefficients import device_class
from archcalc.hardware import Device
from archcalc.records import NamedTuple


class Reached(NamedTuple):
    """Shares of the dense bf16 peak: the middle, and between which runs lay; how many runs, and where they are published."""

    share: float
    low: float
    high: float
    runs: str
    source: str


PUBLISHED = {
    ("llm-foundry", "ampere"): Reached(0.52, 0.44, 0.58, "139 runs", "llm-foundry 8c8dd48, scripts/train/benchmarking/README.md"),
    ("llm-foundry", "hopper"): Reached(0.40, 0.32, 0.44, "70 runs", "llm-foundry 8c8dd48, scripts/train/benchmarking/README.md"),
    ("megatron", "ampere"): Reached(0.54, 0.42, 0.56, "4 runs", "Korthikanti et al. 2022, arXiv:2205.05198, table 5"),
    ("megatron", "hopper"): Reached(0.45, 0.41, 0.48, "2 to 462 B parameters", "Megatron-LM 0010ab7, README.md"),
    ("nanochat", "hopper"): Reached(0.46, 0.41, 0.46, "2 runs", "nanochat 92d63d4, dev/LOG.md, 2026-02-19 and 2026-01-12"),
    ("torchtitan", "hopper"): Reached(
        0.36, 0.33, 0.39, "4 runs", "torchtitan 31a17bf, benchmarks/llama3_h100_202412_torchtitan.md"
    ),
}
"""Runs with sequences of 2,048 tokens and more of models from 125 M parameters; the ends are 80 % of the runs where they are many."""


def reached(framework: str | None, device: Device | None) -> Reached | None:
    """What is published of a framework on such GPUs; None where nothing is."""
    return None if framework is None or device is None else PUBLISHED.get((framework, device_class(device)))
