"""vLLM's planner: its own code's plans on hand-built specs, the same through configs, and what it logged on real GPUs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import model_types, parse
from archcalc.engines._allocation import Workload
from archcalc.engines.vllm.cache import CacheOptions, allocate, cache_row, in_flight_tokens, plan
from archcalc.engines.vllm.planner import (
    Demand,
    LayerSpec,
    Spec,
    bytes_per_block,
    capacity,
    group,
    request_blocks,
    stage,
    stages,
    start,
)
from archcalc.engines.vllm.rules import rules
from archcalc.errors import ArchcalcError, UnsupportedError, UsageError
from archcalc.model import Architecture, Cache
from conftest import Run

PLANS = {p["name"]: p for p in json.loads((Path(__file__).parent / "data" / "vllm_plan.json").read_text(encoding="utf-8"))["plans"]}
POOL = 40 << 30
AMPERE = (8, 6)


def layers(*parts: tuple[int, Spec]) -> list[LayerSpec]:
    return [LayerSpec(i, spec) for i, spec in enumerate(spec for n, spec in parts for _ in range(n))]


def full(heads: int, key: int, value: int | None = None, block: int = 16) -> Spec:
    row = key + (key if value is None else value)
    return Spec("full", block, block * heads * row * 2, (heads, row), kind="full")


def sliding(heads: int, key: int, window: int, value: int | None = None) -> Spec:
    return full(heads, key, value)._replace(form="sliding", window=window)


def mla(row: int, block: int = 64) -> Spec:
    return Spec("mla", block, block * row, (row,))


def packed(page: int, block: int, window: int | None = None) -> Spec:
    return Spec("sliding-mla" if window else "mla", block, page, (page,), window)


def state(block: int) -> Spec:
    return Spec("state", block, block * 2048, (), None, 2)


def compressed(i: int) -> list[Spec]:
    """DeepSeek-V4: two layers of windows alone, then CSA and HCA in turn."""
    specs = [packed(37440, 64, 128)]
    if i >= 2 and i % 2 == 0:
        specs += [packed(37440, 256), packed(8640, 256), packed(32832, 4, 8), packed(8640, 4, 8)]
    elif i >= 2:
        specs += [packed(1728, 256), packed(32832, 8, 128)]
    return specs


SHAPES: dict[str, tuple[list[LayerSpec], int, int]] = {
    "Llama-3.1-8B TP1": (layers((32, full(8, 128))), 131072, 1),
    "Llama-3.1-8B TP16": (layers((32, full(1, 128))), 131072, 1),
    "gpt-oss-20b": ([LayerSpec(i, full(8, 64) if i % 2 else sliding(8, 64, 128)) for i in range(24)], 131072, 1),
    "Gemma-3-27B": ([LayerSpec(i, full(16, 128) if i % 6 == 5 else sliding(16, 128, 1024)) for i in range(62)], 131072, 1),
    "DeepSeek-V3 bf16 MLA": (layers((61, mla(1152))), 163840, 1),
    "DeepSeek-V3 bf16 MLA DCP=8": (layers((61, mla(1152))), 163840, 8),
    "DeepSeek-V3.2 fp8_ds_mla": (layers((61, mla(656)), (61, mla(132))), 163840, 1),
    "DeepSeek-V3.2 bf16": (layers((61, mla(1152)), (61, mla(132))), 163840, 1),
    "Qwen3-Next-80B TP1 bf16": (layers((36, state(544)), (12, full(2, 256, block=544))), 262144, 1),
    "Qwen3-Next-80B TP1 fp32": (layers((36, state(1056)), (12, full(2, 256, block=1056))), 262144, 1),
    "Llama-4-Scout": (
        [LayerSpec(i, full(8, 128) if i % 4 == 3 else full(8, 128)._replace(form="chunked", window=8192)) for i in range(48)], 131072, 1,
    ),
    "MiMo-V2-Flash": (layers((9, full(4, 192, 128)), (39, sliding(8, 192, 128, 128))), 262144, 1),
    "Gemma-4-31B-like": (layers((50, sliding(16, 256, 1024)), (10, full(4, 512))), 262144, 1),
    "DeepSeek-V4-Flash-like": ([LayerSpec(i, spec) for i in range(43) for spec in compressed(i)], 1048576, 1),
}  # fmt: skip


def named(start: str) -> dict[str, Any]:
    """The plan whose name starts so; the longer name where one is the start of another."""
    found = [p for name, p in PLANS.items() if name.startswith(start)]
    return next((p for p in found if p["name"] == start), found[0])


def test_every_plan_has_its_shape() -> None:
    assert {named(name)["name"] for name in SHAPES} == set(PLANS)


@pytest.mark.parametrize("name", SHAPES)
def test_the_planner_plans_as_vllm_does(name: str) -> None:
    specs, length, dcp = SHAPES[name]
    want, groups, need = named(name), group(specs, packed=name.startswith("DeepSeek-V4")), Demand(length, 2 * 8192, dcp)
    held = capacity(groups, POOL, need)
    assert bytes_per_block(groups) == want["bytes_per_block"]
    assert request_blocks(groups, need) == want["blocks_per_max_len_request"]
    assert (held.num_blocks, held.kv_tokens) == (want["num_blocks"], want["kv_cache_size_tokens"])
    assert held.max_concurrency == pytest.approx(want["max_concurrency"], rel=1e-12)
    # vLLM's page of a group of unlike layers is the sum of theirs already.
    pages = [(g["n"], g["block_size"], g["page"] * (1 if g["kind"].startswith("Uniform") else g["n"])) for g in want["groups"]]
    assert sorted((len(g.layers), g.specs[0].block, g.page_bytes) for g in groups) == sorted(pages)


THROUGH_CONFIGS: list[tuple[str, str, int, str | None, dict[str, Any]]] = [
    ("Llama-3.1-8B TP1", "llama-3.1-8b", 131072, None, {}),
    ("Llama-3.1-8B TP16", "llama-3.1-8b", 131072, None, {"tp": 16}),
    ("gpt-oss-20b", "gpt-oss-20b", 131072, None, {}),
    ("Gemma-3-27B", "gemma-3-27b", 131072, None, {}),
    ("DeepSeek-V3 bf16 MLA", "deepseek-v3", 163840, None, {}),
    ("DeepSeek-V3 bf16 MLA DCP=8", "deepseek-v3", 163840, None, {"tp": 8, "dcp": 8}),
    ("DeepSeek-V3.2 fp8_ds_mla", "deepseek-v3.2", 163840, "fp8", {}),
    ("DeepSeek-V3.2 bf16", "deepseek-v3.2", 163840, None, {}),
    ("Qwen3-Next-80B TP1 bf16", "qwen3-next-80b-a3b", 262144, None, {}),
    ("Qwen3-Next-80B TP1 fp32", "qwen3-next-80b-a3b", 262144, None, {"mamba_ssm_cache_dtype": "fp32"}),
    ("Llama-4-Scout", "llama-4-scout", 131072, None, {}),
]


MOE = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "intermediate_size": 96, "vocab_size": 128}
GEOMETRY: dict[str, dict[str, Any]] = {
    "MiMo-V2-Flash": {
        "model_type": "mimo_v2_flash", **MOE, "hidden_size": 4096, "num_hidden_layers": 48, "num_attention_heads": 64,
        "num_key_value_heads": 4, "swa_num_key_value_heads": 8, "head_dim": 192, "v_head_dim": 128, "sliding_window_size": 128,
    },
    "Gemma-4-31B-like": {
        "model_type": "gemma4_text", "vocab_size": 128, "hidden_size": 256, "intermediate_size": 96, "num_hidden_layers": 60,
        "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 256, "global_head_dim": 512, "attention_k_eq_v": True,
        "num_global_key_value_heads": 4, "sliding_window": 1024, "hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0,
        "layer_types": ([*["sliding_attention"] * 5, "full_attention"]) * 10,
    },
    "DeepSeek-V4-Flash-like": {
        "model_type": "deepseek_v4", **MOE, "hidden_size": 256, "num_hidden_layers": 43, "num_attention_heads": 64, "head_dim": 512,
        "q_lora_rank": 24, "o_groups": 2, "o_lora_rank": 16, "sliding_window": 128, "index_n_heads": 2, "index_head_dim": 128,
        "index_topk": 8, "num_key_value_heads": 1, "compress_ratios": [0, 0, *([4, 128] * 21)][:43],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRY)
def test_shapes_as_configs_give_the_same_plans(name: str) -> None:
    if GEOMETRY[name]["model_type"] not in model_types():
        pytest.skip("no adapter")
    want, (_, tokens, _) = named(name), SHAPES[name]
    got = allocate(parse(GEOMETRY[name]), Workload(tokens), CacheOptions(), POOL).details
    assert (got["bytes_per_block"], got["blocks_per_request"]) == (want["bytes_per_block"], want["blocks_per_max_len_request"])
    assert (got["num_blocks"], got["kv_tokens"]) == (want["num_blocks"], want["kv_cache_size_tokens"])


def model(name: str) -> Architecture:
    return parse(zoo.config(name))


@pytest.mark.parametrize(("plan_name", "name", "tokens", "dtype", "options"), THROUGH_CONFIGS)
def test_configs_give_the_same_plans(plan_name: str, name: str, tokens: int, dtype: str | None, options: dict[str, Any]) -> None:
    want, made = named(plan_name), allocate(model(name), Workload(tokens, 1, dtype), CacheOptions(**options), POOL)
    got = made.details
    assert (got["bytes_per_block"], got["blocks_per_request"]) == (want["bytes_per_block"], want["blocks_per_max_len_request"])
    assert (got["num_blocks"], got["kv_tokens"]) == (want["num_blocks"], want["kv_cache_size_tokens"])
    assert made.bytes == want["bytes_per_block"] * want["blocks_per_max_len_request"]
    three = allocate(model(name), Workload(tokens, 3, dtype), CacheOptions(**options))
    assert three.bytes == 3 * made.bytes


# What vLLM logged: version, model, context, cache dtype, further options, GiB for the cache as printed, tokens as printed.
LOGGED: list[tuple[str, str, int, str | None, dict[str, Any], float, int]] = [
    ("0.11.0", "qwen3-next-80b-a3b", 262144, None, {"tp": 2}, 44.59, 973_760),
    ("0.11.0", "gemma-3-27b", 4096, None, {}, 109.86, 205_696),
    ("0.11.2", "gpt-oss-120b", 98304, None, {"max_num_batched_tokens": 2048}, 8.99, 130_960),
    ("0.28.0", "qwen3.5-27b", 131072, "fp8", {"tp": 2, "capability": AMPERE}, 4.99, 302_921),
    ("0.28.0", "qwen3-14b", 40960, None, {}, 9.1, 59_632),
    ("0.28.0", "qwen3-14b", 40960, None, {"tp": 2}, 14.38, 188_512),
    ("0.29.0", "gpt-oss-20b", 131072, None, {"max_num_batched_tokens": 2048}, 3.12, 131_815),
    ("0.6.4", "llama-3.2-1b", 105088, None, {}, 3.6, 117_856),
    ("0.8.5", "qwen3-4b", 10000, None, {}, 3.06, 22_304),
]


@pytest.mark.parametrize(("version", "name", "tokens", "dtype", "options", "gib", "logged"), LOGGED)
def test_tokens_as_logged(
    version: str, name: str, tokens: int, dtype: str | None, options: dict[str, Any], gib: float, logged: int
) -> None:
    made = allocate(model(name), Workload(tokens, 1, dtype), CacheOptions(version=version, **options), int(gib * 2**30))
    # The log gives GiB to two digits.
    assert made.details["kv_tokens"] == pytest.approx(logged, rel=0.006 / gib)


def test_versions_differ() -> None:
    gemma, work = model("gemma-3-27b"), Workload(32768)
    before, then, now = (allocate(gemma, work, CacheOptions(version=v)).bytes for v in ("0.6.0", "0.24.0", "0.28.0"))
    # First every layer like full attention, then windows with one batch in flight, then with two.
    assert before == 62 * 16 * 256 * 2 * 32768
    assert then < now < before
    hybrid = model("qwen3-next-80b-a3b")
    states = [sum(f.state_bytes for f in allocate(hybrid, work, CacheOptions(version=v)).figures) for v in ("0.24.0", "0.28.0")]
    assert states[1] == 2 * states[0]


def test_prefix_caching_and_checkpoints() -> None:
    hybrid, work = model("qwen3-next-80b-a3b"), Workload(32768)
    page = 544 * 2048
    for options, blocks in (
        (CacheOptions(prefix_caching=False), 1),
        (CacheOptions(), 2),
        (CacheOptions(num_speculative_tokens=2), 4),
    ):
        assert allocate(hybrid, work, options).state_bytes % (36 * blocks) == 0
    assert allocate(hybrid, work, CacheOptions(prefix_caching=False)).state_bytes == 36 * page
    hopper = allocate(hybrid, work, CacheOptions(capability=(9, 0)))
    # FlashInfer's kernel exports a state at multiples of 64 tokens, for which a request keeps a block more.
    assert hopper.details["block_tokens"] == 576
    assert hopper.state_bytes == 36 * 3 * 576 * 2048


@pytest.mark.parametrize(
    ("dtype", "row"),
    [
        ("auto", 512), ("bfloat16", 512), ("fp8", 256), ("int8_per_token_head", 264), ("fp8_per_token_head", 264),
        ("int4_per_token_head", 136), ("nvfp4", 144),
    ],
)  # fmt: skip
def test_rows_of_grouped_query_attention(dtype: str, row: int) -> None:
    made = cache_row(Cache("full", 8, 128, 128), dtype, 1, sparse=False)
    assert made.slots * made.bytes == 8 * row


@pytest.mark.parametrize(
    ("dtype", "sparse", "row"),
    [
        ("auto", False, 1152),
        ("fp8", False, 576),
        ("fp8_per_token_head", False, 584),
        ("fp8_ds_mla", True, 656),
        ("nvfp4_ds_mla", True, 352),
    ],
)
def test_rows_of_mla(dtype: str, sparse: bool, row: int) -> None:
    assert cache_row(Cache("latent", 1, 512, 64), dtype, 8, sparse=sparse) == (1, row)
    assert cache_row(Cache("index", 1, 128), dtype, 8, sparse=True) == (1, 132)


def test_fp8_of_sparse_mla_depends_on_the_gpu() -> None:
    a = model("deepseek-v3.2")
    rows = {c: plan(a, "fp8", CacheOptions(capability=c)).dtype for c in ((9, 0), (10, 0), (12, 0))}
    assert rows == {(9, 0): "fp8_ds_mla", (10, 0): "fp8", (12, 0): "fp8_ds_mla"}
    assert plan(a, None, CacheOptions(capability=(12, 0))).dtype == "fp8_ds_mla"


def test_layers_that_share_an_index_are_sparse_too() -> None:
    a = model("deepseek-v3.2")
    glm = parse(
        {
            **zoo.config("glm-5"),
            "num_hidden_layers": 4,
            "indexer_types": ["full", "full", "shared", "shared"],
            "mlp_layer_types": None,
        }
    )
    assert allocate(glm, Workload(64), CacheOptions(), None).details["bytes_per_block"] == 64 * (4 * 1152 + 2 * 132)
    assert allocate(glm, Workload(64, 1, "fp8"), CacheOptions()).details["bytes_per_block"] == 64 * (4 * 656 + 2 * 132)
    assert allocate(a, Workload(64, 1, "fp8"), CacheOptions()).details["bytes_per_block"] == 64 * 61 * (656 + 132)


def test_the_cache_a_checkpoint_was_quantized_for() -> None:
    scheme = {"num_bits": 8, "type": "float", "dynamic": False}
    config = zoo.config("llama-3.1-8b")
    for quantization in (
        {"quant_method": "compressed-tensors", "kv_cache_scheme": scheme},
        {"quant_method": "modelopt", "quantization": {"kv_cache_quant_algo": "FP8"}},
    ):
        a = parse(config)._replace(quantization=quantization)
        assert plan(a).dtype == "fp8"
        assert plan(a, "bf16").dtype == "bfloat16"


def test_kv_heads_are_split_then_replicated() -> None:
    a, work = model("llama-3.1-8b"), Workload(4096)
    sizes = [allocate(a, work, CacheOptions(tp=tp)).bytes for tp in (1, 2, 4, 8, 16, 32)]
    assert sizes == [sizes[0] // n for n in (1, 2, 4, 8, 8, 8)]


def test_pipeline_stages() -> None:
    assert [len(span) for span in stages(62, 4)] == [15, 16, 16, 15]
    a = model("gemma-3-27b")
    made = plan(a, None, CacheOptions(pp=4))
    spread = [sum(len(g.layers) for g in groups) for groups in made.stages]
    assert (len(made.stages), spread) == (4, [15, 16, 16, 15])
    whole = plan(a).stages[0]
    assert bytes_per_block(made.stages[0]) < bytes_per_block(whole)
    assert stage(whole, range(62)) == list(whole)
    # A stage more is a batch more in flight.
    assert in_flight_tokens(CacheOptions(pp=4), made.rules) == 5 * 8192


def test_the_start_needs_the_null_block_too() -> None:
    groups, need = group(layers((32, full(8, 128)))), Demand(131072, 16384)
    one = request_blocks(groups, need) * bytes_per_block(groups)
    assert not start(groups, groups[0].layers, one, need).passes
    assert start(groups, groups[0].layers, one, need, rules("0.28.0")).passes
    assert start(groups, groups[0].layers, one + bytes_per_block(groups), need).passes


def test_without_the_hybrid_manager_windows_cost_like_full_layers() -> None:
    a, work = model("gpt-oss-20b"), Workload(65536)
    assert allocate(a, work, CacheOptions(hybrid_kv_cache_manager=False)).bytes == 24 * 8 * 128 * 2 * 65536


def test_unlike_pages_are_padded_where_they_do_not_divide() -> None:
    groups = group(layers((4, full(8, 128)), (4, sliding(3, 128, 64))))
    assert {g.page_bytes for g in groups} == {4 * 16 * 8 * 256 * 2}


def test_mla_beside_windows_that_fit_no_page_is_kept_whole() -> None:
    groups = group(layers((4, mla(1152, 16)), (2, sliding(5, 128, 64))))
    assert len(groups) == 1
    assert {spec.form for spec in groups[0].specs} == {"mla", "full"}


@pytest.mark.parametrize(
    ("name", "dtype", "options", "message"),
    [
        ("llama-3.1-8b", None, {"tp": 3}, "32 heads do not divide"),
        ("llama-3.1-8b", None, {"tp": 8, "dcp": 2}, "at most 1"),
        ("llama-3.1-8b", None, {"tp": 8, "dcp": 3}, "lies within tensor parallelism"),
        ("gpt-oss-20b", None, {"tp": 16, "dcp": 2}, "sliding windows"),
        ("phi-4", None, {"tp": 4}, "10 KV heads"),
        ("qwen3-next-80b-a3b", None, {"tp": 16, "pp": 64}, "64 pipeline stages"),
        ("llama-3.1-8b", "q8_0", {}, "vLLM keeps caches in"),
        ("llama-3.1-8b", "int8", {}, "vLLM keeps caches in"),
        ("llama-3.1-8b", "fp8_ds_mla", {}, "sparse MLA only"),
        ("deepseek-v3", "fp8_ds_mla", {}, "sparse MLA only"),
        ("deepseek-v3", "nvfp4", {}, "not for MLA"),
        ("llama-3.1-8b", None, {"version": "0.5.0"}, "older than the rules"),
    ],
)
def test_what_vllm_cannot_do(name: str, dtype: str | None, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchcalcError, match=message) as raised:
        allocate(model(name), Workload(4096, 1, dtype), CacheOptions(**options))
    assert isinstance(raised.value, (UsageError, UnsupportedError))


def test_tables_of_versions_are_in_order() -> None:
    from archcalc.engines.transformers import cache as transformers

    numbers = [tuple(map(int, row.since.split("."))) for row in transformers.VERSIONS]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("gpu", "reads"), [("mi300x", False), ("b60", False), ("h100", True), ("b200", True)])
def test_caches_of_nvidia_s_backends_are_not_on_other_gpus(gpu: str, reads: bool, cli: Run) -> None:
    """vLLM 0.20 to 0.33, v1/attention/backends/: among those of grouped queries `nvfp4` stands in flashinfer.py alone."""
    for words in (("qwen3-8b", "--kv-dtype", "nvfp4"), ("--", "vllm", "serve", "qwen3-8b", "--kv-cache-dtype", "nvfp4")):
        done = cli("fit", "--gpu", gpu, "--offline", *words)
        assert (done.returncode == 0) is reads, done.stdout + done.stderr
        assert reads or "reads it with NVIDIA's backends alone" in done.stderr


def test_what_other_gpus_read_and_refuse_as_nvidia_s_do(cli: Run) -> None:
    """models/deepseek_v4/amd reads records of `fp8_ds_mla` (a log of MI355X with 0.24 has them); sizes of blocks are the releases'."""
    packed = ("vllm", "serve", "deepseek-v4-flash", "-tp", "8", "--kv-cache-dtype", "fp8_ds_mla", "--max-model-len", "8192")
    assert cli("fit", "--gpu", "8xmi355x", "--offline", "--", *packed).returncode == 0
    blocks = ("vllm", "serve", "qwen3-8b", "--block-size", "24")
    done = cli("fit", "--gpu", "mi300x", "--engine-version", "0.16.0", "--offline", "--", *blocks)
    assert done.returncode == 2 and "--block-size 24" in done.stderr


