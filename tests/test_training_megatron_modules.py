"""What Megatron-LM makes again by module, and what its formulas take of options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware
from archcalc.analysis.training import Run
from archcalc.analysis.training.choose import choose
from archcalc.errors import ConfigError, UnsupportedError, UsageError
from archcalc.frameworks.megatron import memory as mm
from archcalc.frameworks.megatron.arguments import Arguments, from_words
from archcalc.frameworks.megatron.fp8 import refuse_gpu
from archcalc.frameworks.megatron.source import MegatronPlanner
from archcalc.loader import load
from conftest import Run as Cli

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
    return mm.stage_of(s, model, s.pp - 1, mm.chunks(a, s, len(model.layers))[-1], hardware.parse_spec("h100").device, {})


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


def test_overlapped_tensor_parallelism_has_three_more_work_spaces() -> None:
    # Transformer Engine, main of 2026-08, pytorch/cpp_extensions/gemm.py `get_cublas_workspace`: one of three for the streams of user
    # buffers, one for products without them.
    common = {"tensor_model_parallel_size": 2, "sequence_parallel": True}
    assert _stage(**common, tp_comm_overlap=True).static - _stage(**common).static == 3 * (32 << 20)


@pytest.mark.parametrize(
    ("more", "plain"),
    [
        ({"hierarchical_context_parallel_sizes": [2, 2]}, {"context_parallel_size": 4, "attention_backend": "flash"}),
        ({"use_mup": True, "mup_base_hidden_size": 256}, {}),
        ({"cuda_graph_impl": "none", "cuda_graph_warmup_steps": 3}, {}),
        ({"window_size": [128, 0], "window_attn_skip_freq": 2}, {"attention_backend": "flash"}),
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


def test_a_gate_of_shared_experts_keeps_what_it_weighs() -> None:
    # core/transformer/moe/shared_experts.py: a vector of the hidden width; the output, and a number for each token.
    routed = {"num_experts": 8, "moe_shared_expert_intermediate_size": 512}
    plain, gated = _stage(**routed), _stage(**routed, moe_shared_expert_gate=True)
    assert gated.params - plain.params == 2 * 512
    assert gated.activations["mlp"] - plain.activations["mlp"] == 2 * 1024 * 2 * (512 + 1)


def test_a_gate_on_the_attention_s_output_is_as_wide_as_it() -> None:
    # core/transformer/attention.py `get_query_key_value_tensors` with `output_gate`, `_apply_output_gate`.
    plain, gated = _stage(attention_backend="flash"), _stage(attention_backend="flash", attention_output_gate=True)
    assert gated.params - plain.params == 2 * (512 * 512 + 512)
    assert gated.activations["attention"] - plain.activations["attention"] == 2 * 2 * 2 * 512 * 1024


def test_the_old_name_of_recomputed_experts_is_their_module() -> None:
    # core/transformer/transformer_config.py: "--moe-layer-recompute is deprecated".
    routed = {"num_experts": 8}
    both = {"recompute_granularity": "selective", "recompute_modules": ["core_attn", "moe"]}
    assert _stage(**routed, moe_layer_recompute=True) == _stage(**routed, **both)


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


@pytest.mark.parametrize(("size", "bytes_each"), [(0, 12), (4, 10), (2, 6), (1, 4)])
def test_moments_of_options_are_those_of_the_precision_aware_optimizer(size: int, bytes_each: int) -> None:
    # As the argument's table above: two moments, and the 16 bits that bf16 weights do not have.
    planner = _planner()
    run = Run(TOKENS, implementation="megatron", dp=8, zero=1, ep=8, moment_size=size)
    m = planner.memory(run)
    terms = {t.name: t.bytes for t in m.terms}
    # 12 B a parameter without it, experts of one rank each and the rest over eight.
    usual = {t.name: t.bytes for t in planner.memory(run._replace(moment_size=0)).terms}
    assert terms["optimizer"] / usual["optimizer"] == pytest.approx(bytes_each / 12, rel=1e-6)


@pytest.mark.parametrize("changes", [{"zero": 0}, {"optimizer": "sgd"}, {"precision": "fp32"}])
def test_moments_that_no_optimizer_keeps_are_refused(changes: dict[str, Any]) -> None:
    run = Run(TOKENS, implementation="megatron", dp=8, zero=1, moment_size=2)._replace(**changes)
    with pytest.raises(UsageError, match="--moment-dtype"):
        _planner().check(run)


@pytest.mark.parametrize("share", [None, 0.25, 1.0])
def test_optimizers_on_the_cpu_leave_their_share(share: float | None) -> None:
    # core/optimizer/cpu_offloading/hybrid_optimizer.py: weights, two moments and gradients in fp32, of what the threshold leaves on the
    # GPU; all are on the CPU unless --optimizer-offload-fraction says otherwise (training/arguments.py).
    more = {} if share is None else {"optimizer_offload_fraction": share}
    stage = _stage(use_precision_aware_optimizer=True, exp_avg_dtype="bf16", optimizer_cpu_offload=True, **more)
    whole = stage.params * 16 / 8
    assert stage.on_cpu == pytest.approx(whole * (1 if share is None else share), rel=1e-6)
    assert stage.on_cpu + stage.optimizer == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(("tp", "spread"), [(2, False), (2, True), (4, True)])
def test_inputs_of_checkpoints_are_spread_over_ranks(tp: int, spread: bool) -> None:
    # core/tensor_parallel/random.py `CheckpointFunction.forward`: `split_tensor_into_1d_equal_chunks`.
    more = {"recompute_granularity": "full", "recompute_method": "uniform", "hidden_dropout": 0.0}
    stage = _stage(tensor_model_parallel_size=tp, distribute_saved_activations=spread, **more)
    last = 2 * 512 * 1024 + 8 * 1024  # The final norm's input and its statistics.
    assert stage.activations["norm"] == 2 * (2 * 512 * 1024 // (tp if spread else 1)) + last


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"optimizer_cpu_offload": True}, "--use-precision-aware-optimizer"),
        ({"optimizer_cpu_offload": True, "optimizer_offload_fraction": 2}, "--optimizer-offload-fraction 2"),
        ({"distribute_saved_activations": True}, "--distribute-saved-activations"),
        ({"distribute_saved_activations": True, "tensor_model_parallel_size": 2}, "--recompute-granularity full"),
        ({"window_size": [128, 0], "attention_backend": "unfused"}, "--window-size"),
        ({"step_batch_size_schedule": "0:64"}, "--global-batch-size"),
        ({"step_batch_size_schedule": "0-64"}, "--step-batch-size-schedule 0-64"),
        # core/transformer/moe/moe_layer.py `MoELayer.forward` raises in training.
        ({"num_experts": 4, "tensor_model_parallel_size": 2}, "--sequence-parallel"),
        ({"cuda_graph_impl": "local"}, "--cuda-graph-impl"),
        ({"expert_tensor_parallel_num_weight_shards": 4}, "--expert-tensor-parallel-num-weight-shards"),
        ({"te_precision_config_file": "precision.yaml"}, "--te-precision-config-file"),
        ({"cuda_graph_impl": "transformer_engine", "cuda_graph_modules": ["attn"]}, "--cuda-graph-impl, --cuda-graph-modules"),
    ],
)
def test_what_does_not_go_together_is_named(more: dict[str, object], named: str) -> None:
    with pytest.raises((ConfigError, UsageError, UnsupportedError), match=named):
        _stage(**more)


@pytest.mark.parametrize(
    ("schedule", "number"), [("0:384 200B:768 400B:1152", 144), ("0:8", 1), ("0:16", 2), ("0:16 2.4B:320 1.5M:8", 40)]
)
def test_a_schedule_of_batches_says_how_many_are_in_flight(schedule: str, number: int) -> None:
    # training/config/training_config.py `step_batch_size_schedule`: thresholds and sizes.
    values = {k: v for k, v in _DENSE.items() if k != "global-batch-size"}
    s, _ = mm.read(Arguments("run.yaml", {**values, "step-batch-size-schedule": schedule}, {}), 8)
    assert s.micro_batches == number


_HYBRID = {"mamba_head_dim": 64, "num_layers": None, "pipeline_model_parallel_size": 2, "position_embedding_type": "rope"}


@pytest.mark.parametrize(
    ("pattern", "stages"),
    [
        # core/models/hybrid/hybrid_layer_allocation.py `select_pipeline_segment`: ranks take the segments in turns.
        ("M-M*|M-", [["M-M*"], ["M-"]]),
        ("M-|M*|-|MM*", [["M-", "-"], ["M*", "MM*"]]),
        ("M-M*M-", [["M-M"], ["*M-"]]),
    ],
)
def test_bars_divide_a_hybrid_s_pattern(pattern: str, stages: list[list[str]]) -> None:
    values = {**_DENSE, **{k.replace("_", "-"): v for k, v in _HYBRID.items()}, "hybrid-layer-pattern": pattern}
    a = Arguments("run.yaml", values, {})
    s, model = mm.read(a, 8)
    flat = pattern.replace("|", "")
    found = [["".join(flat[i] for i in chunk) for chunk in rank] for rank in mm.chunks(a, s, len(model.layers))]
    assert found == stages and s.virtual == len(stages[0])


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"hybrid_layer_pattern": "M-|M*|M-"}, "3 stages"),
        ({"hybrid_layer_pattern": "M-|M*", "num_virtual_stages_per_pipeline_rank": 2}, "--num-virtual-stages-per-pipeline-rank"),
        ({"hybrid_layer_pattern": "MGM*"}, "'G'"),
    ],
)
def test_patterns_that_megatron_does_not_take_are_named(more: dict[str, object], named: str) -> None:
    with pytest.raises((UsageError, UnsupportedError), match=named):
        _stage(**{**_HYBRID, **more})


def test_layers_ahead_of_a_hybrid_may_stand_apart() -> None:
    # training/arguments.py: --mtp-hybrid-override-pattern is appended once for each depth.
    one, other = (
        mm.read(Arguments("run.yaml", {**_DENSE, "num-layers": None, "position-embedding-type": "rope", **more}, {}), 8)
        for more in (
            {"hybrid-layer-pattern": "M-M*/*-/*-"},
            {"hybrid-override-pattern": "M-M*", "mtp-hybrid-override-pattern": "*-", "mtp-num-layers": 2},
        )
    )
    assert one == other and one[0].mtp == 2


def test_graphs_that_are_off_are_read() -> None:
    a = Arguments("run.yaml", {**_DENSE, "cuda-graph-impl": "none", "cuda-graph-modules": ["attn"]}, {})
    mm.read(a, 8)
    assert a.sorted()[2] == [] and a.used["--cuda-graph-modules"] == "attn"


def test_a_number_of_layers_ahead_beside_their_pattern_is_read() -> None:
    values = {**_DENSE, "num-layers": None, "position-embedding-type": "rope", "hybrid-layer-pattern": "M-M*/*-/*-"}
    a = Arguments("run.yaml", {**values, "mtp-num-layers": 2}, {})
    mm.read(a, 8)
    assert a.sorted()[2] == []


def test_a_hybrid_s_latent_attention_has_a_letter_of_its_own() -> None:
    widths = {"q_lora_rank": 64, "kv_lora_rank": 32, "qk_head_dim": 32, "qk_pos_emb_head_dim": 16, "v_head_dim": 32}
    both = {"num_layers": None, "hybrid_layer_pattern": "+-", "position_embedding_type": "rope"}
    plain = {"multi_latent_attention": True, "position_embedding_type": "rope", "num_layers": 1}
    assert _stage(**{**widths, **both}).params == _stage(**{**widths, **plain}).params


@pytest.mark.parametrize(("env", "found"), [({}, ":4096:8"), ({"CUBLAS_WORKSPACE_CONFIG": ":16:8"}, ":16:8")])
def test_deterministic_runs_set_the_work_space(env: dict[str, str], found: str) -> None:
    # training/determinism.py `apply_determinism_env`: what the launcher set stays.
    assert Arguments("run.yaml", {"deterministic-mode": True}, env).environment()["CUBLAS_WORKSPACE_CONFIG"] == found
    assert Arguments("run.yaml", {}, env).environment() == env


DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("row", [json.loads(line) for line in (DATA / "megatron_more.jsonl").open()], ids=lambda row: row["id"])
def test_recorded_runs_of_megatron_s_functional_tests(row: dict[str, Any]) -> None:
    # What the last rank of Megatron-LM's functional tests logged, with its own arguments.
    a = Arguments(row["id"], {k[2:]: v for k, v in row["args"].items()}, {k: str(v) for k, v in row["env"].items()})
    s, model = mm.read(a, row["n_gpus"])
    last = mm.chunks(a, s, len(model.layers))[-1]
    stage = mm.stage_of(s, model, s.pp - 1, last, hardware.parse_spec(row["gpu"]).device, a.env)
    assert stage.static == pytest.approx(row["allocated_bytes"], rel=0.01)
    assert stage.total == pytest.approx(row["max_allocated_bytes"], rel=0.05)


WORDS = (
    "--num-layers 4 --hidden-size 1024 --num-attention-heads 8 --seq-length 1024 --micro-batch-size 1 --vocab-size 1024 --bf16 "
    "--use-distributed-optimizer --swiglu --normalization RMSNorm --disable-bias-linear --attention-dropout 0 --hidden-dropout 0"
)
MATRICES = 4 * (4 * 1024 * 1024 + 3 * 1024 * 2688)  # SwiGLU's default width is 2/3 of 4 x 1,024, down to a multiple of 64.


def _fp8_stage(more: str, gpu: str = "h100-sxm-80gb", gpus: int = 8) -> mm.Stage:
    a = Arguments("run.sh", from_words(f"{WORDS} {more}".split()), {})
    s, model = mm.read(a, gpus)
    return mm.stage_of(s, model, 0, mm.chunks(a, s, len(model.layers))[0], hardware.parse_spec(gpu).device, {})


@pytest.mark.parametrize(
    ("more", "gpu", "each"),
    [
        # Bytes of a weight beside (or in place of) its two in half precision: rows, and columns where the GPU takes no other layout.
        ("--fp8-format hybrid", "h100-sxm-80gb", 2.0),
        ("--fp8-format hybrid", "b200-180gb", 1.0),
        ("--fp8-format hybrid --fp8-recipe tensorwise --fp8-param-gather", "h100-sxm-80gb", 0.0),
        ("--fp8-format hybrid --fp8-recipe tensorwise --fp8-param-gather", "b200-180gb", -1.0),
        ("--fp8-format e4m3 --fp8-recipe blockwise", "h100-sxm-80gb", 2 + 8 / 128**2),
        ("--fp8-format e4m3 --fp8-recipe mxfp8", "b200-180gb", 2 + 2 / 32),
        ("--fp8-format hybrid --fp8-recipe tensorwise --first-last-layers-bf16", "h100-sxm-80gb", 2 / 2),
    ],
)
def test_weights_in_fp8(more: str, gpu: str, each: float) -> None:
    assert _fp8_stage(more, gpu).weights - _fp8_stage("", gpu).weights == pytest.approx(each * MATRICES, rel=1e-6)


def test_what_matrices_read_is_kept_in_fp8() -> None:
    # Outputs of both norms and of the activation at a byte; the attention's output stays, and delayed scaling keeps it once more.
    plain, scaled, delayed = (_fp8_stage(more).activations for more in (
        "", "--fp8-format hybrid --fp8-recipe tensorwise", "--fp8-format hybrid",
    ))  # fmt: skip
    tokens = 1024
    assert plain["norm"] - scaled["norm"] == 4 * tokens * 2 * 1024
    assert plain["mlp"] - scaled["mlp"] == 4 * tokens * 2688
    assert plain["attention"] == scaled["attention"] == delayed["attention"] - 4 * tokens * 1024


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("--fp8-format e5m2", "--fp8-format e5m2"),
        ("--fp8-format hybrid --fp8-recipe custom", "--fp8-recipe custom"),
        ("--fp8-param-gather", "--fp8-param-gather"),
        ("--fp8-format hybrid --fp8-dot-product-attention", "--fp8-dot-product-attention"),
        ("--fp8-format hybrid --first-last-layers-bf16", "--first-last-layers-bf16"),
        ("--fp8-format hybrid --transformer-impl local", "--fp8-format"),
        ("--use-megatron-fsdp --fp8-format hybrid", "--use-megatron-fsdp"),
        ("--use-megatron-fsdp --optimizer sgd", "--optimizer sgd"),
        ("--use-megatron-fsdp --data-parallel-sharding-strategy zero", "--data-parallel-sharding-strategy zero"),
        ("--use-megatron-fsdp --megatron-fsdp-main-grads-dtype int8", "--megatron-fsdp-main-grads-dtype int8"),
        ("--cuda-graph-impl local", "--cuda-graph-impl"),
    ],
)
def test_what_fp8_and_fsdp_do_not_go_with_is_named(more: str, named: str) -> None:
    with pytest.raises((UsageError, UnsupportedError), match=named):
        _fp8_stage(more)


@pytest.mark.parametrize(("recipe", "gpu"), [("delayed", "A100"), ("blockwise", "L40S"), ("mxfp8", "H100")])
def test_gpus_that_do_not_multiply_in_fp8_are_named(recipe: str, gpu: str) -> None:
    # transformer_engine/pytorch/quantization.py: 8.9 for fp8, 9.0 for its blocks, 10.0 for MXFP8.
    with pytest.raises(UsageError, match=f"--fp8-recipe {recipe} needs compute capability"):
        refuse_gpu("run.sh", recipe, hardware.parse_spec(gpu).device)


def test_more_ranks_of_megatron_fsdp_never_need_more() -> None:
    for strategy in ("no_shard", "optim", "optim_grads", "optim_grads_params"):
        totals = [
            _fp8_stage(f"--use-megatron-fsdp --data-parallel-sharding-strategy {strategy}", gpus=n).static for n in (1, 2, 4, 8)
        ]
        assert totals == sorted(totals, reverse=True)
    by_strategy = [
        _fp8_stage(f"--use-megatron-fsdp --data-parallel-sharding-strategy {strategy}").static
        for strategy in ("no_shard", "optim", "optim_grads", "optim_grads_params")
    ]
    assert by_strategy == sorted(by_strategy, reverse=True) and len(set(by_strategy)) == 4


@pytest.mark.parametrize("words", ['--hybrid-layer-pattern "M*|-|"', "--num-layers 4 --pipeline-model-parallel-layout Ett|ttL"])
def test_stages_of_one_rank_are_refused(words: str, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_text(
        f"pretrain.py {words} --hidden-size 512 --num-attention-heads 8 --seq-length 128 --max-position-embeddings 128"
        " --micro-batch-size 1 --bf16 --vocab-size 32000\n",
        encoding="utf-8",
    )
    done = cli("train", "--recipe", str(path), "--gpu", "8xh100", "--offline")
    assert done.returncode == 2 and "--pipeline-model-parallel-size is 1" in done.stderr
