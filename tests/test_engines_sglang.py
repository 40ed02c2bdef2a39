"""SGLang's pools, by hand and against what it logged."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines._allocation import Workload
from archcalc.engines.engine import engine
from archcalc.engines.sglang.cache import CacheOptions, allocate, cells, memory_fraction, pools, slots_per_request
from archcalc.errors import ArchcalcError, UnsupportedError
from archcalc.model import Architecture
from conftest import Run


def model(name: str) -> Architecture:
    return parse(zoo.config(name))


def test_a_pool_of_tokens_and_a_page() -> None:
    made = allocate(model("llama-3.1-8b"), Workload(4096, 2))
    assert made.bytes == 32 * 8 * 256 * 2 * (2 * 4096 + 1)
    paged = allocate(model("llama-3.1-8b"), Workload(4097, 2), CacheOptions(page_size=64))
    assert paged.bytes == 32 * 8 * 256 * 2 * (2 * 4160 + 64)


def test_sliding_layers_have_their_share_of_slots() -> None:
    made = allocate(model("gpt-oss-20b"), Workload(65536))
    by_kind = {f.kind: f.bytes for f in made.figures}
    layer = 12 * 8 * 128 * 2
    assert by_kind == {"full": layer * 65537, "sliding": layer * (int(65536 * 0.8) + 1)}
    half = allocate(model("gpt-oss-20b"), Workload(65536), CacheOptions(swa_full_tokens_ratio=0.5))
    assert half.details["swa_token_slots"] == 32768


def test_windows_of_models_without_a_pool_for_them() -> None:
    made = allocate(model("gemma-3-27b"), Workload(32768))
    assert made.bytes == 62 * 16 * 256 * 2 * 32769
    assert "windows ignored" in made.rule


def test_a_window_never_shrinks_below_what_admits_a_request() -> None:
    made = allocate(model("gpt-oss-20b"), Workload(100))
    assert made.details["swa_token_slots"] > 128
    assert "--swa-full-tokens-ratio" in made.notes[0]


def test_states_are_tracked_for_the_radix_cache() -> None:
    a = model("qwen3.5-27b")
    one = 48 * (10240 * 3 * 2 + 48 * 128 * 128 * 4)
    assert cells(a, "auto", CacheOptions()) == (Fraction(65536), 0, one, 0, 0)
    assert allocate(a, Workload(1024, 2)).state_bytes == one * (2 * 5 + 1)
    assert allocate(a, Workload(1024, 2), CacheOptions(radix_cache=False)).state_bytes == one * 3
    assert slots_per_request(a, CacheOptions()) == 5


def test_pools_as_logged() -> None:
    # Qwen3.8-27B on one H100: 124 state slots (and one) of 17.92 GiB, 330,323 tokens of 20.16 GiB; GiB as printed.
    found = pools(model("qwen3.5-27b"), int(38.083 * 2**30), 262144)
    assert found.state_slots == 124
    assert found.tokens == pytest.approx(330_323, rel=1e-3)
    assert found.max_requests == 124 // 5


def test_rows_of_mla_and_its_index() -> None:
    a = model("deepseek-v3.2")
    assert cells(a, "auto", CacheOptions()).full == 61 * (1152 + 132)
    assert cells(a, "fp8_e4m3", CacheOptions(tp=8)).full == 61 * (656 + 132)
    assert cells(model("deepseek-v3"), "fp8_e4m3", CacheOptions(tp=8)).full == 61 * 576
    # The index is whole on every DCP rank, which hold a share of the tokens.
    assert cells(a, "auto", CacheOptions(tp=8, dcp=8)).full == 61 * (1152 + 8 * 132)


def test_memory_fraction_by_hand() -> None:
    # 512 + 1.5 x 8192 + 1/8 x 1024 + 2 x 256 + 8 x 58 graphs = 13,904 MiB of 81,559.
    assert memory_fraction(81559) == round((81559 - 13904) / 81559, 3)
    # MLA's graphs are 1,536 MiB.
    assert memory_fraction(81559, tp=8, mla=True) == round((81559 - (512 + 12288 + 1024 + 1024 + 1536)) / 81559, 3)
    # 512 + 1.5 x 4096 + 128 + 2 x 48 + 8 x 50, on a card of 24 GiB.
    assert memory_fraction(24564) == round((24564 - (512 + 6144 + 128 + 96 + 400)) / 24564, 3)
    assert memory_fraction(81559, vision=(24, 1024)) == pytest.approx(0.83 * 0.95)


@pytest.mark.parametrize(
    ("name", "dtype", "options", "message"),
    [
        ("llama-3.1-8b", None, CacheOptions(tp=3), "32 heads do not divide"),
        ("llama-3.1-8b", None, CacheOptions(tp=8, dcp=3), "lies within tensor parallelism"),
        ("llama-3.1-8b", "q8_0", CacheOptions(), "SGLang keeps caches in auto"),
        ("qwen3-next-80b-a3b", None, CacheOptions(tp=32), "16 heads do not divide"),
    ],
)
def test_what_sglang_cannot_do(name: str, dtype: str | None, options: CacheOptions, message: str) -> None:
    with pytest.raises(ArchcalcError, match=message):
        allocate(model(name), Workload(4096, 1, dtype), options)


def test_unsupported_is_told_apart_from_misuse() -> None:
    with pytest.raises(UnsupportedError, match="no code for the recurrent layers"):
        engine("sglang").allocate(model("minimax-text-01"), Workload(4096))


@pytest.mark.parametrize(("gpu", "version", "kept"), [("mi355x-288gb", "0.5.10", True), ("b200-180gb", "0.5.23", True),
                                                     ("h200-sxm-141gb", "0.5.23", False), ("mi355x-288gb", "0.5.8", False)])  # fmt: skip
def test_experts_in_tritons_kernel_keep_the_order_of_columns(gpu: str, version: str, kept: bool) -> None:
    """A log of 2026 (Kimi K2.5, TP 8 on MI355X): 73.58 GiB lost while loading. Two tables of int32 for each product of each expert."""
    from archcalc.engines.placement import Placement, rank_weights
    from archcalc.engines.weights import WeightOptions
    from archcalc.hardware import device
    from archcalc.zoo import spec

    model = spec("kimi-k2.5")
    assert model is not None
    found, plain = (
        rank_weights(model, Placement(tp=8), WeightOptions("sglang", version, device(on))) for on in (gpu, "a100-sxm4-80gb")
    )
    assert found.tensor_bytes - plain.tensor_bytes == (60 * 384 * 2 * 4 * (7168 + 2048 // 8) if kept else 0)
    if gpu == "mi355x-288gb" and kept:
        assert found.bytes / 2**30 == pytest.approx(73.58, rel=0.015)


def served(cli: Run, gpu: str, flags: str) -> dict[str, Any]:
    done = cli("fit", "--gpu", gpu, "--offline", "--format", "json", "--", *f"sglang serve --model-path {flags}".split())
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("flags", "bytes_a_token", "dtype"),
    [("", 131072, "bf16"), ("--dtype float32", 262144, "fp32"), ("--dtype float32 --kv-cache-dtype fp8_e5m2", 65536, "fp8_e5m2")],
)
def test_a_cache_follows_the_models_dtype(cli: Run, flags: str, bytes_a_token: int, dtype: str) -> None:
    """srt/mem_cache/kv_cache_dtype.py `configure_kv_cache_dtype`: auto is the model's dtype."""
    found = served(cli, "h100-sxm-80gb", f"llama-3.1-8b {flags}")
    assert found["per_gpu"]["kv_room_bytes"] / found["kv_tokens"] == pytest.approx(bytes_a_token, rel=1e-4)
    assert found["plan"]["kv_dtype"] == dtype