_HALVES, _EIGHT = ("auto", "float16", "bfloat16"), ("fp8", "fp8_e4m3")
_HEADS = ("int4_per_token_head", "int8_per_token_head", "fp8_per_token_head")
_ALL = (*_HALVES, *_EIGHT, "fp8_e5m2", *_HEADS, "nvfp4", "fp8_ds_mla", "nvfp4_ds_mla")


@pytest.mark.parametrize(
    ("model", "vendor", "read"),
    [
        # vLLM 0.33, v1/attention/backends/: `supported_kv_cache_dtypes` of rocm_attn.py, rocm_aiter_fa.py, triton_attn.py.
        ("qwen3-8b", "amd", {*_HALVES, *_EIGHT, "fp8_e5m2", *_HEADS}),
        # mla/rocm_aiter_mla.py and mla/triton_mla.py.
        ("deepseek-v3", "amd", {*_HALVES, *_EIGHT, "fp8_e5m2"}),
        # mla/rocm_aiter_mla_sparse.py; models/deepseek_v32/amd/rocm.py for its records.
        ("deepseek-v3.2-exp", "amd", {*_HALVES, *_EIGHT, "fp8_ds_mla"}),
        # mla/xpu_mla_sparse.py.
        ("deepseek-v3.2-exp", "intel", {*_HALVES}),
        # No file of theirs names a cache in NVFP4; what else Intel's read was not read.
        ("qwen3-8b", "intel", {*_ALL} - {"nvfp4", "nvfp4_ds_mla"}),
        ("deepseek-v3", "intel", {*_ALL} - {"nvfp4", "nvfp4_ds_mla"}),
    ],
)
def test_caches_that_backends_beside_nvidia_s_read(model: str, vendor: str, read: set[str]) -> None:
    """Cache dtype x platform x kind of attention, as platforms/rocm.py `_get_backend_priorities` of 0.33 decides."""
    from archcalc.engines.vllm import attention

    architecture = parse(zoo.config(model))
    found = {
        dtype
        for dtype in _ALL
        if attention.lacks(architecture, "0.33.0", dtype, None, None, "--kv-cache-dtype", (vendor, "this GPU")) is None
    }
    assert found == read


