"""Tables of engines' releases against what the releases state: lists of releases, names of values, sizes by memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archcalc.engines
from archcalc import zoo
from archcalc.commands.accepted import lines
from archcalc.commands.flags import table
from archcalc.engines._version import parse
from archcalc.engines.sglang import attention, kernels
from archcalc.engines.sglang.lengths import LIFTS, UNSTATED, allows_by_itself
from archcalc.engines.sglang.rules import Reserve, captured, fraction, sizes, slots_per_request
from archcalc.engines.vllm.attention import unfit
from archcalc.engines.vllm.cache import CacheOptions, cache_dtype
from archcalc.engines.vllm.flags import _DTYPES, _LORA_RANKS, _MODEL_FLAG
from archcalc.engines.vllm.quantization import _ONLINE, _PLUGINS, online
from archcalc.engines.vllm.rules import NEWEST, RELEASES, rules
from archcalc.engines.weights import _JOINED
from archcalc.errors import UnsupportedError
from archcalc.hardware import device
from conftest import Run

ENGINES = Path(archcalc.engines.__file__).parent

# vLLM

# The project's releases on PyPI from 0.6 on, post-releases left out, as the index listed them at 0.33.0.
PUBLISHED = (
    "0.33.0 0.32.0 0.31.0 0.30.0 0.29.0 0.28.0 0.27.1 0.27.0 0.26.0 0.25.1 0.25.0 0.24.0 0.23.0 0.22.1 0.22.0 0.21.0 0.20.2 0.20.1"
    " 0.20.0 0.19.1 0.19.0 0.18.1 0.18.0 0.17.1 0.17.0 0.16.0 0.15.1 0.15.0 0.14.1 0.14.0 0.13.0 0.12.0 0.11.2 0.11.1 0.11.0 0.10.2"
    " 0.10.1.1 0.10.1 0.10.0 0.9.2 0.9.1 0.9.0.1 0.9.0 0.8.5 0.8.4 0.8.3 0.8.2 0.8.1 0.8.0 0.7.3 0.7.2 0.7.1 0.7.0 0.6.6 0.6.5 0.6.4"
    " 0.6.3 0.6.2 0.6.1 0.6.0"
).split()


def test_vllms_releases_are_those_that_are_published() -> None:
    assert list(RELEASES) == PUBLISHED[::-1]
    served = json.loads((ENGINES / "vllm" / "served.json").read_text(encoding="utf-8"))
    read = {r for r in table("vllm").releases if parse("vLLM", r).numbers >= parse("vLLM", RELEASES[0]).numbers}
    assert set(served["releases"]) | read <= set(RELEASES)
    assert served["releases"][-1] == table("vllm").releases[-1] == NEWEST


def test_rows_of_vllms_rules_name_releases() -> None:
    from archcalc.engines.vllm.rules import CHANGES

    assert {change.since for change in CHANGES} <= set(RELEASES)


@pytest.mark.parametrize(
    ("version", "backends"), [("0.6.0", ("XFORMERS", "FLASHINFER")), ("0.10.0", ("XFORMERS", "FLASHINFER")), ("0.10.1", ())]
)
def test_backends_that_cap_interleaved_windows(version: str, backends: tuple[str, ...]) -> None:
    """vLLM 0.10.0, config.py `ModelConfig.__post_init__`: `envs.VLLM_ATTENTION_BACKEND in ("XFORMERS", "FLASHINFER")`."""
    assert rules(version).interleaved_window == backends


def _methods() -> dict[str, str]:
    found: dict[str, str] = json.loads((ENGINES / "vllm" / "served.json").read_text(encoding="utf-8"))["methods"]
    return found


# 0.28, layers/quantization/online/mxfp4.py: experts that are not stored so are made so; the method itself is of 0.10.1.
LATER = {"mxfp4": "0.28.0"}


def test_names_that_quantize_at_loading_are_as_old_as_their_release_says() -> None:
    """Names without a release quantize in every release that lists them (`QuantizationMethods`)."""
    for row in _ONLINE:
        if not row.since:
            continue
        first = LATER.get(row.method) or _methods()[row.method].partition("..")[0]
        before = RELEASES[RELEASES.index(first) - 1]
        assert (online(before, row.method), online(first, row.method)) == (None, row.quant), row.method


# vLLM 0.33: config/quantization.py `_ONLINE_SHORTHANDS`; layers/quantization/fp8.py, ptpc_fp8.py (0.18.1), experts_int8.py,
# bitsandbytes.py (0.27): one scale of a tensor, of blocks of 128, of channels and tokens; experts alone in int8 and NVFP4.
MADE = {
    "fp8": "fp8-tensor", "fp8_per_tensor": "fp8-tensor", "fp8_per_block": "fp8", "fp8_per_channel": "fp8-dynamic",
    "ptpc_fp8": "fp8-dynamic", "mxfp8": "mxfp8", "mxfp4": "mxfp4", "experts_int8": "int8-experts",
    "int8_per_channel_weight_only": "int8-experts", "nvfp4_per_token": "nvfp4-experts", "bitsandbytes": "nf4",
}  # fmt: skip


def test_what_names_quantize_to() -> None:
    assert {row.method: row.quant for row in _ONLINE} == MADE


def test_plugins_register_what_the_release_before_had_itself() -> None:
    for method, since in _PLUGINS.items():
        last = _methods()[method].partition("..")[2]
        after = RELEASES[RELEASES.index(last) + 1]
        assert parse("vLLM", after).numbers[:2] == since, method
    assert set(_PLUGINS) == {"gguf", "bitsandbytes"}


def _choices(flag: str) -> set[str]:
    (line,) = lines("vllm", frozenset({flag})).of[flag]
    return {value.partition(":")[0] for value in line.values}


def test_values_of_vllms_flags_are_those_of_the_table() -> None:
    assert {"auto", *_DTYPES} == _choices("--dtype")
    # 1 came with 0.12.
    assert {str(rank) for rank in (*_LORA_RANKS, 1)} == _choices("--max-lora-rank")
    # 0.11.1 warns of `vllm serve --model`, 0.11.0 stops (utils/argparse_utils.py, utils/__init__.py `parse_args`).
    assert _MODEL_FLAG == (0, 11, 1)


# SGLang


@pytest.mark.parametrize(
    ("version", "gpu_gib", "tp", "chunk", "batch"),
    [
        # srt/arg_groups/memory_hook.py `handle_gpu_memory_settings` of 0.5.23.
        *((None, g, tp, chunk, batch) for g, chunk, few, many in (
            (16, 2048, 8, 8), (19.9, 2048, 8, 8), (20, 4096, 48, 160), (34.9, 4096, 48, 160), (35, 4096, 32, 160), (59.9, 4096, 32, 160),
            (60, 8192, 256, 512), (89.9, 8192, 256, 512), (90, 8192, 256, 512), (159.9, 8192, 256, 512), (160, 16384, 512, 512),
        ) for tp, batch in ((1, few), (3, few), (4, many), (8, many))),
        # srt/server_args.py `_handle_gpu_memory_settings` of 0.5.14.
        ("0.5.14", 19.9, 1, 2048, 8), ("0.5.14", 20, 1, 2048, 24), ("0.5.14", 34.9, 4, 2048, 80), ("0.5.14", 35, 3, 4096, 32),
        ("0.5.14", 59.9, 4, 4096, 160), ("0.5.14", 60, 1, 8192, 256), ("0.5.14", 160, 1, 16384, 512),
        # srt/server_args.py `__post_init__` of 0.4.9; batches without a number there are srt/model_executor/cuda_graph_runner.py's.
        ("0.4.9", 34.9, 3, 2048, 8), ("0.4.9", 34.9, 4, 2048, 80), ("0.4.9", 35, 1, 8192, 160), ("0.4.9", 89.9, 1, 8192, 160),
        ("0.4.9", 90, 1, 8192, 256), ("0.4.9", 159.9, 8, 8192, 256), ("0.4.9", 160, 1, 16384, 512),
    ],
)  # fmt: skip
def test_sizes_by_memory(version: str | None, gpu_gib: float, tp: int, chunk: int, batch: int) -> None:
    assert sizes(version, int(gpu_gib * 1024), tp) == (chunk, batch)


@pytest.mark.parametrize(
    ("version", "reserve", "kept_mib"),
    [
        # 0.4.9, srt/server_args.py: by the memory and the ranks, with more for drafts and attention in data parallelism.
        ("0.4.9", Reserve(16 * 1024), (2.8 + 0.1) * 1024), ("0.4.9", Reserve(35 * 1024 - 1, 4), (2.8 + 0.4) * 1024),
        ("0.4.9", Reserve(35 * 1024, 2), (9.5 + 1) * 1024), ("0.4.9", Reserve(90 * 1024 - 1), (9.5 + 0.5) * 1024),
        ("0.4.9", Reserve(90 * 1024, 8), (12 + 4) * 1024), ("0.4.9", Reserve(160 * 1024 - 1, 2, 2), (12 + 2) * 1024),
        ("0.4.9", Reserve(160 * 1024, 8), 32 * 1024), ("0.4.9", Reserve(81_559, speculation="EAGLE"), (9.5 + 0.5 + 2) * 1024),
        ("0.4.9", Reserve(81_559, attention_dp=2), (9.5 + 0.5 + 4) * 1024),
        # 0.5.23, srt/arg_groups/memory_hook.py: 10 GiB at least above 60, and no floor at 60.
        (None, Reserve(60 * 1024, chunk=2048, batch=8, prefill_graphs=False), 512 + 1.5 * 2048 + 128 + 16),
        (None, Reserve(60 * 1024 + 1, chunk=2048, batch=8, prefill_graphs=False), 10 * 1024),
        (None, Reserve(81_559, 8, 1, 16384, 512, prefill_graphs=False), 512 + 1.5 * 16384 + 1024 + 1024),
        # A chunk is 2,048 tokens at least.
        (None, Reserve(48 * 1024, chunk=512, batch=8, prefill_graphs=False), 512 + 1.5 * 2048 + 128 + 16),
    ],
)  # fmt: skip
def test_what_a_default_share_keeps(version: str | None, reserve: Reserve, kept_mib: float) -> None:
    assert fraction(version, reserve) == round((reserve.gpu_mib - kept_mib) / reserve.gpu_mib, 3)


def test_lengths_that_are_captured() -> None:
    """0.5.23, srt/arg_groups/cuda_graph_hook.py `generate_prefill_cuda_graph_batch_sizes`: 4 to 32 by 4, to 256 by 16, to 512 by 32, 576 to
    1,024 by 64, 1,280 to 4,096 by 256, from 4,608 on by 512."""
    counts = {
        3: 0,
        4: 1,
        32: 8,
        48: 9,
        256: 22,
        512: 30,
        575: 30,
        576: 31,
        1024: 38,
        1280: 39,
        4096: 50,
        4608: 51,
        8192: 58,
        16384: 74,
    }
    assert {most: captured(most, 576) for most in counts} == counts


def test_state_slots_of_a_request() -> None:
    assert [
        slots_per_request(None, tracked=t, asked=a) for t, a in ((True, None), (False, None), (False, True), (True, False))
    ] == [5, 3, 5, 3]
    assert (slots_per_request("0.5.13", tracked=True, asked=None), slots_per_request("0.5.14", tracked=True, asked=None)) == (3, 5)


@pytest.mark.parametrize(
    ("backend", "flags", "sizes"),
    [
        # 0.5.23, srt/arg_groups/overrides.py `_mla_backend_page_constraints`; the flags are attention, decode, prefill.
        ("flashmla", (True, True, False), {64}),
        ("trtllm_mla", (True, True, False), {32, 64}),
        ("cutedsl_mla", (True, True, True), {32, 64}),
        ("trtllm_mha", (True, True, True), {16, 32, 64, 128}),
        ("hpc_ops", (True, True, True), {64}),
        ("fa3", (False, False, False), set()),
    ],
)
def test_pages_of_attention_backends(backend: str, flags: tuple[bool, bool, bool], sizes: set[int]) -> None:
    for place, takes in enumerate(flags):
        named = tuple(backend if at == place else "" for at in range(3))
        for asked in (None, 1, 8, 16, 32, 64, 128, 256):
            kept = not takes or asked in sizes
            assert attention.page(named, asked) == (asked if kept else 64), (place, asked)


H100, B200, RTX5090, A100 = "h100-sxm-80gb", "b200-180gb", "rtx-5090", "a100-sxm4-80gb"


@pytest.mark.parametrize(
    ("backends", "cache", "gpu", "version", "starts"),
    [
        # srt/arg_groups/attention_hook.py of 0.5.23: TensorRT-LLM over heads on 9.x, 10.x and 12.x.
        *((("trtllm_mha", "", ""), "auto", gpu, None, gpu != A100) for gpu in (H100, B200, RTX5090, A100)),
        (("", "trtllm_mha", ""), "auto", A100, None, False), (("", "", "trtllm_mha"), "auto", A100, None, False),
        # Prompts on 10.x alone before 0.5.19, and tokens too before 0.5.10.
        (("", "", "trtllm_mha"), "auto", H100, "0.5.18", False), (("", "trtllm_mha", ""), "auto", H100, "0.5.18", True),
        (("", "", "trtllm_mha"), "auto", H100, "0.5.19", True), (("", "trtllm_mha", ""), "auto", H100, "0.5.10", True),
        (("", "trtllm_mha", ""), "auto", H100, "0.5.9", False), (("trtllm_mha", "", ""), "auto", B200, "0.5.9", True),
        # overrides.py `_mla_kv_cache_dtype_checks`, `_cutedsl_prefill_backend_fill`.
        *((("trtllm_mla", "", ""), cache, B200, None, cache != "fp8_e5m2") for cache in ("auto", "bf16", "fp8_e4m3", "fp8_e5m2")),
        *((("", "cutedsl_mla", ""), cache, B200, None, cache != "fp8_e5m2") for cache in ("auto", "bfloat16", "fp8_e4m3", "fp8_e5m2")),
        (("", "cutedsl_mla", ""), "auto", RTX5090, None, False), (("", "", "cutedsl_mla"), "auto", B200, None, False),
        (("trtllm_mla", "", ""), "auto", RTX5090, None, True), (("", "trtllm_mla", ""), "auto", H100, None, False),
    ],
)  # fmt: skip
def test_gpus_of_attention_backends(backends: tuple[str, ...], cache: str, gpu: str, version: str | None, starts: bool) -> None:
    assert (attention.refused(backends, cache, device(gpu), version) is None) is starts


# SGLang 0.5.23, srt/configs/model_config.py `is_generation_model`; `is_embedding_gemma` asks for Gemma3TextModel.
_NOT_GENERATING = """
    LlamaEmbeddingModel MistralModel LlamaForSequenceClassification LlamaForSequenceClassificationWithNormal_Weights
    InternLM2ForRewardModel Qwen2ForRewardModel Qwen3ForRewardModel Qwen2ForSequenceClassification Qwen3ForSequenceClassification
    Qwen3Model CLIPModel BertModel Contriever BertForSequenceClassification XLMRobertaModel XLMRobertaForSequenceClassification
    Gemma2ForSequenceClassification EmbeddingGemma2Model Lfm2BidirectionalModel
