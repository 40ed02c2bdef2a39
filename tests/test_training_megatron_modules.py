"""What Megatron-LM makes again by module, and what its formulas take of options."""

from __future__ import annotations

import pytest

from archcalc import hardware
from archcalc.analysis.training import Run
from archcalc.analysis.training.choose import choose
from archcalc.errors import UsageError
from archcalc.frameworks.megatron import memory as mm
from archcalc.frameworks.megatron.arguments import Arguments
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


def test_plans_that_megatron_s_modules_do_not_cover_are_not_chosen() -> None:
    planner = _planner()
    run = Run(TOKENS, implementation="megatron", recompute="selective", modules=("moe",))
    with pytest.raises(UsageError, match="--recompute-modules"):
        planner.check(run._replace(fsdp=8))
    chosen = choose(planner, run, frozenset({"recompute"}), 64, 8, 80 << 30).run
    assert chosen.fsdp == 1 and chosen.zero <= 1


def test_a_module_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="--recompute-modules attention"):
        _kept(_planner(), "attention")


_DENSE = {
    "num-layers": 2, "hidden-size": 512, "num-attention-heads": 8, "micro-batch-size": 1, "global-batch-size": 8, "seq-length": 1024,
    "max-position-embeddings": 1024, "vocab-size": 50257, "bf16": True, "use-distributed-optimizer": True,
}  # fmt: skip


def _stage(**more: object) -> mm.Stage:
    values = {**_DENSE, **{name.replace("_", "-"): value for name, value in more.items()}}
    a = Arguments("run.yaml", values, {})
    a.refuse()
    s, model = mm.read(a, 8)
    return mm.stage_of(s, model, s.pp - 1, mm.chunks(a, s, 2)[-1], hardware.parse_spec("h100").device, {})


@pytest.mark.parametrize(
    ("more", "states", "between"),
    [
        ({}, 12, 0),
        ({"grad_reduce_in_bf16": True}, 12, 4),
        # The 16 bits that bf16 weights do not have, and both moments (core/optimizer/optimizer_config.py).
        ({"use_precision_aware_optimizer": True}, 10, 0),
        ({"use_precision_aware_optimizer": True, "exp_avg_dtype": "bf16", "exp_avg_sq_dtype": "bf16"}, 6, 0),
        ({"use_precision_aware_optimizer": True, "exp_avg_dtype": "fp8", "exp_avg_sq_dtype": "fp16"}, 5, 0),
        ({"use_precision_aware_optimizer": True, "no_store_param_remainders": True}, 12, 0),
        ({"use_precision_aware_optimizer": True, "main_params_dtype": "fp16", "exp_avg_dtype": "bf16"}, 8, 0),
        # Gradients are read where they are.
        ({"use_precision_aware_optimizer": True, "main_grads_dtype": "bf16"}, 10, 0),
    ],
)
def test_states_of_the_precision_aware_optimizer(more: dict[str, object], states: int, between: int) -> None:
    stage = _stage(**more)
    assert stage.optimizer == pytest.approx(stage.params * states / 8, rel=1e-6)
    assert stage.between == pytest.approx(stage.params * between / 8, rel=1e-6)
    half = more.keys() & {"grad_reduce_in_bf16", "main_grads_dtype"}
    assert stage.gradients == stage.params * (2 if half else 4)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"exp_avg_dtype": "bf16"}, "--exp-avg-dtype bf16"),
        ({"use_precision_aware_optimizer": True, "exp_avg_dtype": "int8"}, "--exp-avg-dtype int8"),
        ({"use_precision_aware_optimizer": True, "optimizer": "sgd"}, "--use-precision-aware-optimizer"),
    ],
)
def test_types_that_the_optimizer_does_not_take_are_named(more: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        _stage(**more)


def test_overlapped_tensor_parallelism_has_three_work_spaces() -> None:
    # Transformer Engine 2, pytorch/module/base.py `initialize_ub`: `get_workspace().repeat(_NUM_MAX_UB_STREAMS)`.
    common = {"tensor_model_parallel_size": 2, "sequence_parallel": True}
    assert _stage(**common, tp_comm_overlap=True).static - _stage(**common).static == 2 * (32 << 20)


@pytest.mark.parametrize(
    ("more", "plain"),
    [
        ({"hierarchical_context_parallel_sizes": [2, 2]}, {"context_parallel_size": 4, "attention_backend": "flash"}),
        ({"use_mup": True, "mup_base_hidden_size": 256}, {}),
    ],
)
def test_arguments_that_change_no_memory(more: dict[str, object], plain: dict[str, object]) -> None:
    assert _stage(**plain, **more) == _stage(**plain)


@pytest.mark.parametrize(
    ("factor", "padded", "share"), [(1.5, True, 1.5), (1.5, False, 1.0), (0.5, False, 0.5), (0.5, True, 0.5), (-1, False, 1.0)]
)
def test_room_of_experts_is_padded_or_dropped(factor: float, padded: bool, share: float) -> None:
    # core/transformer/moe/token_dispatcher.py `drop_and_pad`: rows are padded to the room; without it no more than that are kept.
    routed = {"num_experts": 8, "moe_router_topk": 2, "moe_token_dispatcher_type": "alltoall"}
    room = {"moe_expert_capacity_factor": factor, "moe_pad_expert_input_to_capacity": padded}
    even, found = (_stage(**routed, **more).activations["experts"] for more in ({}, room))
    router = 2 * 1024 * 8 * (2 + 4 + 4 + 1)
    assert (found - router) / (even - router) == pytest.approx(share)


def test_padding_without_a_room_is_refused() -> None:
    with pytest.raises(UsageError, match="--moe-expert-capacity-factor"):
        _stage(num_experts=8, moe_pad_expert_input_to_capacity=True)


def test_a_plan_of_megatron_spreads_experts_before_it_splits_tensors() -> None:
    # megatron-bridge's own recipe of this model has experts over 16 GPUs and no tensor parallelism (NVIDIA-NeMo/Megatron-Bridge,
    # docs/training/moe-optimization.md).
    planner = _planner()
    run = Run(TOKENS, implementation="megatron", attention="flash")
    chosen = choose(planner, run, frozenset(), 16, 8, 76 << 30).run
    assert (chosen.tp, chosen.pp, chosen.zero, chosen.ep) == (1, 1, 1, 16)
