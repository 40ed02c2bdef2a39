"""Memory and cost of training: against runs measured on a GPU, against published formulas, PEFT's counts, and laws."""

from __future__ import annotations

import csv
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import hardware, zoo
from archcalc.analysis.activations import How, forward_peak
from archcalc.analysis.params import components
from archcalc.analysis.train_report import train_report
from archcalc.analysis.training import CUBLAS_BYTES, OPTIMIZERS, Memory, Planner, Run, limits, nf4_bytes, remedies, trainable, work
from archcalc.api import schema_model
from archcalc.arch import parse
from archcalc.errors import UsageError
from archcalc.figures import memory
from archcalc.loader import Loaded
from archcalc.model import Architecture
from archcalc.report import SourceInfo, TrainReport
from conftest import Run as Run_
from test_activations import GPT, SPECS, S, gpt
from training_logs import logs

DATA = Path(__file__).parent / "data"

# Those that are not bundled, as published (meta-llama/Llama-3.2-3B, Qwen/Qwen2.5-1.5B: config.json).
LLAMA_3B = {"hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 24, "head_dim": 128}
QWEN = {
    "model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
    "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True, "max_position_embeddings": 131072,
    "use_sliding_window": False, "sliding_window": 131072, "max_window_layers": 21,
}  # fmt: skip


def measured_model(name: str) -> Architecture:
    if name == "Qwen2.5-1.5B":
        return parse(QWEN)
    if name == "Llama-3.2-3B":
        return parse({**zoo.config("llama-3.2-1b"), **LLAMA_3B})
    return parse(zoo.config(name.lower()))


def peak(row: dict[str, str]) -> int:
    """The peak that PyTorch's allocator would show: transformers 4.57 with torch 2.14, which makes a mask in training, and not in
    inference; gradients are kept between steps (`zero_grad(set_to_none=False)`)."""
    a, words = measured_model(row["model"]), row["setting"].split()
    tokens, attention = int(words[2].removeprefix("s=")), words[3]
    if row["mode"] == "inference":
        weights = 2 * sum(c.total for c in components(a))
        cache = sum(k.bytes for k in memory.textbook(a, tokens, 1, 2))
        logits = 2 * tokens * (a.facts.vocab_size + 2 * a.facts.hidden_size)
        layer = forward_peak(a, How(attention=attention, tokens=tokens))  # type: ignore[arg-type]
        return weights + cache + max(logits, layer) + CUBLAS_BYTES
    lora = next((int(word.removeprefix("lora=")) for word in words if word.startswith("lora=")), 0)
    run = Run(
        tokens,
        precision="amp" if "amp" in words else "pure",
        attention="sdpa-mask" if attention == "sdpa" else "eager",
        lora=lora,
        targets=("attention",),
        keep_gradients=True,
    )
    return Planner(a).memory(run).total + CUBLAS_BYTES


def test_measured_runs() -> None:
    with open(DATA / "training_measured.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    errors = {f"{r['model']} {r['setting']}": abs(peak(r) / 1e9 / float(r["measured_peak_gb"]) - 1) for r in rows}
    assert max(errors.values()) < 0.01, errors
    assert statistics.median(errors.values()) < 0.0025, errors


def test_logs_of_frameworks() -> None:
    errors = [abs(error) for *_, error in logs()]
    assert statistics.median(errors) <= 0.10


def test_adapters_count_as_in_peft() -> None:
    """`scripts/build_training.py --lora`: PEFT 0.21 on transformers 5.23's models."""
    for line in (DATA / "lora.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        a = zoo.spec(row["model"])
        assert a is not None
        run = Run(1, lora=row["rank"], targets=tuple(row["targets"].split(",")))
        assert trainable(a, run) == (0, row["trainable"]), row
        assert trainable(a, run._replace(frozen=frozenset(["vision"]))) == (0, row["trainable"] - row["towers"]), row


# Published formulas


def test_zero_takes_sixteen_bytes_a_parameter() -> None:
    """Rajbhandari et al. 2019, arXiv:1910.02054, section 3.1: 16 bytes a parameter; figure 1: a 7.5B model on 64 GPUs takes 120,
    31.4, 16.6 and 1.9 GB without ZeRO and with its three stages."""
    a = gpt(32, 4096, 36)
    n = sum(c.total for c in components(a))
    assert n == pytest.approx(7.5e9, rel=0.01)
    planner = Planner(a)
    for stage, gb in ((0, 120), (1, 31.4), (2, 16.6), (3, 1.9)):
        m = planner.memory(Run(16, dp=64, zero=stage))
        states = sum(t.bytes for t in m.terms if t.group in ("weights", "gradients", "optimizer") and t.name != "weights gathered")
        assert states / 1e9 == pytest.approx(gb * n / 7.5e9, rel=0.02)
        exact = {0: 16, 1: 4 + 12 / 64, 2: 2 + 14 / 64, 3: 16 / 64}[stage]
        assert states == pytest.approx(exact * n, rel=1e-4)


@pytest.mark.parametrize(("name", "seconds", "mfu", "hfu"), [
    ("22B", 1.10, 0.415, 0.437), ("175B", 13.75, 0.514, 0.528), ("530B", 37.83, 0.560, 0.570), ("1T", 71.49, 0.563, 0.570),
])  # fmt: skip
def test_table_5_of_korthikanti(name: str, seconds: float, mfu: float, hfu: float) -> None:
    """Model and hardware FLOPs utilization of selective recomputation on A100s (312 TFLOP/s), from the published seconds of an
    iteration."""
    heads, hidden, layers, _, _, _, gpus, batch = GPT[name]
    a = gpt(heads, hidden, layers)
    w = work(a, Run(S, implementation="megatron", attention="eager", recompute="selective"))
    rate = batch * S / (seconds * gpus * 312e12)
    assert w.model * rate == pytest.approx(mfu, abs=0.003)
    # Its equation 8 adds the attention of forward and backward pass; what is made again is the forward pass alone, a third of that.
    assert (w.model + w.attention) * rate == pytest.approx(hfu, abs=0.003)
    assert w.hardware - w.model == w.attention // 3
    # Equation 7: 72 B L s h^2 (1 + s / 6h + v / 12hL).
    assert w.model * S == 72 * layers * S * hidden**2 + 12 * layers * S**2 * hidden + 6 * S * hidden * 51200


@pytest.mark.parametrize("name", ["22B", "175B", "530B", "1T"])
def test_megatrons_models_fit_their_gpus_only_as_published(name: str) -> None:
    """Figure 1 of Korthikanti et al. 2022: with tensor parallelism alone each model is beyond the 80 GB of an A100, with sequence
    parallelism and selective recomputation each is below. Section 5: activations are then a fifth of what they were."""
    heads, hidden, layers, t, p, b, _, batch = GPT[name]
    planner = Planner(gpt(heads, hidden, layers))
    run = Run(
        S, b, implementation="megatron", attention="eager", tp=t, pp=p, micro_batches=batch // b, interleave=3 if 1 < p < 64 else 1
    )
    baseline = planner.memory(run)
    present = planner.memory(run._replace(sequence=True, recompute="selective"))
    assert present.total < 80e9 < baseline.total
    assert 4 < baseline.of("activations") / present.of("activations") < 6


def test_nf4_takes_4_127_bits() -> None:
    """Dettmers et al. 2023, arXiv:2305.14314, section 3: scales take 0.5 bits a parameter, 0.127 with double quantization."""
    n = 1 << 24
    assert nf4_bytes(n, double=False) * 8 / n == 4.5
    assert nf4_bytes(n, double=True) * 8 / n == pytest.approx(4.127, abs=0.0005)


def test_palm_counts_operations_as_its_appendix_says() -> None:
    """Chowdhery et al. 2022, arXiv:2204.02311, appendix B: 6N + 12LHQT a token, N without the embedding that is looked up."""
    a = SPECS["llama-3.1-8b"]
    matrices = sum(c.total for c in components(a) if c.part != "embedding" and c.role != "norm")
    assert work(a, Run(8192)).model == 6 * matrices + 12 * 32 * 32 * 128 * 8192
    # A mixture counts what a token visits.
    moe = SPECS["qwen3-30b-a3b"]
    assert work(moe, Run(4096)).six_n == 6 * sum(c.active for c in components(moe) if c.part != "embedding" and c.role != "norm")


# Laws

models = st.sampled_from(sorted(SPECS))
PLANNERS = {name: Planner(spec) for name, spec in SPECS.items()}
runs = st.builds(
    # Not `Run` itself: hypothesis would fill in the fields that are left out.
    lambda **fields: Run(**fields),  # noqa: PLW0108
    seq=st.sampled_from([64, 512, 1024]),
    micro_batch=st.integers(1, 4),
    precision=st.sampled_from(["mixed", "amp", "pure", "fp32"]),
    optimizer=st.sampled_from(OPTIMIZERS),
    implementation=st.sampled_from(["transformers", "megatron"]),
    attention=st.sampled_from(["sdpa", "flash"]),
    recompute=st.sampled_from(["none", "selective", "full"]),
    loss=st.sampled_from(["full", "chunked", "fused"]),
    micro_batches=st.integers(1, 8),
    lora=st.sampled_from([0, 16]),
    ema=st.booleans(),
)


def plan(name: str, run: Run) -> Memory:
    return PLANNERS[name].memory(run)


@settings(deadline=None)
@given(models, runs)
def test_parts_add_up(name: str, run: Run) -> None:
    m = plan(name, run)
    assert sum(t.bytes for t in m.terms) == m.total == max(size for _, size in m.moments)
    assert all(t.bytes > 0 for t in m.terms)


@settings(deadline=None)
@given(models, runs, st.sampled_from(["tp", "dp", "cp", "pp"]), st.sampled_from([2, 4]))
def test_more_ranks_never_need_more_each(name: str, run: Run, ways: str, n: int) -> None:
    if ways == "tp" and SPECS[name].facts.heads % n:
        return
    # Data parallelism keeps its gradients in buckets; a GPU alone need not keep them.
    alone = plan(name, run._replace(keep_gradients=ways == "dp" or run.keep_gradients))
    try:
        split = plan(name, run._replace(**{ways: n, "zero": 1}))
    except UsageError:
        return
    # Stages after the first hold fewer micro-batches; a tied head stands on the last one too.
    tied = SPECS[name].facts.tied_embeddings and ways == "pp"
    assert tied or split.total <= alone.total


@settings(deadline=None)
@given(models, runs)
def test_checkpointing_never_needs_more(name: str, run: Run) -> None:
    none, selective, full = (plan(name, run._replace(recompute=way)) for way in ("none", "selective", "full"))
    assert full.total <= none.total
    assert selective.total <= none.total


@settings(deadline=None)
@given(models, runs, st.integers(2, 64))
def test_each_stage_of_zero_needs_less(name: str, run: Run, dp: int) -> None:
    zero, one, two = (plan(name, run._replace(dp=dp, zero=stage)).total for stage in range(3))
    assert two <= one <= zero


@settings(deadline=None)
@given(models, runs)
def test_cheaper_states_need_less(name: str, run: Run) -> None:
    run = run._replace(lora=0)
    size = {
        o: plan(name, run._replace(optimizer=o)).of("optimizer") for o in ("adamw-fused", "adamw-8bit", "lion", "lion-8bit", "sgd")
    }
    assert size["sgd"] <= size["lion-8bit"] <= size["lion"] <= size["adamw-fused"]
    assert size["adamw-8bit"] <= size["adamw-fused"]
    adapter = plan(name, run._replace(lora=16)).of("optimizer", "gradients")
    assert adapter < plan(name, run).of("optimizer", "gradients") or run.optimizer == "sgd"


@settings(deadline=None, max_examples=20)
@given(models, runs, st.integers(20, 500))
def test_limits_and_remedies_fit(name: str, run: Run, gb: int) -> None:
    planner, budget = PLANNERS[name], gb * 10**9
    most = limits(planner, run, budget)
    for count, change in ((most.micro_batch, {"micro_batch": most.micro_batch}), (most.seq, {"seq": most.seq})):
        assert not count or planner.memory(run._replace(**change)).total <= budget
    if most.micro_batch and most.micro_batch < 1000:
        assert planner.memory(run._replace(micro_batch=most.micro_batch + 1)).total > budget
    assert bool(most.micro_batch >= run.micro_batch) == (planner.memory(run).total <= budget)
    assert all(r.total <= budget for r in remedies(planner, run, budget))


@settings(deadline=None, max_examples=40)
@given(models, runs)
def test_a_run_takes_no_less_than_its_weights_and_states(name: str, run: Run) -> None:
    """What a choice of plans rules out before it counts activations."""
    planner = PLANNERS[name]
    assert 0 < planner.least(run) <= planner.total(run)


def test_a_run_takes_under_two_milliseconds_and_its_report_under_eight() -> None:
    """In the processor's time: another process may have its turn."""
    spec = hardware.parse_spec("256xH100")
    for name, a in SPECS.items():
        assert _seconds(lambda a: Planner(a).memory(Run(1024, dp=8, zero=1)), a) < 0.002, name
        report = partial(train_report, run=Run(1024), gpus=spec, given=frozenset({"seq"}))
        assert _seconds(report, loaded(name)) < 0.008, name


def _seconds(work: Callable[[Any], object], given: object) -> float:
    """The least of five times."""
    took = []
    for _ in range(5):
        start = time.process_time()
        work(given)
        took.append(time.process_time() - start)
    return min(took)


# The report and the rules


def loaded(name: str) -> Loaded:
    return Loaded(SourceInfo(name, "bundled", "hf-config"), SPECS[name])


def test_report_of_a_machine() -> None:
    r = train_report(loaded("llama-3.1-8b"), Run(8192), gpus=hardware.parse_spec("8xH100"), tokens=10**12)
    assert r.fits is False
    assert r.gpus == 8
    assert r.plan.dp == 8
    g = r.per_gpu
    assert g.total_bytes == g.weights_bytes + g.gradients_bytes + g.optimizer_bytes + g.activations_bytes + g.logits_bytes
    assert g.weights_bytes == 2 * r.params
    assert g.optimizer_bytes == 12 * r.params
    assert r.would_fit
    assert r.work.gpu_hours is not None
    assert r.work.usd is not None
    assert r.work.chinchilla_tokens == 20 * r.params


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("gpt2", {"seq": 4096}, "learned positions for 1,024"),
    ("llama-3.1-8b", {"tp": 3}, "does not divide the 32 attention heads"),
    ("llama-3.1-8b", {"lora": 16, "targets": ("query",)}, "matches no linear module"),
    ("qwen3-30b-a3b", {"lora": 16, "targets": ("up_proj",)}, "without gate_proj"),
    ("llama-3.1-8b", {"pp": 4, "zero": 3}, "ZeRO 3 with --pp 4"),
    ("llama-3.1-8b", {"pp": 4, "zero": 2, "dp": 8}, "ZeRO 2 with --pp 4"),
    ("llama-3.1-8b", {"pp": 64}, "more stages than the 32 layers"),
    ("llama-3.1-8b", {"pp": 3, "interleave": 2}, "must divide by stages x chunks"),
    ("llama-3.1-8b", {"ep": 2}, "no routed experts"),
    ("qwen3-30b-a3b", {"ep": 3, "dp": 3}, "does not divide the 128 routed experts"),
    ("qwen3-30b-a3b", {"ep": 8, "dp": 4}, "takes its ranks from"),
    ("llama-3.1-8b", {"cp": 2, "attention": "eager"}, "does not go with --attention eager"),
    ("llama-3.1-8b", {"cp": 3}, "does not divide the sequence"),
    ("llama-3.1-8b", {"sequence": True}, "needs --tp above 1"),
    ("llama-3.1-8b", {"fsdp": 8, "zero": 2}, "both shard the states"),
    ("llama-3.1-8b", {"quant": "nf4"}, "cannot be trained"),
    ("llama-3.1-8b", {"micro_batch": 0}, "at least 1"),
]


@pytest.mark.parametrize(("name", "changes", "message"), BROKEN)
def test_broken_rules_are_named(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Planner(SPECS[name]).memory(Run(**{"seq": 1024, **changes}))
    assert caught.value.message
    assert len(caught.value.message) < 250


# The command line

KEYS = {"weights_bytes", "gradients_bytes", "optimizer_bytes", "activations_bytes", "logits_bytes", "total_bytes"}


def test_json_has_the_keys_of_the_contract(run: Run_) -> None:
    done = run(
        "train",
        "llama-3.1-8b",
        "--seq",
        "8k",
        "--micro-batch",
        "1",
        "--gpu",
        "8xH100",
        "--fsdp",
        "8",
        "--checkpointing",
        "full",
        "--format",
        "json",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"source", "params", "trainable_params", "per_gpu", "fits", "notes"} <= found.keys()
    assert found["per_gpu"].keys() >= KEYS
    assert all(isinstance(found["per_gpu"][key], int) for key in KEYS)
    assert found["params"] == found["trainable_params"] == 8_030_261_248
    assert found["fits"] is True
    schema_model(TrainReport).model_validate(found)


def test_without_a_gpu_nothing_is_judged(run: Run_) -> None:
    done = run("train", "gpt2", "llama-9", "--seq", "512", "--format", "jsonl")
    first, second = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert first["fits"] is None
    assert first["max_seq_tokens"] is None
    assert first["work"]["tokens_per_s"] is None
    assert second["error"]["code"] == "not-found"


@pytest.mark.parametrize("form", ["table", "markdown", "csv"])
def test_formats(run: Run_, form: str) -> None:
    done = run("train", "qwen3-30b-a3b", "--seq", "4k", "--gpu", "4090", "--lora", "8", "--qlora", "--tokens", "10B", "-f", form)
    assert (done.returncode, done.stderr) == (1, "")
    assert "qwen3-30b-a3b" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120 or form != "table"


@pytest.mark.parametrize(("options", "message"), [
    (["--seq", "4k"], "learned positions"),
    (["--seq", "1k", "--mfu", "2"], "--mfu 2"),
    (["--seq", "1k", "--freeze", "middle"], "no part or role"),
    (["--seq", "1k", "--grad-dtype", "fp8"], "--grad-dtype fp8"),
    (["--seq", "1k", "--moment-dtype", "int8"], "--moment-dtype int8"),
    (["--seq", "1k", "--moment-dtype", "bf16"], "--moment-dtype"),
    (["--seq", "1k", "--moment-dtype", "bf16", "--implementation", "megatron", "--zero", "0", "--gpu", "8xH100"], "--zero 1"),
    (["--seq", "1k", "--moment-dtype", "bf16", "--implementation", "megatron", "--optimizer", "sgd"], "--optimizer adamw"),
    (["--seq", "1k", "--gpu", "8xH100", "--tp", "5"], "does not divide the 12"),
    (["--seq", "1k", "--gpu", "8xH100", "--fsdp", "6"], "their product must be"),
    (["--seq", "1k", "--optimizer", "adam"], "is not one of"),
])  # fmt: skip
def test_calls_that_are_wrong(run: Run_, options: list[str], message: str) -> None:
    done = run("train", "gpt2", *options)
    assert done.returncode == 2
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


LORA_TARGETS = [
    # As PEFT 0.21 matches them, tuners/tuners_utils.py `check_target_module_exists`.
    ("self_attn.q_proj,self_attn.v_proj", "q_proj,v_proj"),
    (r".*\.self_attn\.(q|v)_proj", "q_proj,v_proj"),
    (r".*layers\.[0-9]+\.mlp\..*", "gate_proj,up_proj,down_proj"),
    ("mlp.down_proj", "down_proj"),
]


@pytest.mark.parametrize(("given", "same"), LORA_TARGETS)
def test_adapter_targets_are_ends_of_module_names(given: str, same: str) -> None:
    from archcalc.analysis.training.adapters import split_targets

    a = zoo.spec("qwen3-8b")
    assert a is not None
    got = [Planner(a).memory(Run(2048, lora=8, targets=split_targets(text))) for text in (given, same)]
    assert got[0] == got[1]


def test_a_target_of_some_layers_is_refused_by_name(run: Run_) -> None:
    for target, said in (
        ("layers.3.mlp.down_proj", "in 1 of 36 layers"),
        ("proj", "matches no linear module"),
        ("(", "no regular expression"),
        # Python's `re` would backtrack over this one for longer than anyone waits.
        ("([a-z._0-9]+)+!", "matches no linear module"),
    ):
        done = run("train", "qwen3-8b", "--seq", "2k", "--lora", "8", "--lora-targets", target)
        assert done.returncode == 2
        assert said in done.stderr


def test_a_run_that_does_not_fit_ends_with_1(run: Run_) -> None:
    assert run("train", "llama-3.1-8b", "--gpu", "4090", "--seq", "2k").returncode == 1
    assert run("train", "gpt2", "--gpu", "4090", "--seq", "1k").returncode == 0
    assert run("train", "llama-3.1-8b", "--seq", "2k").returncode == 0


@pytest.mark.parametrize(("changes", "late"), [
    # 2.13, torch/distributed/tensor/parallel/loss.py: four of fp32 in the backward pass, of the rank's part of the vocabulary.
    ({"tp": 2, "sequence": True}, lambda v: (2 + 16) * v // 2), ({"tp": 2, "sequence": True, "output_freed": True}, lambda v: 16 * v // 2),
    # A head whose outputs are gathered (transformers 5.24, `colwise_gather_output`): whole logits, and a loss as on one GPU.
    ({"tp": 2, "gathered_logits": True}, lambda v: (2 + 12) * v), ({"tp": 1}, lambda v: (2 + 12) * v),
])  # fmt: skip
def test_logits_of_tensor_parallel_ranks(changes: dict[str, Any], late: Callable[[int], int]) -> None:
    a, tokens = SPECS["llama-3.1-8b"], 2048
    for word in ("start of the backward pass", "end of the forward pass"):
        found = {
            loss: dict(Planner(a).memory(Run(tokens, precision="pure", recompute="full", loss=loss, **changes)).moments)[word]  # type: ignore[arg-type]
            for loss in ("full", "none")
        }
        held = 2 * tokens * a.facts.vocab_size // (1 if changes.get("gathered_logits") else changes["tp"])
        if word.startswith("start"):
            targets = 8 * (tokens + 1) + 4
            assert found["full"] - found["none"] + held == tokens * late(a.facts.vocab_size) + targets
        else:
            assert found["full"] >= found["none"]


def test_logs_of_torchtitan() -> None:
    """All but the largest, whose pipeline's schedule is not stated, and one whose compiler made less of it."""
    errors = {row["id"]: error for row, _, _, error in logs() if row["engine"] == "torchtitan"}
    assert sum(abs(error) <= 0.1 for error in errors.values()) >= 13, errors


@pytest.mark.parametrize("gpu", [[], ["--gpu", "8xH100"]])
def test_moments_choose_the_optimizer_that_has_them(run: Run_, gpu: list[str]) -> None:
    words = ["--seq", "1k", "--implementation", "megatron", "--moment-dtype", "bf16", *gpu, "--format", "json"]
    found = json.loads(run("train", "gpt2", *words).stdout)
    assert found["plan"]["zero"] == 1 and "6 B in all" in next(t["formula"] for t in found["terms"] if t["name"] == "optimizer")


TITAN = {"attention": "flash", "recompute": "selective", "head_in_chunks": True, "optimizer": "adamw-fused", "ends_apart": True}


@pytest.mark.parametrize(("changes", "of_head"), [({"fsdp": 8}, 6), ({"precision": "amp"}, 4), ({"precision": "pure"}, 2)])
@pytest.mark.parametrize("chunks", [4, 8])
def test_a_head_in_chunks_holds_one_of_them(changes: dict[str, Any], of_head: int, chunks: int) -> None:
    # torchtitan, components/loss.py `ChunkedLossWrapper`: logits of a chunk and their gradient in bf16; gradients of the head's input in
    # fp32, and of the head (FSDP2: an fp32 sum beside the one that is added).
    tokens, vocab, hidden = 4096, 128256, 4096  # Llama 3.1 8B's config.json.
    planner = Planner(parse(zoo.config("llama-3.1-8b")))
    run = Run(tokens, **{**TITAN, **changes}, loss="chunked", chunks=chunks)
    found = planner.memory(run._replace(recompute="none")).logits
    assert found == 4 * tokens * vocab // chunks + 4 * tokens * hidden + of_head * vocab * hidden + 8 * (tokens + 1) + 4


@pytest.mark.parametrize(
    ("words", "loss"),
    [
        ("--framework torchtitan", "compiled"),
        ("--framework torchtitan --framework-version 0.2.2", "compiled"),
        ("--framework torchtitan --framework-version 0.3", "chunked"),
        ("--framework torchtitan --framework-version 0.3 --loss full", "full"),
    ],
)
def test_torchtitan_s_loss_follows_its_release(run: Run_, words: str, loss: str) -> None:
    done = run("train", "llama-3.1-8b", "--seq", "4k", "--gpu", "8xH100", "--fsdp", "8", *words.split(), "--format", "json")
    assert json.loads(done.stdout)["plan"]["loss"] == loss