"""


def test_classes_that_sglang_does_not_generate_with() -> None:
    from archcalc.engines.sglang.command import EMBEDS

    assert set(_NOT_GENERATING.split()) | {"Gemma3TextModel"} == EMBEDS


# SGLang 0.5.23, srt/server_args.py: `--dtype` (half, float16, bfloat16, float, float32; model_config.py `_STR_DTYPE_TO_TORCH_DTYPE`) and
# `--kv-cache-dtype`; what each says is what the cache is then kept in, 32 layers of 8 heads of 128.
@pytest.mark.parametrize(
    ("words", "bytes_of_a_number"),
    [
        *((f"--dtype {word}", 2) for word in ("half", "float16", "bfloat16")), *((f"--dtype {word}", 4) for word in ("float", "float32")),
        *((f"--kv-cache-dtype {word}", 2) for word in ("bf16", "bfloat16", "auto")),
        *((f"--kv-cache-dtype {word}", 1) for word in ("fp8_e4m3", "fp8_e5m2")),
    ],
)  # fmt: skip
def test_what_sglangs_flags_keep_a_cache_in(cli: Run, words: str, bytes_of_a_number: int) -> None:
    command = f"python -m sglang.launch_server --model-path llama-3.1-8b --context-length 8192 {words}"
    done = cli("fit", "--offline", "--gpu", "h100", "--format", "json", "--", *command.split())
    plan = json.loads(done.stdout)["per_gpu"]
    assert plan["kv_needed_bytes"] == pytest.approx(32 * 2 * 8 * 128 * 8192 * bytes_of_a_number, rel=0.01)


# srt/server_args.py of 0.5.23 takes NEXTN for EAGLE.
def test_sglangs_two_names_of_one_draft(cli: Run) -> None:
    found = []
    for name in ("EAGLE", "NEXTN", ""):
        drafts = "--speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4"
        command = (
            f"python -m sglang.launch_server --model-path qwen3.5-9b {f'--speculative-algorithm {name} {drafts}' if name else ''}"
        )
        done = cli("fit", "--offline", "--gpu", "h100", "--format", "json", "--", *command.split())
        found.append(json.loads(done.stdout)["per_gpu"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "flag",
    [
        "--max-running-requests", "--max-total-tokens", "--max-prefill-tokens", "--page-size", "--cuda-graph-max-bs",
        "--cuda-graph-max-bs-decode", "--cuda-graph-bs", "--cuda-graph-bs-decode",
    ],
)  # fmt: skip
def test_numbers_of_sglangs_flags_are_used(cli: Run, flag: str) -> None:
    command = f"python -m sglang.launch_server --model-path llama-3.1-8b --context-length 8192 {flag} 64"
    done = cli("fit", "--offline", "--gpu", "h100", "--format", "json", "--", *command.split())
    assert flag in json.loads(done.stdout)["options"]["used"], done.stderr


def _of(**config: Any) -> Any:
    from archcalc.arch import parse

    base = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 128, "max_position_embeddings": 1000,
    }  # fmt: skip
    return parse({**base, **config})


def test_keys_that_state_a_length_in_their_order() -> None:
    """0.5.23, srt/utils/hf_transformers/common.py `CONTEXT_LENGTH_KEYS`; 2,048 where none is stated (`get_context_length`)."""
    from archcalc.engines.sglang.lengths import _KEYS, length

    assert _KEYS == ("max_sequence_length", "seq_length", "max_seq_len", "model_max_length", "max_position_embeddings")
    assert UNSTATED == 2048
    for at, key in enumerate(_KEYS[:-1]):
        below = {later: 500 + n for n, later in enumerate(_KEYS[at + 1 : -1])}
        assert length(_of(**{key: 300, **below}), None, None).usual == 300, key


def test_a_longer_context_is_taken_with_a_warning_alone_from_0_4_4_to_0_5_0() -> None:
    """srt/configs/model_config.py: `SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN` was taken for set where it was not."""
    found = [allows_by_itself(v) for v in ("0.4.3", "0.4.4", "0.4.10", "0.5.1", None)]
    assert found == [False, True, True, False, False]
    assert LIFTS == "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1"


@pytest.mark.parametrize(
    ("backend", "latent", "runs_on"),
    [
        # vLLM 0.33, v1/attention/backends/: `supports_compute_capability` and `is_mla` of each file.
        ("FLASH_ATTN", False, (80, 90, 100, 120)), ("FLASHINFER", False, (80, 90, 100, 120)),
        ("TRITON_ATTN", False, (75, 80, 90, 100, 120)),
        ("FLEX_ATTENTION", False, (75, 80, 90, 100, 120)), ("FLASHMLA", True, (90, 100)), ("FLASH_ATTN_MLA", True, (90,)),
        ("CUTLASS_MLA", True, (100,)), ("FLASHINFER_MLA", True, (100,)), ("TRITON_MLA", True, (75, 80, 90, 100, 120)),
    ],
)  # fmt: skip
def test_gpus_and_models_of_vllms_named_backends(backend: str, latent: bool, runs_on: tuple[int, ...]) -> None:
    latents, heads = zoo.spec("deepseek-v3"), zoo.spec("qwen3-8b")
    assert latents is not None and heads is not None
    for capability in (75, 80, 90, 100, 120):
        for model, fits in ((latents, latent), (heads, not latent)):
            refused = unfit(model, "0.33.0", backend, divmod(capability, 10))
            assert (refused is None) is (fits and capability in runs_on), (capability, refused)


def test_every_name_of_a_cache_that_vllm_lists_is_counted_or_not_modelled() -> None:
    """vLLM 0.33, config/cache.py `CacheDType`: none of its names is said to be missing there."""
    names = (
        "auto float16 bfloat16 fp8 fp8_e4m3 fp8_e5m2 fp8_inc fp8_ds_mla nvfp4_ds_mla turboquant_k8v4 turboquant_4bit_nc"
        " turboquant_k3v4_nc turboquant_3bit_nc octave_k3v4 octave_k3v3 octave_k3v3_compact ultraquant_4bit int4_per_token_head"
        " int8_per_token_head fp8_per_token_head nvfp4 nvfp4_4over6"
    )
    model = zoo.spec("qwen3-8b")
    assert model is not None
    for name in names.split():
        if name in rules("0.33.0").dtypes:
            continue
        with pytest.raises(UnsupportedError, match="is not modelled"):
            cache_dtype(model, name, CacheOptions(version="0.33.0"))


# SGLang 0.5.23, srt/layers/quantization/: `get_min_capability` of the class that __init__.py has for each name.
LEAST_OF_SGLANG = {
    "fp8": 80, "mxfp8": 100, "minimax_m3_nvfp4": 90, "blockwise_int8": 80, "modelopt_fp8": 89, "modelopt_fp4": 80, "nvfp4_online": 100,
    "modelopt_mixed": 80, "w8a8_int8": 75, "w8a8_fp8": 89, "awq": 75, "bitsandbytes": 70, "gguf": 60, "moe_wna16": 70,
    "compressed-tensors": 70, "w4afp8": 90, "quark": 70, "auto-round": 60, "humming": 75, "mxfp4": 80,
}  # fmt: skip


def test_least_capabilities_are_those_of_sglangs_classes() -> None:
    known = {name: rows[0].capability for name, rows in kernels.CAPABILITY.items() if name != "gptq"}
    assert known == LEAST_OF_SGLANG


def test_projections_that_vllm_keeps_as_one_matrix() -> None:
    """vLLM 0.33, `packed_modules_mapping` of models/qwen3_5.py, llama.py and deepseek_v2.py (`fused_qkv_a_proj`)."""
    packed = (
        ("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj", "w1", "w3"), ("q_a_proj", "kv_a_proj_with_mqa"),
        ("in_proj_qkv", "in_proj_z"), ("in_proj_b", "in_proj_a"),
    )  # fmt: skip
    assert {frozenset(names) for names in packed} == {
        frozenset(leaf for leaf, into in _JOINED.items() if into == one) for one in set(_JOINED.values())
    }


# SGLang: `prefill_only_disable_kv_cache` is set for EmbeddingGemma by itself since 0.5.17 (srt/configs/embedding_model_spec.py), where
# `is_sm90 or is_sm100` (0.5.23, srt/arg_groups/model_hook.py); 0.5.16 has the flag alone.
@pytest.mark.parametrize(
    ("gpu", "version", "skips"),
    [
        (H100, None, True), (B200, None, True), (RTX5090, None, False), (A100, None, False), (H100, "0.5.17", True),
        (B200, "0.5.17", True), (H100, "0.5.16", False),
    ],
)  # fmt: skip
def test_where_sglang_keeps_nothing_of_embeddinggemma(gpu: str, version: str | None, skips: bool) -> None:
    from types import SimpleNamespace

    from archcalc.arch import parse
    from archcalc.engines.sglang.pool import skips_pool

    config = {
        "architectures": ["Gemma3TextModel"], "model_type": "gemma3_text", "hidden_size": 768, "intermediate_size": 1152,
        "num_hidden_layers": 24, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144,
        "max_position_embeddings": 2048, "sliding_window": 512, "use_bidirectional_attention": True,
    }  # fmt: skip
    ask: Any = SimpleNamespace(gpus=SimpleNamespace(device=device(gpu)), version=version)
    assert skips_pool(parse(config), ask) is skips
    assert not skips_pool(parse({**config, "architectures": ["Gemma3ForCausalLM"], "use_bidirectional_attention": False}), ask)


# SGLang 0.5.23, srt/arg_groups/speculative_hook.py, srt/managers/tp_worker.py `_init_model_config`: EAGLE and its like draft with the
# checkpoint's own MTP layers where it has some; EAGLE-3, a standalone draft and DFlash are models of their own; n-grams need none.
@pytest.mark.parametrize(
    ("speculation", "alone", "with_layers"),
    [
        *((name, False, True) for name in ("EAGLE", "NEXTN", "FROZEN_KV_MTP")),
        *((name, False, False) for name in ("EAGLE3", "STANDALONE", "DFLASH")), ("NGRAM", True, True), ("", True, True),
    ],
)  # fmt: skip
def test_what_sglang_drafts_with(speculation: str, alone: bool, with_layers: bool) -> None:
    from archcalc.arch import parse
    from archcalc.engines.sglang.settings import Settings, check_draft
    from archcalc.errors import UsageError

    for model, drafts in (("qwen3-8b", alone), ("deepseek-v3", with_layers)):
        architecture = parse(zoo.config(model) or {})
        if drafts:
            check_draft(Settings(speculation=speculation), architecture)
        else:
            with pytest.raises(UsageError, match="needs a draft model"):
                check_draft(Settings(speculation=speculation), architecture)
