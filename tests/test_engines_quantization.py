"""How a checkpoint is stored, what a command's flag makes of it, and what its engine refuses, as the engine's source has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware, zoo
from archcalc.analysis.fit import Ask, candidate, cannot, judge
from archcalc.arch import parse
from archcalc.engines.placement import Placement
from archcalc.engines.served import listed, served
from archcalc.engines.sglang import quantization as sglang
from archcalc.engines.vllm import attention
from archcalc.engines.vllm import quantization as vllm
from archcalc.errors import UnsupportedError, UsageError
from archcalc.quant._published import names_it
from conftest import Run


@pytest.fixture
def run(cli: Run) -> Run:
    """In this process: each call of its own would cost the start of an interpreter."""
    return cli


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
MXFP4 = {"quant_method": "mxfp4"}
PACKED = {
    "quant_method": "compressed-tensors", "format": "pack-quantized",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}}},
}  # fmt: skip


def report(done: Any) -> dict[str, Any]:
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


MIXTURE = parse({
    "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96, "moe_intermediate_size": 32, "num_experts": 8,
    "num_experts_per_tok": 2, "vocab_size": 256,
})  # fmt: skip


@pytest.mark.parametrize(
    ("version", "method", "stored", "said"),
    [
        # weight_utils.py `get_quant_config`: no file of the method's own beside a checkpoint that states no quantization.
        *((None, method, None, "is not quantized") for method in ("awq", "gptq", "moe_wna16", "modelopt", "compressed-tensors")),
        ("0.10.0", "gptq_marlin", None, "is not quantized"),
        (None, "gguf", None, "is no GGUF file"),
        ("0.23.0", "gguf", None, "is no GGUF file"),
        (None, "hqq", None, "no hqq among"),
        ("0.19.0", "fp8_per_block", None, "no fp8_per_block among"),
        (None, "ptpc_fp8", None, "no ptpc_fp8 among"),
        ("0.10.0", "ptpc_fp8", None, "AMD's GPUs alone"),
        ("0.10.1", "mxfp4", None, "no MXFP4 experts"),
        (None, "nvfp4_per_token", None, None),
        *((None, method, None, None) for method in ("fp8", "fp8_per_block", "mxfp8", "mxfp4", "bitsandbytes", "experts_int8")),
        # config/model.py `_verify_quantization` and each `override_quantization_method`.
        *((None, method, FP8, "does not match") for method in ("awq", "fp8_per_block", "fp8_per_tensor", "mxfp8", "bitsandbytes")),
        (None, "fp8", FP8, None),
        (None, "humming", FP8, None),
        (None, "fp8", AWQ, "does not match"),
        *((None, method, AWQ, None) for method in ("awq", "awq_marlin", "auto_awq", "moe_wna16")),
        *((None, method, GPTQ, None) for method in ("gptq", "gptq_marlin", "auto_gptq", "moe_wna16")),
        ("0.10.0", "marlin", GPTQ, None),
        (None, "marlin", GPTQ, "no marlin among"),
        (None, "awq", GPTQ, "does not match"),
        # ModelOpt's methods put themselves in place of what was asked for since 0.10.
        (None, "awq", NVFP4, None),
        ("0.9.2", "awq", NVFP4, "does not match"),
        ("0.11.0", "fp8", MXFP4, "does not match"),
        (None, "mxfp4", MXFP4, None),
    ],
)
def test_what_vllm_makes_of_its_flag(version: str | None, method: str, stored: dict[str, Any] | None, said: str | None) -> None:
    found = vllm.refused(version, method, stored, MIXTURE, moe=True, amd=False)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("method", "stored", "said"),
    [
        ("awq", None, "is not quantized"), ("gguf", None, "is no GGUF file"), ("fp8", None, None), ("bitsandbytes", None, None),
        ("nonsense", None, "no nonsense among"), ("awq", FP8, "does not match"), ("modelopt_fp4", FP8, None), ("fp8", FP8, None),
        ("awq_marlin", AWQ, None), ("w8a8_fp8", PACKED, None), ("awq", PACKED, "does not match"),
        ("humming", AWQ, None), ("humming", {"quant_method": "mxfp4"}, "does not match"), ("quark_mxfp4", FP8, None),
    ],
)  # fmt: skip
def test_what_sglang_makes_of_its_flag(method: str, stored: dict[str, Any] | None, said: str | None) -> None:
    found = sglang.refused(None, method, stored)
    assert found is None if said is None else said in (found or "")


# SGLang 0.5.23, srt/configs/model_config.py `_verify_quantization`: `compatible_quantization_methods`, `REQUANTIZATION_METHODS`, and what
# `override_quantization_method` of layers/quantization/ takes (awq.py, gptq.py, moe_wna16.py; Marlin's own names).
_PAIRS = {
    "modelopt": "modelopt_fp8 modelopt_fp4 modelopt_mixed petit_nvfp4", "fp8": "modelopt_fp4 nvfp4_online", "mxfp8": "minimax_m3_nvfp4",
    "compressed-tensors": "w8a8_int8 w8a8_fp8 auto-round-int8", "compressed_tensors": "w8a8_int8 w8a8_fp8 auto-round-int8",
    "awq": "awq_marlin moe_wna16", "gptq": "gptq_marlin moe_wna16", "quark": "quark_mxfp4",
}  # fmt: skip
_ALONE = (
    "w8a8_int8 w8a8_fp8 auto-round-int8 modelopt_mixed petit_nvfp4 nvfp4_online minimax_m3_nvfp4 awq_marlin gptq_marlin".split()
)


@pytest.mark.parametrize(("stored", "methods"), _PAIRS.items())
def test_flags_that_sglang_takes_beside_a_stored_method(stored: str, methods: str) -> None:
    for method in methods.split():
        assert sglang.refused(None, method, {"quant_method": stored}) is None, method
    takes = {*methods.split(), stored} | ({"nvfp4_online"} if stored == "modelopt" else set())
    for method in set(_ALONE) - takes:
        assert "does not match" in (sglang.refused(None, method, {"quant_method": stored}) or ""), method


# The same files: methods whose `from_config` or `get_config_filenames` needs what is in a checkpoint.
@pytest.mark.parametrize(
    "method",
    "awq awq_marlin gptq gptq_marlin moe_wna16 auto-round petit_nvfp4 compressed-tensors fbgemm_fp8 qoq".split(),
)
def test_flags_of_sglang_that_need_a_quantized_checkpoint(method: str) -> None:
    known = served("sglang")
    had = listed(known.methods.get(method), "SGLang", known.releases, None)
    assert ("is not quantized" if had else "among its quantization methods") in (sglang.refused(None, method, None) or "")


@pytest.mark.parametrize("ask", [(vllm.refused, {"moe": True, "amd": False}), (sglang.refused, {})])
def test_what_is_not_known_of_a_flag_is_refused(ask: Any) -> None:
    refused, rest = ask
    with pytest.raises(UnsupportedError, match="--quantization humming"):
        refused(None, "humming", None, *((MIXTURE,) if rest else ()), **rest)


@pytest.mark.parametrize(
    "command",
    [
        "--gpu b200 -- vllm serve Qwen/Qwen3-32B --quantization awq",
        "--gpu 8xh200 -- vllm serve deepseek-ai/DeepSeek-V3 -tp 8 --quantization fp8_per_block",
        "--gpu h100 -- python -m sglang.launch_server --model-path llama-3.1-8b --quantization awq",
    ],
)
def test_a_flag_that_stops_the_engine_is_no_fit(cli: Run, command: str) -> None:
    done = cli("fit", "--format", "json", "--offline", *command.split())
    got = report(done)
    assert (done.returncode, got["fits"], got["start"]["starts"]) == (1, False, False)
    assert "--quantization" in got["start"]["limit"]


def test_what_vllm_quantizes_as_it_loads_is_read_back(cli: Run) -> None:
    """A printed command is judged as the plan that it was printed for; INT8 and NVFP4 experts beside linear layers in bf16."""

    def weights(*words: str) -> int:
        return int(report(cli("fit", "--format", "json", "--offline", "--gpu", "b200", *words))["per_gpu"]["weights_bytes"])

    def served(method: str) -> int:
        return weights("--", "vllm", "serve", "Qwen/Qwen3-30B-A3B", "--quantization", method)

    for quant in ("mxfp4", "mxfp8", "fp8", "fp8-dynamic"):
        got = report(cli("fit", "qwen3-30b-a3b", "--format", "json", "--offline", "--gpu", "b200", "--quant", quant))
        method = got["command"].split("--quantization ")[1].split()[0]
        assert served(method) == got["per_gpu"]["weights_bytes"]
    whole = weights("--", "vllm", "serve", "Qwen/Qwen3-30B-A3B")
    experts = 48 * 128 * 3 * 2048 * 768
    for method, bits in (("int8_per_channel_weight_only", 8), ("nvfp4_per_token", 4.5)):
        assert served(method) == pytest.approx(whole - experts * (2 - bits / 8), rel=2e-3)


@pytest.mark.parametrize(
    ("name", "quant", "aliases"),
    [
        ("gpt-oss-20b", "mxfp4", ("MXFP4",)),
        ("kimi-k2.5", "w4a16", ("int4", "compressed-tensors")),
        ("deepseek-v3", "fp8", ("fp8-block",)),
    ],
)
@pytest.mark.parametrize("engine", ["vllm", "sglang", "transformers", "llama.cpp"])
def test_the_published_format_by_name_is_the_published_checkpoint(
    name: str, quant: str, aliases: tuple[str, ...], engine: str
) -> None:
    architecture, machine = zoo.spec(name), hardware.parse_spec("h200")
    assert architecture is not None
    if (engine, quant) == ("llama.cpp", "fp8"):
        with pytest.raises(UsageError, match="GGUF, which has no fp8"):
            candidate(architecture, Ask(machine, engine, quant=quant))
        return
    published = candidate(architecture, Ask(machine, engine))
    for asked in (quant, *aliases):
        made = candidate(architecture, Ask(machine, engine, quant=asked))
        assert (made.architecture, made.tensors) == (published.architecture, published.tensors)


@pytest.mark.parametrize(
    ("stored", "names", "others"),
    [
        (AWQ, ("awq", "AWQ", "int4", "awq-int4"), ("gptq", "w4a16", "fp8")),
        ({**GPTQ, "bits": 8}, ("gptq-int8", "gptq", "int8"), ("awq", "int4")),
        (PACKED, ("w4a16", "int4", "compressed_tensors"), ("awq", "int8")),
        (NVFP4, ("nvfp4", "fp4", "modelopt"), ("mxfp4", "fp8")),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, ("bnb-int8", "bnb-8bit", "bitsandbytes"), ("nf4",)),
        ({"load_in_4bit": True, "bnb_4bit_use_double_quant": True}, ("nf4", "nf4-dq", "qlora", "bnb"), ("bnb-int8",)),
        # DeepSeek-V4's experts are in FP4: FP8 is what its base models are in.
        ({**FP8, "expert_dtype": "fp4"}, (), ("fp8", "fp4", "mxfp4")),
        ({"quant_method": "fbgemm_fp8"}, ("fp8", "fbgemm-fp8", "fp8-dynamic"), ("mxfp8",)),
    ],
)
def test_names_of_a_storage(stored: dict[str, Any], names: tuple[str, ...], others: tuple[str, ...]) -> None:
    assert [name for name in (*names, *others) if names_it(stored, name)] == list(names)


@pytest.mark.parametrize(
    ("method", "columns"),
    [
        # 1,536 columns on 8 ranks are 192; blocks of 128 that are made within a rank round them up to 256, and one scale for all does not.
        ("fp8_per_tensor", 192), ("fp8", 192), ("fp8_per_block", 256),
    ],
)  # fmt: skip
def test_experts_that_are_quantized_as_they_load_are_split(cli: Run, method: str, columns: int) -> None:
    words = f"vllm serve Qwen/Qwen3-235B-A22B -tp 8 --quantization {method}".split()
    got = report(cli("fit", "--format", "json", "--offline", "--gpu", "8xh200", "--", *words))
    assert got["fits"]
    ones = report(
        cli("fit", "--format", "json", "--offline", "--gpu", "8xh200", "--", *words[:-2], "--enable-expert-parallel", *words[-2:])
    )
    experts = 94 * 128 * 3 * 4096
    assert got["per_gpu"]["weights_bytes"] - ones["per_gpu"]["weights_bytes"] == pytest.approx(
        experts * (columns - 192), abs=40 << 20
    )


def test_blocks_that_are_stored_are_not_cut(cli: Run) -> None:
    for engine, version in (("vllm", "0.28.0"), ("vllm", "0.10.0"), ("sglang", None)):
        architecture = zoo.spec("qwen3-235b-a22b")
        assert architecture is not None
        ask = Ask(hardware.parse_spec("8xh200"), engine, version=version, quant="fp8", context_tokens=1024)
        assert judge(candidate(architecture, ask), Placement(8), ask, 1024, 1).fits
        stored = architecture._replace(quantization=FP8)
        assert "blocks of 128" in cannot(candidate(stored, ask), Placement(8), ask)


@pytest.mark.parametrize(
    ("quant", "package"), [("q4_k_m", "vllm-gguf-plugin"), ("bnb-int8", "vllm-bnb-plugin"), ("nf4", "vllm-bnb-plugin")]
)
def test_a_plugin_is_named_with_the_checkpoint_that_needs_it(cli: Run, quant: str, package: str) -> None:
    done = cli("fit", "qwen3-32b", "--gpu", "2xl40s", "--quant", quant, "--offline", "--ctx", "4k")
    assert package in done.stdout
    if quant == "nf4":
        assert package in cli("fit", *"--gpu l40s --offline -- vllm serve qwen3-8b --quantization bitsandbytes".split()).stdout
    assert (
        "plugin"
        not in cli("fit", "qwen3-32b", *f"--gpu 2xl40s --quant {quant} --offline --ctx 4k --engine-version 0.20.0".split()).stdout
    )


@pytest.mark.parametrize(
    ("name", "version", "dtype", "block", "major", "said"),
    [
        # Each release's v1/attention/backends/: `supported_kv_cache_dtypes`, `get_supported_kernel_block_sizes`, `supports_combination`.
        *(("deepseek-v3", None, dtype, None, 9, "for MLA") for dtype in ("int8_per_token_head", "fp8_per_token_head", "fp8_e5m2")),
        *(("deepseek-v3", None, dtype, None, 9, None) for dtype in ("auto", "bfloat16", "fp8", "fp8_e4m3")),
        ("deepseek-v3", "0.17.0", "fp8", None, 8, "for MLA"), ("deepseek-v3", "0.18.0", "fp8", None, (8, 9), None),
        ("deepseek-v3", "0.17.0", "fp8", None, 9, None), ("deepseek-v3.2", None, "fp8_per_token_head", None, 10, "for sparse MLA"),
        ("gpt-oss-20b", None, "nvfp4", None, 9, "heads of 64 with sinks"), ("gpt-oss-20b", None, "nvfp4", None, 10, None),
        ("qwen3-8b", None, "nvfp4", None, 9, None), ("qwen3-8b", None, "int8_per_token_head", None, 9, None),
        ("phi-2", None, "nvfp4", None, 10, "heads of 80"),
        ("qwen3-8b", None, "auto", 17, 9, "multiple of 16"), ("qwen3-8b", None, "auto", 8, 9, "multiple of 16"),
        ("qwen3-8b", None, "auto", 48, 9, None), ("qwen3-8b", "0.14.0", "auto", 17, 9, "takes 1, 8, 16"),
        # FlexAttention took any block until 0.21, without sinks and in half precision.
        ("qwen3-8b", "0.20.0", "auto", 8, 9, None), ("qwen3-8b", "0.21.0", "auto", 8, 9, "multiple of 16"),
        ("qwen3-8b", "0.20.0", "fp8", 8, 9, "multiple of 16"), ("gpt-oss-20b", "0.20.0", "auto", 8, 9, "multiple of 16"),
        ("deepseek-v3", None, "auto", 8, 9, "multiple of 16"), ("deepseek-v3", "0.14.0", "auto", 1, 9, None),
        ("deepseek-v3.2", None, "auto", 32, 9, "multiple of 64"), ("deepseek-v3", None, "fp8_e5m2", None, None, None),
    ],
)  # fmt: skip
def test_a_cache_needs_a_backend_that_reads_it(
    name: str, version: str | None, dtype: str, block: int | None, major: int | tuple[int, int] | None, said: str | None
) -> None:
    architecture = zoo.spec(name)
    assert architecture is not None
    cuda = (major, 0) if isinstance(major, int) else major
    found = attention.lacks(architecture, version, dtype, block, cuda, "--kv-cache-dtype")
    assert found is None if said is None else said in " ".join(found or ())


_TO_89 = (7, 5), (8, 0), (8, 6)
_FROM_89 = (8, 9), (9, 0), (10, 0), (12, 0)


@pytest.mark.parametrize(
    ("name", "version", "dtypes", "lacking", "reading"),
    [
        # mla/triton_mla.py `TritonMLAImpl`: "requires SM89+", since 0.26; no other backend for MLA is for 8.x. Before, its compiler
        # stopped (vllm#26431).
        *(("deepseek-v3", v, "fp8 fp8_e4m3", _TO_89, _FROM_89) for v in (None, "0.26.0", "0.24.0", "0.18.0")),
        ("deepseek-v2-lite", None, "fp8", _TO_89, _FROM_89), ("kimi-linear-48b-a3b", None, "fp8", _TO_89, _FROM_89),
        # triton_attn.py `TritonAttentionImpl`, since 0.24. flash_attn.py `supports_combination`: "sink not supported on compute capability
        # < 9.0"; flashinfer.py `supports_sink`: 9.0, 10.x and 12.x.
        *(("gpt-oss-20b", v, "fp8 fp8_e5m2", _TO_89, _FROM_89) for v in (None, "0.24.0", "0.12.0")),
        ("gpt-oss-20b", None, "fp8_per_token_head", _TO_89, _FROM_89), ("gpt-oss-20b", None, "auto int8_per_token_head", (), _TO_89),
        # `is_mm_prefix_lm`: FlashInfer's has no `supports_mm_prefix`.
        *(("gemma-3-27b", v, "fp8", _TO_89, _FROM_89) for v in (None, "0.24.0", "0.13.0")),
        ("gemma-3-27b", "0.11.1", "fp8", (), ((8, 0), (8, 9))),
        # flashinfer.py `get_supported_head_sizes`: 64, 128, 256 and, since 0.22, 512.
        ("phi-3-mini", None, "fp8", _TO_89, _FROM_89), ("phi-2", None, "fp8", _TO_89, _FROM_89),
        ("qwen3-8b", None, "fp8 fp8_e5m2", ((7, 5),), ((8, 0), (8, 6), *_FROM_89)), ("gemma-2-9b", None, "fp8", (), ((8, 6), (9, 0))),
        ("qwen3-8b", "0.23.0", "fp8", ((7, 0),), ((7, 5), (8, 0))), ("qwen3-8b", None, "fp8_per_token_head", _TO_89, _FROM_89),
        # models/config.py `Gemma4Config`: FlashAttention 4's on 9.x and 10.x, else Triton's.
        ("gemma-4-31b", None, "fp8", _TO_89, _FROM_89), ("gemma-4-e4b", None, "fp8", _TO_89, _FROM_89),
        ("gemma-4-e4b", None, "nvfp4", ((8, 0), (8, 9), (12, 0)), ((9, 0), (10, 0))),
        # NVFP4 is FlashInfer's alone.
        ("gemma-3-27b", None, "nvfp4", ((8, 0), *_FROM_89), ()), ("medgemma-27b", None, "nvfp4", ((9, 0), (10, 0)), ()),
        ("gemma-3-1b", None, "nvfp4", (), ((8, 0), *_FROM_89)),
    ],
)  # fmt: skip
def test_a_cache_needs_kernels_for_the_gpu_and_the_model(
    name: str,
    version: str | None,
    dtypes: str,
    lacking: tuple[tuple[int, int], ...],
    reading: tuple[tuple[int, int], ...],
) -> None:
    architecture = zoo.spec(name)
    assert architecture is not None
    for dtype in dtypes.split():
        for cuda in (*lacking, *reading):
            found = attention.lacks(architecture, version, dtype, None, cuda, "--kv-cache-dtype")
            assert (found is None) == (cuda in reading), (dtype, cuda, found)


@pytest.mark.parametrize(
    ("cuda", "version", "reads"),
    [((8, 0), None, False), ((8, 9), None, False), ((9, 0), None, True), ((9, 0), "0.21.0", True), ((10, 0), None, True),
     ((10, 0), "0.24.0", False), ((12, 0), None, False)],
)  # fmt: skip
def test_flash_attention_reads_fp8_where_its_third_or_fourth_runs(cuda: tuple[int, int], version: str | None, reads: bool) -> None:
    """vLLM 0.21, v1/attention/backends/fa_utils.py `flash_attn_supports_fp8`; 0.33, `flash_attn_supports_kv_cache_dtype`."""
    architecture = zoo.spec("qwen3-8b")
    assert architecture is not None
    found = attention.lacks(architecture, version, "fp8", None, cuda, "--kv-cache-dtype", named="FLASH_ATTN")
    assert (found is None) == reads and (reads or "with FLASH_ATTN" in str(found))


@pytest.mark.parametrize(
    ("sees", "text_alone", "dtype", "reading"),
    [
        # model_arch_config_convertor.py `Gemma4ModelArchConfigConvertor.is_mm_prefix_lm`; composite.py: both of its backends have to read.
        ("vision", False, "nvfp4", ()), ("vision", True, "nvfp4", ((9, 0), (10, 0))), (None, False, "nvfp4", ((9, 0), (10, 0))),
        ("vision", False, "fp8", ((8, 9), (9, 0), (10, 0), (12, 0))),
    ],
)  # fmt: skip
def test_gemma_4_reads_nvfp4_where_its_images_are_seen_in_order(
    sees: str | None, text_alone: bool, dtype: str, reading: tuple[tuple[int, int], ...]
) -> None:
    text = {"model_type": "gemma4_text", "use_bidirectional_attention": sees, "num_hidden_layers": 6}
    architecture = parse(
        {"model_type": "gemma4", "architectures": ["Gemma4ForConditionalGeneration"], "text_config": text, "dtype": "bfloat16"}
    )
    assert architecture.mutual == (sees == "vision")
    for cuda in ((8, 0), (8, 9), (9, 0), (10, 0), (12, 0)):
        found = attention.lacks(architecture, None, dtype, None, cuda, "--kv-cache-dtype", text_alone=text_alone)
        assert (found is None) == (cuda in reading), (cuda, found)


@pytest.mark.parametrize(
    ("version", "named", "text_alone", "dtype", "reads"),
    [
        # `is_mm_prefix_lm` is off where no images can come, since 0.28.
        (None, "", True, "nvfp4", True), (None, "", False, "nvfp4", False), ("0.26.0", "", True, "fp8", False),
        # A backend that is named is the only one (`validate_configuration`).
        (None, "TRITON_ATTN", True, "fp8", False), (None, "FLASHINFER", True, "fp8", True), (None, "FLEX_ATTENTION", True, "fp8", False),
        (None, "TRITON_ATTN", True, "auto", True),
        # fa_utils.py `flash_attn_supports_kv_cache_dtype`: FlashAttention 3 and 4, on 9.x and 10.x.
        *((v, "FLASH_ATTN", True, "fp8", False) for v in (None, "0.24.0", "0.21.0")), (None, "FLASH_ATTN", True, "auto", True),
    ],
)  # fmt: skip
def test_a_command_s_own_words_part_backends(version: str | None, named: str, text_alone: bool, dtype: str, reads: bool) -> None:
    architecture = zoo.spec("gemma-3-27b")
    assert architecture is not None
    found = attention.lacks(architecture, version, dtype, None, (8, 6), "--kv-cache-dtype", named=named, text_alone=text_alone)
    assert (found is None) == reads


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "--gpu 8xh200 -- vllm serve deepseek-ai/DeepSeek-V3 -tp 8 --kv-cache-dtype int8_per_token_head",
            "--kv-cache-dtype int8_per",
        ),
        ("deepseek-v3 --gpu 8xh200 --kv-dtype fp8_e5m2", "--kv-dtype fp8_e5m2"),
        ("--gpu h100 -- vllm serve openai/gpt-oss-20b --kv-cache-dtype nvfp4", "--kv-cache-dtype nvfp4"),
        ("--gpu h100 -- vllm serve Qwen/Qwen3-8B --block-size 17", "--block-size 17"),
        ("--gpu 3090 -- vllm serve openai/gpt-oss-20b --kv-cache-dtype fp8", "--kv-cache-dtype fp8"),
        ("deepseek-v3 --gpu 16xa100-80gb --kv-dtype fp8 --ctx 8k", "--kv-dtype fp8"),
    ],
)
def test_what_no_backend_reads_is_refused_by_its_flag(cli: Run, command: str, said: str) -> None:
    done = cli("fit", "--offline", *command.split())
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_dtype_leaves_what_is_quantized_as_it_is(cli: Run) -> None:
    for words in (
        "vllm serve deepseek-ai/DeepSeek-V3 -tp 8",
        "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --tp 8",
    ):
        plain, asked = (
            report(cli("fit", "--format", "json", "--offline", "--gpu", "8xh200", "--", *words.split(), *dtype))
            for dtype in ((), ("--dtype", "bfloat16"))
        )
        assert asked["per_gpu"] == plain["per_gpu"]
        assert asked["fits"]


@pytest.mark.parametrize(
    ("dtype", "stored", "online", "capability", "said"),
    [
        ("fp32", FP8, False, (9, 0), "float32"), ("fp32", FP8, True, (9, 0), "float32"), ("fp32", PACKED, False, (9, 0), "float32"),
        ("fp32", None, False, (9, 0), None), ("fp16", MXFP4, False, (9, 0), "float16"), ("fp16", AWQ, False, (7, 5), None),
        ("bf16", None, False, (7, 5), "8.0 and newer"), ("bf16", MXFP4, False, (8, 0), None), ("bf16", None, False, None, None),
    ],
)  # fmt: skip
def test_dtypes_that_stop_vllm(
    dtype: str, stored: dict[str, Any] | None, online: bool, capability: tuple[int, int] | None, said: str | None
) -> None:
    found = vllm.dtype_refused(dtype, stored, online, capability)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("--gpu h100 -- vllm serve openai/gpt-oss-20b --dtype float16", 1, "--dtype float16"),
        ("--gpu t4 -- vllm serve qwen3-0.6b --dtype bfloat16", 1, "--dtype bfloat16"),
        ("--gpu h100 -- vllm serve qwen3-8b --dtype int8", 2, "--dtype int8"),
        ("--gpu h100 -- python -m sglang.launch_server --model-path qwen3-8b --dtype int8", 2, "--dtype int8"),
    ],
)
def test_a_dtype_that_stops_the_engine_is_told(cli: Run, command: str, status: int, said: str) -> None:
    done = cli("fit", "--offline", *command.split())
    assert (done.returncode, said in (done.stderr if status == 2 else done.stdout)) == (status, True)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        # vLLM, config/model.py `_FLOAT16_NOT_SUPPORTED_MODELS` as read in 0.8.5 to 0.33.
        ("--gpu h100 -- vllm serve google/gemma-3-4b-it --dtype float16 --max-model-len 8192", 1, "refuses float16"),
        ("--gpu h100 -- vllm serve gemma-2-9b --dtype half", 1, "refuses float16"),
        ("gemma-3-12b --gpu h100 --ctx 8k --engine vllm --quant fp16", 1, "refuses float16"),
        ("gemma-2-9b --gpu h100 --ctx 8k --engine vllm --quant fp16 --engine-version 0.9.0", 0, ""),
        ("gemma-3-1b --gpu h100 --ctx 8k --engine vllm --quant fp16 --engine-version 0.10.1", 0, ""),
        ("gemma-3-1b --gpu h100 --ctx 8k --engine vllm --quant fp16 --engine-version 0.10.2", 1, "refuses float16"),
        ("gemma-3n-e2b --gpu h100 --ctx 8k --engine vllm --quant fp16", 0, ""),
        ("qwen3-4b --gpu t4 --ctx 4k --engine vllm --quant bf16", 1, "8.0 and newer"),
        # What is refused in float16 is float32 on a GPU without bfloat16, which FP8 weights do not run with.
        ("gemma-3-4b --gpu t4 --ctx 8k --engine vllm --quant fp8", 1, "takes float32"),
        ("--gpu t4 -- vllm serve gemma-3-1b --quantization fp8", 1, "takes float32"),
        ("qwen3-4b --gpu t4 --ctx 4k --engine vllm --quant fp8", 0, ""),
        # SGLang 0.5.23, load_model_utils.py `maybe_downgrade_dtype_for_legacy_gpu`.
        ("qwen3-4b --gpu v100-pcie-32gb --ctx 8k --engine sglang", 2, "7.5 and newer"),
        ("--gpu v100-pcie-32gb -- python -m sglang.launch_server --model qwen3-4b", 2, "7.5 and newer"),
        ("qwen3-4b --gpu t4 --ctx 4k --engine sglang", 0, ""),
    ],
)
def test_a_dtype_or_gpu_that_an_engine_refuses_is_no_plan(arguments: str, status: int, said: str, run: Run) -> None:
    before, dashes, command = arguments.partition(" -- ")
    done = run("fit", *before.split(), *(["--", *command.split()] if dashes else []))
    assert done.returncode == status, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("arguments", "status", "flag"),
    [
        # Types that neither transformers 5.24 (CONFIG_MAPPING_NAMES) nor the engine's own registry of configs has.
        ("minicpm-v-2.6 --engine vllm --ctx 2k --gpu h100", 0, "--trust-remote-code"),
        ("deepseek-moe-16b --engine sglang --ctx 2k --gpu h100", 0, "--trust-remote-code"),
        ("phi-3-small --engine transformers --ctx 2k --gpu h100", 0, "trust_remote_code=True"),
        ("--gpu h100 -- vllm serve openbmb/MiniCPM-V-2_6 --max-model-len 2048", 1, "runs only with --trust-remote-code"),
        ("--gpu h100 -- vllm serve openbmb/MiniCPM-V-2_6 --max-model-len 2048 --trust-remote-code", 0, ""),
        # Types of which the engine has the config and transformers none: the tokenizer is tokenization_kimi.py and tokenization_chatglm.py
        # of the repository, by auto_map in the tokenizer_config.json of moonshotai/Kimi-K2-Instruct and zai-org/glm-4-9b-chat.
        ("kimi-k2 --engine vllm --ctx 2k --gpu 16xh200", 0, "--trust-remote-code"),
        ("glm-4-9b-chat --engine sglang --ctx 2k --gpu h100", 0, "--trust-remote-code"),
        # A command without it: vLLM 0.33, tokenizers/hf.py ; TikTokenTokenizer is no class of transformers.
        ("--gpu 16xh200 -- vllm serve moonshotai/Kimi-K2-Instruct -tp 16 --max-model-len 2048 --nnodes 2", 1, "its tokenizer"),
        ("--gpu h100 -- vllm serve glm-4-9b-chat --max-model-len 2048 --tokenizer THUDM/glm-4-9b-chat-hf", 0, ""),
        ("--gpu h100 -- sglang serve --model-path glm-4-9b-chat --context-length 2048", 1, "its tokenizer"),
        ("--gpu h100 -- sglang serve --model-path glm-4-9b-chat --context-length 2048 --skip-tokenizer-init", 0, ""),
        # Releases with transformers 4, which has no minimax_m2 (4.57.6, configuration_auto.py): vLLM 0.18.1, requirements/common.txt
        # ("transformers >= 4.56.0, < 5"), 0.20.0 (5.5.1 and newer too). Whoever has another transformers needs no flag.
        ("minimax-m2 --gpu 4xh200 --engine vllm --engine-version 0.18.1 --ctx 2k", 0, "--trust-remote-code"),
        ("minimax-m2 --gpu 4xh200 --engine vllm --engine-version 0.20.0 --ctx 2k", 0, ""),
        ("--gpu 4xh200 --engine-version 0.18.1 -- vllm serve minimax-m2 -tp 4 --max-model-len 2048", 0, "or another transformers"),
        # A config of its own since 0.18.0 and not before (transformers_utils/config.py `_CONFIG_REGISTRY`).
        ("--gpu 8xb200 --engine-version 0.17.1 -- vllm serve kimi-k2 -tp 8 --max-model-len 2048", 1, "the class of its config"),
        # Code beside the checkpoint that nobody needs to run.
        ("deepseek-v2-lite --engine vllm --ctx 2k --gpu h100", 0, ""),
    ],
)
def test_code_of_a_repository_runs_where_it_is_asked_for(arguments: str, status: int, flag: str, run: Run) -> None:
    before, dashes, command = arguments.partition(" -- ")
    done = run("fit", *before.split(), "--offline", *(["--", *command.split()] if dashes else []))
    assert done.returncode == status, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert flag in said if flag else ("trust" not in said or "--trust-remote-code" in command)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        # vLLM 0.11.0 to 0.33, v1/attention/backends/mla: sparse backends are for 9.x and 10.x, since 0.24 for 12.x too.
        ("deepseek-v3.2 --gpu 16xa100-sxm4-80gb --ctx 8k", 1, "no attention backend for sparse MLA on compute capability 8.x"),
        ("deepseek-v4-flash --gpu 4xl40s --ctx 4k", 1, "no attention backend for sparse MLA on compute capability 8.x"),
        ("deepseek-v3.2 --gpu 8xh200 --ctx 8k", 0, ""),
        ("deepseek-v3.2 --gpu 8xrtx-pro-6000-blackwell-server --ctx 8k --engine-version 0.23.0", 1, "compute capability 12.x"),
        # `get_min_capability` of the schemes of compressed-tensors.
        (
            "llama-3.1-8b --gpu v100 --quant w4a16 --engine vllm --engine-version 0.19.0 --ctx 8k",
            1,
            "pack-quantized from compute capability 7.5",
        ),
        (
            "llama-3.1-8b --gpu v100 --quant int8 --engine vllm --engine-version 0.19.0 --ctx 8k",
            1,
            "int-quantized from compute capability 7.5",
        ),
        # docker/Dockerfile `torch_cuda_arch_list`: 7.0 is in it up to 0.19.0, and 7.5 the first since 0.20.0.
        ("llama-3.1-8b --gpu v100-pcie-32gb --engine vllm --ctx 8k", 1, "7.5 and newer, and this GPU has 7.0"),
        ("llama-3.1-8b --gpu v100-pcie-32gb --engine vllm --engine-version 0.20.0 --ctx 8k", 1, "builds of 0.20.0 hold code"),
        ("llama-3.1-8b --gpu v100-pcie-32gb --engine vllm --engine-version 0.19.0 --ctx 8k", 0, "fits"),
        ("llama-3.1-8b --gpu v100-pcie-32gb --ctx 8k", 0, "under llama.cpp"),
        ("llama-3.1-8b --gpu t4 --engine vllm --quant w4a16 --ctx 8k", 0, "fits"),
        ("llama-3.1-8b --gpu t4 --quant w4a16 --engine vllm --ctx 4k --engine-version 0.11.2", 1, "from compute capability 8"),
        ("llama-3.1-8b --gpu t4 --quant w4a16 --engine vllm --ctx 4k --engine-version 0.12.0", 0, ""),
        # llama.cpp, src/llama-quant.cpp: FP4 is not quantized anew, and the converter keeps it.
        ("gpt-oss-20b --gpu t4 --ctx 8k", 0, "MXFP4_MOE.gguf"),
        ("gemma-3-27b --gpu gaudi3-128gb --ctx 32k", 0, "vllm-gaudi"),
    ],
)
def test_kernels_and_formats_that_are_not_there(arguments: str, status: int, said: str, run: Run) -> None:
    done = run("fit", *arguments.split(), "--offline")
    assert done.returncode == status, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_class_that_is_nowhere_is_named_anew_by_the_command(engine: str, run: Run) -> None:
    flag = {"vllm": "--hf-overrides", "sglang": "--json-model-override-args"}[engine]
    found = json.loads(run("fit", "minimax-m3", "--gpu", "8xb300", "--ctx", "32k", "--engine", engine, "--format", "json").stdout)
    assert f'{flag} \'{{"architectures": ["MiniMaxM3Sparse' in found["command"]
    told = "vllm serve minimax-m3 -tp 8" if engine == "vllm" else "python -m sglang.launch_server --model minimax-m3 --tp 8"
    done = run("fit", "--gpu", "8xb300", "--", *told.split(), "--trust-remote-code")
    assert (
        done.returncode == 0
        and f"{flag} '" in " ".join(done.stdout.split())
        and "no library wrote this config" in " ".join(done.stdout.split())
    )
    # What a library wrote is what was published, and its class stops the start.
    done = run("fit", "--gpu", "8xb300", "--set", 'transformers_version="5.0.0"', "--", *told.split(), "--trust-remote-code")
    assert done.returncode == 1 and flag in done.stdout


_LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192, "torch_dtype": "bfloat16",
}  # fmt: skip
_HQQ = {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64, "axis": 1}}}
_AUTO_ROUND = {"quant_method": "auto-round", "bits": 4, "group_size": 16, "sym": True}


@pytest.mark.parametrize(
    ("own", "asked", "said"),
    [
        (_HQQ, "--engine vllm", "loads no hqq weights: 0.6.5 to 0.14.1 did"),
        (_HQQ, "--engine vllm --engine-version 0.11.0", "fits"),
        (_HQQ, "--engine sglang", "lists no hqq"),
        (_HQQ, "--engine transformers", "fits"),
        ({"quant_method": "aqlm"}, "--engine vllm", "loads no aqlm weights: 0.6.0 to 0.10.0 did"),
        ({"quant_method": "exl3", "bits": 4.0, "head_bits": 6}, "--engine vllm", "no release of vLLM lists exl3"),
        ({"quant_method": "exl3", "bits": 4.0, "head_bits": 6}, "--engine transformers", "transformers reads no exl3 weights"),
        # vLLM, layers/quantization/inc/inc.py `SUPPORTED_DTYPES`; SGLang, srt/layers/quantization/auto_round.py.
        ({**_AUTO_ROUND, "data_type": "nv_fp"}, "--engine vllm", "reads no nv_fp weights of auto-round"),
        ({**_AUTO_ROUND, "data_type": "mx_fp", "group_size": 32}, "--engine vllm", "fits"),
        (
            {**_AUTO_ROUND, "data_type": "mx_fp", "group_size": 32},
            "--engine vllm --engine-version 0.26.0",
            "reads no mx_fp weights",
        ),
        ({**_AUTO_ROUND, "data_type": "mx_fp", "group_size": 32}, "--engine sglang", "reads no mx_fp weights of auto-round"),
    ],
)
def test_a_stored_method_that_an_engine_lacks(own: dict[str, Any], asked: str, said: str, run: Run, tmp_path: Path) -> None:
    made = tmp_path / "config.json"
    made.write_text(json.dumps({**_LLAMA, "quantization_config": own}), encoding="utf-8")
    got = run("fit", str(made), "--gpu", "h100", "--ctx", "4k", "--offline", *asked.split())
    assert said in " ".join((got.stdout + got.stderr).split())
