"""What Megatron-LM makes again by module, and what its formulas take of options."""

from __future__ import annotations

import pytest

from archcalc.analysis.training import Run
from archcalc.errors import UsageError
from archcalc.frameworks.megatron.source import MegatronPlanner
from archcalc.loader import load

TOKENS, HIDDEN, LAYERS, INNER, ACTIVE = 4096, 2048, 48, 768, 8  # Qwen3-30B-A3B's config.


def _planner(name: str = "qwen3-30b-a3b") -> MegatronPlanner:
    return MegatronPlanner(load(name, offline=True).architecture)


def _kept(planner: MegatronPlanner, *modules: str, **changes: object) -> dict[str, int]:
    recompute = "selective" if modules else "none"
    run = Run(TOKENS, implementation="megatron", recompute=recompute, modules=modules, dropout=False, attention="flash")
    return dict(planner.memory(run._replace(**changes)).kept)  # type: ignore[arg-type]


def test_modules_take_what_megatron_says_they_do() -> None:
    # core/transformer/transformer_config.py `recompute_modules`: outputs of both norms; what the experts' activation writes; the layer of
    # experts.
    planner = _planner()
    every = _kept(planner)
    norms = _kept(planner, "layernorm")
    assert every["norm"] - norms["norm"] == LAYERS * 2 * 2 * HIDDEN * TOKENS
    acts = _kept(planner, "moe_act")
    assert every["experts"] - acts["experts"] == LAYERS * 2 * INNER * ACTIVE * TOKENS
    both = _kept(planner, "layernorm", "moe_act")
    assert both == {**every, "norm": norms["norm"], "experts": acts["experts"]}
    assert _kept(planner, "moe").get("experts", 0) == 0


def test_shared_experts_are_part_of_moe_and_a_module_of_their_own() -> None:
    # core/transformer/moe/moe_layer.py `custom_forward` computes them; the module `mlp` is the dense FFN (transformer_layer.py).
    planner = _planner("deepseek-v2-lite")  # One dense layer, then two shared experts as one matrix.
    every, dense = _kept(planner)["mlp"], 10944 * 3 * 2 * TOKENS
    assert _kept(planner, "mlp")["mlp"] == every - dense
    assert _kept(planner, "shared_experts")["mlp"] == dense
    moe = _kept(planner, "moe")
    assert moe["mlp"] == dense and moe.get("experts", 0) == 0


def test_rows_of_experts_follow_the_capacity() -> None:
    planner = _planner()
    even, more = _kept(planner)["experts"], _kept(planner, capacity=150)["experts"]
    router = LAYERS * 128 * (4 + 4 + 4 + 1) * TOKENS
    assert (more - router) / (even - router) == pytest.approx(1.5)


def test_a_module_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="--recompute-modules attention"):
        _kept(_planner(), "attention")