@pytest.mark.parametrize(
    ("gpu", "flags", "said"),
    [
        ("h100-sxm-80gb", "--attention-backend trtllm_mla", "Blackwell alone"),
        ("b200-180gb", "--decode-attention-backend trtllm_mla --kv-cache-dtype fp8_e5m2", "not in fp8_e5m2"),
        ("b200-180gb", "--prefill-attention-backend cutedsl_mla", "only decodes"),
        ("h100-sxm-80gb", "--decode-attention-backend cutedsl_mla", "B200 and B300 alone"),
        ("b200-180gb", "--attention-backend trtllm_mla --kv-cache-dtype fp8_e4m3", None),
        ("h100-sxm-80gb", "--attention-backend fa3", None),
    ],
)
def test_backends_refuse_what_they_cannot(cli: Run, gpu: str, flags: str, said: str | None) -> None:
    """srt/arg_groups/overrides.py `_mla_kv_cache_dtype_checks`, `_cutedsl_prefill_backend_fill`."""
    found = served(cli, gpu, f"deepseek-v2-lite {flags}")
    limit = found["start"]["limit"]
    assert (said in limit) if said else found["start"]["starts"]


@pytest.mark.parametrize(
    ("flags", "page"),
    [
        ("", None), ("--page-size 16", 16), ("--attention-backend flashmla", 64), ("--attention-backend flashmla --page-size 16", 64),
        ("--attention-backend trtllm_mha --page-size 16", 16), ("--prefill-attention-backend trtllm_mha --page-size 1", 64),
        ("--prefill-attention-backend flashmla --page-size 16", 16), ("--attention-backend trtllm_mla --page-size 16", 64),
    ],
)  # fmt: skip
def test_backends_want_pages_of_their_own(flags: str, page: int | None) -> None:
    """srt/arg_groups/overrides.py `_mla_backend_page_constraints`."""
    from archcalc.commands.flags import read
    from archcalc.commands.words import of_text
    from archcalc.engines.sglang.flags import asked

    assert asked(read(of_text(f"sglang serve --model-path m {flags}"))).own.page == page


