"""What engines leave for the cache: laws, defaults, and the logs of real runs."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archcalc import hardware, zoo
from archcalc.arch import parse
from archcalc.engines.budget import Budget, Serving, budget
from archcalc.engines.placement import Placement, rank_weights, why_not
from archcalc.engines.vllm.budget import batch_defaults, capture_sizes, runs_v0
from archcalc.engines.weights import WeightOptions
from archcalc.errors import UsageError
from archcalc.hardware import Device
from archcalc.model import Architecture

ROOT = Path(__file__).resolve().parent.parent
SPECS: dict[str, Architecture] = {name: parse(zoo.config(name)) for name in zoo.names()}
GIB = 1 << 30
models = st.sampled_from(sorted(SPECS))
devices = st.sampled_from([d for d in hardware.devices() if d.vendor in ("nvidia", "amd", "intel")])
versions = st.sampled_from([None, "0.6.4", "0.7.3", "0.8.5", "0.11.0", "0.19.0", "0.24.0", "0.33.0"])


def load_report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_log_report", ROOT / "scripts" / "engine_log_report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


REPORT = load_report()
RESULTS = [REPORT.evaluate(row) for row in REPORT.rows()]
SCORE = REPORT.score(RESULTS)


def made(a: Architecture, device: Device, serving: Serving, tp: int = 1) -> Budget:
    placement = Placement(tp)
    return budget(device, a, placement, rank_weights(a, placement, WeightOptions(serving.engine, serving.version, device)), serving)


# Logs


def test_weights_are_those_of_the_logs() -> None:
    assert sum(error <= 0.015 for error in SCORE.weights) >= 0.95 * len(SCORE.weights) >= 20


def test_the_room_is_that_of_the_logs_given_activation_and_overhead() -> None:
    assert len(SCORE.given) >= 15
    assert statistics.median(SCORE.given) <= 0.03
    assert REPORT.percentile(SCORE.given, 0.9) <= 0.10


def test_the_room_is_that_of_the_logs_all_predicted() -> None:
    assert len(SCORE.predicted) >= 20
    assert statistics.median(SCORE.predicted) <= 0.05
    assert REPORT.percentile(SCORE.predicted, 0.9) <= 0.15


def test_no_strict_verdict_is_wrong() -> None:
    assert [r.row["id"] for r in REPORT.wrong_verdicts(RESULTS) if r.strict] == []


def test_every_exception_has_a_reason() -> None:
    for r in RESULTS:
        if r.strict and any(
            abs(e or 0) > limit for e, limit in ((r.weights_error, 0.015), (r.given_error, 0.1), (r.predicted_error, 0.15))
        ):
            assert r.row.get("reasons"), r.row["id"]


def test_every_row_has_a_source() -> None:
    assert all(row["source_url"] for row in REPORT.rows())


def test_the_page_is_up_to_date_and_what_users_get_is_right() -> None:
    asked = REPORT.answers()
    assert REPORT.PAGE.read_text(encoding="utf-8") == REPORT.page(RESULTS, asked)
    weights = [abs(a.weights_error) for a in asked if a.weights_error is not None]
    rooms = [abs(a.room_error) for a in asked if a.room_error is not None]
    assert sum(error <= 0.015 for error in weights) >= 0.9 * len(weights) >= 25
    assert len(rooms) >= 25
    assert statistics.median(rooms) <= 0.015
    # A verdict that differs from the log's has its reason beside it.
    assert all(a.row.get("reasons") for a in asked if a.wrong_verdict)


# Laws


@given(models, devices, st.sampled_from(["vllm", "sglang", "transformers"]), versions)
def test_parts_add_up(name: str, device: Device, engine: str, version: str | None) -> None:
    b = made(SPECS[name], device, Serving(engine, version if engine == "vllm" else None))
    assert b.weights_bytes + b.activation_bytes + b.overhead_bytes + b.kv_room_bytes == b.budget_bytes <= b.memory_bytes
    assert sum(t.bytes for t in b.activation_terms) == b.activation_bytes
    assert sum(t.bytes for t in b.overhead_terms) == b.overhead_bytes
    assert all(t.bytes >= 0 and t.formula and t.source for t in (*b.activation_terms, *b.overhead_terms))


@given(models, devices, versions, st.integers(1, 512), st.integers(1, 512), st.integers(1, 16384), st.integers(0, 16384))
def test_more_at_once_never_leaves_more_room(
    name: str, device: Device, version: str | None, few: int, more: int, tokens: int, extra: int
) -> None:
    small = Serving("vllm", version, batched_tokens=tokens, sequences=few)
    large = small._replace(batched_tokens=tokens + extra, sequences=few + more)
    a = SPECS[name]
    assert made(a, device, large).kv_room_bytes <= made(a, device, small).kv_room_bytes


@given(models, devices, st.floats(0.1, 0.99), st.floats(0, 0.01))
def test_a_larger_share_never_leaves_less_room(name: str, device: Device, share: float, more: float) -> None:
    some, rest = (made(SPECS[name], device, Serving(utilization=s)).kv_room_bytes for s in (share, share + more))
    assert some <= rest


@given(models, devices, st.sampled_from([1, 2, 4]))
def test_activations_shrink_with_tensor_parallelism(name: str, device: Device, tp: int) -> None:
    a = SPECS[name]
    assume(not why_not(a, Placement(2 * tp), WeightOptions()))
    serving = Serving(batched_tokens=16384, sequences=1)
    assert made(a, device, serving, 2 * tp).activation_bytes <= made(a, device, serving, tp).activation_bytes


# Rules


# Other memory than weights and activations, in GiB, as logs have it: what GPUs of one machine share over links of their own, over a bridge
# that joins two of the four, and what the engine's processes hold of a memory that is the CPU's too.
@pytest.mark.parametrize(
    ("name", "gpu", "tp", "version", "low", "high", "terms"),
    [
        # Index no. 34802511869: 0.09 GiB where four A30 are two pairs; no custom all-reduce on "more than two PCIe-only GPUs".
        ("gpt2", "a30", 4, "0.11.1", 0.09, 0.4, {"libraries", "collectives"}),
        # Two of them are joined, and so are the H200 of a machine: index no. 69102865712, 1.74 GiB on eight.
        ("gpt2", "a30", 2, "0.11.1", 0.9, 1.5, {"libraries", "collectives"}),
        ("glm-5.3-flash", "h200-sxm-141gb", 8, "0.30.0", 0.9, 1.74, {"libraries", "collectives", "penalties"}),
        # Index nos. 68927088569 and 61222544093: 2.23 and 4.64 GiB; of a card with memory of its own 0.27 (58522340114).
        ("qwen3-0.6b", "gb10-dgx-spark", 1, "0.27.1", 2.0, 3.0, {"libraries", "penalties", "host memory"}),
        ("qwen3.5-27b", "gb10-dgx-spark", 1, "0.27.1", 2.0, 4.64, {"libraries", "host memory"}),
        ("qwen3-8b", "rtx-4090", 1, "0.27.1", 0.2, 0.35, {"libraries", "penalties"}),
        # AMD's and Intel's are not asked whether they share the memory: index no. 60894101463, 0.56 GiB on a Strix Halo.
        ("qwen3.5-27b", "ryzen-ai-max-395", 1, "0.28.0", 0.2, 0.6, {"libraries"}),
    ],
)
def test_other_memory_is_that_of_the_machine(
    name: str, gpu: str, tp: int, version: str, low: float, high: float, terms: set[str]
) -> None:
    b = made(SPECS[name], hardware.device(gpu), Serving("vllm", version, eager=True), tp)
    assert {t.name for t in b.overhead_terms} == terms
    assert low <= b.overhead_bytes / GIB <= high


@pytest.mark.parametrize(
    ("gpu", "version", "found"),
    [
        ("h100-sxm-80gb", None, (8192, 1024)),
        ("b200-180gb", None, (16384, 1024)),
        ("a100-sxm-80gb", None, (2048, 256)),
        ("a100-sxm-80gb", "0.8.5", (8192, 1024)),
        ("rtx-4090", None, (2048, 256)),
        ("gb10", None, (2048, 256)),
        ("rtx-4090", "0.7.3", (2048, 256)),
        ("t4", "0.9.2", (2048, 256)),
    ],
)
def test_batches_by_default(gpu: str, version: str | None, found: tuple[int, int]) -> None:
    serving = Serving("vllm", version, context_tokens=131072)
    assert batch_defaults(hardware.device(gpu), SPECS["llama-3.1-8b"], serving) == found


def test_the_first_engine_batches_whole_prompts() -> None:
    gpu, a = hardware.device("rtx-3090"), SPECS["llama-3.1-8b"]
    assert batch_defaults(gpu, a, Serving("vllm", "0.6.4", context_tokens=20000)) == (20000, 256)
    assert batch_defaults(gpu, a, Serving("vllm", "0.6.4", context_tokens=40000)) == (512, 256)


@pytest.mark.parametrize(
    ("gpu", "version", "first"),
    [("h100-sxm-80gb", "0.7.3", True), ("h100-sxm-80gb", "0.8.5", False), ("t4", "0.8.5", True), ("t4", None, False)],
)
def test_which_engine_of_vllm_runs(gpu: str, version: str, first: bool) -> None:
    assert runs_v0(hardware.device(gpu), version) is first


def test_graphs_are_captured_up_to_twice_the_sequences() -> None:
    assert capture_sizes(256, 8192) == (51, 35)
    assert capture_sizes(2, 8192) == (3, 2)


def test_eager_mode_and_old_versions_reserve_nothing_for_graphs() -> None:
    a, gpu = SPECS["llama-3.1-8b"], hardware.device("h100-sxm-80gb")
    graphs = [
        sum(t.bytes for t in made(a, gpu, s).overhead_terms if t.name == "CUDA graphs")
        for s in (Serving(), Serving(eager=True), Serving(version="0.19.0"))
    ]
    assert graphs[0] > 0 == graphs[1] == graphs[2]


def test_the_share_rose_when_graphs_began_to_count() -> None:
    a, gpu = SPECS["llama-3.1-8b"], hardware.device("h100-sxm-80gb")
    assert [made(a, gpu, Serving(version=v)).utilization for v in ("0.6.4", "0.19.0", "0.24.0", None)] == [0.9, 0.9, 0.92, 0.92]


@pytest.mark.parametrize("share", [0, -0.1, 1.1, 90])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(UsageError):
        made(SPECS["llama-3.1-8b"], hardware.device("h100-sxm-80gb"), Serving(utilization=share))


def test_what_does_not_fit_has_negative_room() -> None:
    assert made(SPECS["llama-3.1-70b"], hardware.device("rtx-4090"), Serving()).kv_room_bytes < -100 * GIB


@pytest.mark.parametrize(
    ("name", "context", "sequences", "flash", "mib"),
    [
        # Compute buffers that llama.cpp logged, 2025 and 2026: gpt-oss on an M5, Qwen3.6-27B b9026 and another build, Qwen3.5-9B on a
        # 12 GB card and under Vulkan, Llama 70B over RPC, Qwen3-8B in LM Studio.
        ("gpt-oss-20b", 131072, 1, True, 420),
        ("qwen3.5-27b", 262144, 1, True, 836),
        ("qwen3.5-27b", 131072, 1, True, 495),
        ("qwen3.5-9b", 262144, 1, True, 808.02),
        ("qwen3.5-9b", 8192, 1, True, 498),
        ("llama-3.1-70b", 4096, 1, False, 588.01),
        ("qwen3-8b", 131072, 1, False, 9240),
    ],
)
def test_llama_cpp_computes_in_the_larger_of_two_moments(name: str, context: int, sequences: int, flash: bool, mib: float) -> None:
    from archcalc.engines._allocation import Workload
    from archcalc.engines.llamacpp import cache as llamacpp

    found = llamacpp.allocate(SPECS[name], Workload(context, sequences), llamacpp.CacheOptions(flash_attn=flash))
    assert found.details["compute_buffer_bytes"] / 2**20 == pytest.approx(mib, rel=0.02 if flash else 0.10)


@pytest.mark.parametrize(
    ("name", "context", "options", "mib"),
    [
        # Two A40 and SmolLM2 135M with four slots: masks and hidden states in four copies on each.
        ("smollm2-135m", 8192, {"n_outputs": 4, "copies": 4, "wide_masks": False}, 48.91),
        # Four GPUs, Qwen3.5 122B with a micro-batch of 1,586: the first holds no head and experts of 528 MiB in Q5_K lie in the CPU's
        # memory, the next neither, the last has the logits.
        ("qwen3.5-122b-a10b", 32768, {"n_ubatch": 1586, "streamed_bytes": 528 << 20, "head_here": False}, 980.36),
        ("qwen3.5-122b-a10b", 32768, {"n_ubatch": 1586, "head_here": False, "here": frozenset(range(12, 24))}, 452.31),
        ("qwen3.5-122b-a10b", 32768, {"n_ubatch": 1586}, 1558.12),
        # Without flash attention the scores are freed before experts are brought to the GPU.
        ("qwen3-30b-a3b", 16384, {"flash_attn": False, "streamed_bytes": 165_150_720}, 1080),
        # Llama 3 8B's head of 411 MiB in Q6_K in the CPU's memory, before the output layer counted first among -ngl.
        ("llama-3.1-8b", 8192, {"streamed_head_bytes": 128256 * 4096 * 210 // 256}, 669.48),
        # A server that drafts three tokens with MTP.
        ("qwen3.5-27b", 32768, {"n_outputs": 4, "wide_masks": False}, 154.02),
        ("qwen3.5-27b", 200192, {}, 654.78),
    ],
)
def test_what_llama_cpp_computes_in_beside_the_cpu_and_on_several_gpus(
    name: str, context: int, options: dict[str, Any], mib: float
) -> None:
    from archcalc.engines._allocation import Workload
    from archcalc.engines.llamacpp import cache as llamacpp

    found = llamacpp.allocate(SPECS[name], Workload(context, 1), llamacpp.CacheOptions(**options))
    assert found.details["compute_buffer_bytes"] / 2**20 == pytest.approx(mib, rel=0.055)


def test_llama_cpp_counts_its_buffers() -> None:
    a, gpu = SPECS["llama-3.1-8b"], hardware.device("rtx-4090")
    short, long = (made(a, gpu, Serving("llama.cpp", context_tokens=n)) for n in (98304, 131072))
    assert short.kv_room_bytes - long.kv_room_bytes == (131072 - 98304) * 512 * 6
