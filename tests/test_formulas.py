"""Every printed formula gives the number beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from archcalc import hardware, zoo
from archcalc.analysis.fit import Ask
from archcalc.analysis.kv import allocate
from archcalc.analysis.train_report import train_report
from archcalc.analysis.training import Run
from archcalc.analysis.verdict import fit_report
from archcalc.engines._allocation import Workload
from archcalc.engines.engine import names
from archcalc.errors import ArchcalcError
from archcalc.loader import load
from formulas import NoFormulaError, value

RUNS: list[dict[str, Any]] = [
    {},
    {"fsdp": 8},
    {"fsdp": 8, "ep": 8},
    {"fsdp": 8, "ep": 4, "optimizer": "adamw-8bit"},
    {"dp": 8, "zero": 1, "optimizer": "lion"},
    {"dp": 8, "zero": 2, "optimizer": "muon", "ema": True},
    {"dp": 8, "zero": 3, "optimizer": "adafactor"},
    {"precision": "amp", "loss": "chunked"},
    {"precision": "pure", "loss": "fused", "optimizer": "sgd-momentum"},
    {"precision": "fp32", "loss": "none", "optimizer": "sgd"},
    {"lora": 16},
    {"lora": 16, "quant": "nf4", "optimizer": "paged-adamw-8bit"},
    {"lora": 16, "quant": "nf4", "double_quant": False, "loss": "fused"},
    {"tp": 2, "pp": 2, "implementation": "megatron", "recompute": "selective", "micro_batches": 2},
    {"cp": 2, "recompute": "full", "micro_batch": 3},
    {"offload": "optimizer"},
    {"offload": "all"},
    {"offload": "params", "dp": 8, "zero": 3},
    {"fsdp": 8, "micro_batches": 2, "no_sync": True},
    {"fsdp": 8, "micro_batches": 4, "no_sync": True, "precision": "amp", "recompute": "full"},
    {"fsdp": 8, "micro_batches": 2, "no_sync": True, "lora": 16},
    {"step_in_backward": True, "optimizer": "adamw-8bit", "precision": "pure"},
    {"precision": "pure", "loss": "chunked", "fp32_logits": True, "pass_before": True, "recompute": "full"},
    {"precision": "pure", "shifted": "fp32-logits", "recompute": "full"},
    {"step_in_backward": True, "fsdp": 8, "precision": "pure"},
]
MODELS = ["gpt2", "llama-3.1-8b", "qwen3-30b-a3b", "gemma-2-2b", "deepseek-v3", "qwen3.5-27b", "gpt-oss-20b"]


def test_the_evaluator() -> None:
    for text, number in (
        ("4 B x 1,000 / 8 ranks + 4 B x 10", 540),
        ("(2 x (1 + 4 / 256) adamw-8bit) B x 256", 520),
        ("61 layers x 8 cells x (576 keys in f16) 1,152 B", 61 * 8 * 1152),
        ("(512 + 64) x 2 B x 8 tokens (min(3 - 1, 2) of them)", 9216),
        ("embedding 2.5 GiB + rest 1 MiB", (5 << 29) + (1 << 20)),
        ("2 B x 3, of all", 6),
    ):
        assert value(text) == number
    for text in ("a copy of the gradients (foreach), beyond", "51 graphs in pieces and 35 whole ones"):
        with pytest.raises(NoFormulaError):
            value(text)


def close(text: str, size: int, tolerance: float = 0.002) -> bool | None:
    """Whether the formula gives the number; None where it is words."""
    try:
        found = value(text)
    except NoFormulaError:
        return None
    return abs(found - size) <= tolerance * max(size, 1 << 20)


@pytest.mark.parametrize("name", MODELS)
def test_formulas_of_training(name: str) -> None:
    judged = 0
    for options in RUNS:
        run = Run(**{"seq": 512, **options})
        try:
            made = train_report(load(name), run, brief=True)
        except ArchcalcError:
            continue
        for term in made.terms:
            right = close(term.formula, term.bytes)
            assert right is not False, (name, options, term)
            judged += bool(right)
    assert judged > 30


def explained(name: str) -> Iterator[tuple[str, int, object]]:
    for gpu, engine in itertools.product(("8xh100", "4090", "2xa100-40gb"), ("vllm", "sglang", "llama.cpp", "transformers")):
        try:
            made = fit_report(load(name), Ask(hardware.parse_spec(gpu), engine, 1000, 3))  # type: ignore[arg-type]
        except ArchcalcError:
            continue
        for row in made.explain:
            yield row.formula, row.bytes, (gpu, engine, row)


@pytest.mark.parametrize("name", MODELS)
def test_formulas_of_a_fit(name: str) -> None:
    judged = 0
    for text, size, where in explained(name):
        right = close(text, size, 0.02)
        assert right is not False, where
        judged += bool(right)
    assert judged > 10


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.spec(name)])
def test_formulas_of_caches(name: str) -> None:
    architecture = zoo.spec(name)
    assert architecture is not None
    for engine, batch in itertools.product(names(), (1, 3)):
        try:
            made = allocate(architecture, engine, Workload(1000, batch))
        except ArchcalcError:
            continue
        for figure in made.figures:
            assert close(figure.formula, figure.bytes, 0.0) is not False, (engine, batch, figure)