@pytest.mark.parametrize(
    ("model", "cuda", "read"),
    [
        # vLLM 0.33, platforms/cuda.py `_get_backend_priorities`, and `supported_kv_cache_dtypes` of what it lists.
        ("qwen3-8b", (8, 6), {*_HALVES, *_EIGHT, "fp8_e5m2", *_HEADS, "nvfp4"} - {"fp8_per_token_head"}),
        ("qwen3-8b", (8, 9), {*_HALVES, *_EIGHT, "fp8_e5m2", *_HEADS, "nvfp4"}),
        ("qwen3-8b", (10, 0), {*_HALVES, *_EIGHT, "fp8_e5m2", *_HEADS, "nvfp4"}),
        ("deepseek-v3", (9, 0), {*_HALVES, *_EIGHT}),
        ("deepseek-v3", (12, 0), {*_HALVES, *_EIGHT}),
        ("deepseek-v3.2-exp", (9, 0), {*_HALVES, *_EIGHT, "fp8_ds_mla", "nvfp4_ds_mla"}),
        ("deepseek-v3.2-exp", (10, 0), {*_HALVES, *_EIGHT, "fp8_ds_mla", "nvfp4_ds_mla"}),
        ("deepseek-v3.2-exp", (12, 0), {*_HALVES, *_EIGHT, "fp8_ds_mla"}),
    ],
)
def test_caches_that_nvidia_s_backends_read(model: str, cuda: tuple[int, int], read: set[str]) -> None:
    from archcalc.engines.vllm import attention

    architecture = parse(zoo.config(model))
    found = {d for d in _ALL if attention.lacks(architecture, "0.33.0", d, None, cuda, "--kv-cache-dtype") is None}
    assert found == read