@pytest.mark.parametrize(
    ("name", "gpu", "asked"),
    [
        ("qwen3.5-27b", "2xh100", ("--ctx", "1k", "--concurrency", "64")),
        ("qwen3.5-27b", "h100", ()),
        ("qwen3-next-80b-a3b", "4xh100", ("--dp", "2", "--ctx", "1k", "--concurrency", "120")),
        ("nemotron-3-nano-30b-a3b", "h200", ("--ctx", "4k", "--concurrency", "60")),
        ("qwen3.5-9b", "l40s", ("--ctx", "200k", "--concurrency", "2")),
    ],
)
def test_a_plan_divides_the_room_for_the_sequences_it_promises(cli: Run, name: str, gpu: str, asked: tuple[str, ...]) -> None:
    """SGLang gives states and tokens shares that know nothing of the sequences (kv_cache_configurator.py `_handle_max_mamba_cache`): where
    those do not serve what the memory could, the command says how many slots there shall be, and serves it as it stands."""
    found = json.loads(
        cli("fit", name, "--gpu", gpu, "--engine", "sglang", "--quant", "bf16", *asked, "--offline", "--format", "json").stdout
    )
    assert found["fits"] is True
    assert found["max_concurrency"] >= found["concurrency"]
    assert found["kv_tokens"] >= found["context_tokens"] * found["concurrency"]
    load = ("--concurrency", str(found["concurrency"]), "--format", "json")
    again = cli("fit", "--gpu", gpu, *load, "--offline", "--", *found["command"].split())
    assert json.loads(again.stdout)["fits"] is True, again.stdout
    flag = " --max-mamba-cache-size"
    if flag in found["command"]:
        bare = cli("fit", "--gpu", gpu, *load, "--offline", "--", *found["command"].partition(flag)[0].split())
        said = json.loads(bare.stdout)
        assert not said["fits"]
        assert said["start"]["flag"].startswith(flag.strip())
        assert said["max_concurrency"] < found["concurrency"]
        assert said["max_context_tokens"] < found["context_tokens"] or found["concurrency"] > 1
