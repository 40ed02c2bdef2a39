"""Weights that an engine has no kernels for on a GPU: by method, by scheme and by release, as the engines' own sources say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines.sglang import attention as sglang_attention
from archcalc.engines.sglang import kernels
from archcalc.engines.vllm import start
from archcalc.hardware import device
from archcalc.model import Architecture
from archcalc.quant import quantize_as


def _stored(name: str, quant: str | None) -> Architecture:
    found = zoo.spec(name)
    assert found is not None
    return found if quant is None else quantize_as(found, quant)


_ALL = (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)


@pytest.mark.parametrize(
    ("name", "quant", "version", "least"),
    [
        # SGLang 0.5.23, srt/layers/quantization/: `get_min_capability`.
        ("qwen3-8b", "fp8", None, (8, 0)), ("qwen3-8b", "fp8-dynamic", None, (8, 0)), ("qwen3-8b", "int8", None, (8, 0)),
        ("qwen3-8b", "w4a16", None, (8, 0)), ("qwen3-8b", "awq", None, (7, 5)), ("qwen3-8b", "gptq", None, (8, 0)),
        # Plain GPTQ is registered on CUDA up to 0.5.19 (layers/quantization/__init__.py).
        ("qwen3-8b", "gptq", "0.5.19", (7, 5)), ("qwen3-8b", "gptq", "0.5.20", (8, 0)),
        ("qwen3-8b", "nf4", None, (7, 5)), ("gpt-oss-20b", None, None, (8, 0)),
        # "return 100 if self.use_mxfp8 else 80", in 0.5.9 too.
        ("qwen3-8b", "mxfp8", None, (10, 0)), ("qwen3-8b", "mxfp8", "0.5.9", (10, 0)),
        # modelopt_quant.py `ModelOptFp4Config`: 100 in 0.5.9 and 0.5.12, 80 from 0.5.13 on.
        ("qwen3-8b", "nvfp4", None, (8, 0)), ("qwen3-8b", "nvfp4", "0.5.13", (8, 0)), ("qwen3-8b", "nvfp4", "0.5.12", (10, 0)),
        # fp8.py `Fp8MoEMethod.create_moe_runner`: Triton, whose compiler has no e4m3 below 8.9.
        ("deepseek-v3", None, None, (8, 9)), ("qwen3-30b-a3b", "fp8", None, (8, 9)), ("qwen3-30b-a3b", "fp8-dynamic", None, (8, 9)),
        ("qwen3-30b-a3b", "fp8", "0.4.6", (8, 9)), ("qwen3-30b-a3b", "w4a16", None, (8, 0)),
        # compressed_tensors.py: no scheme for MXFP4, and experts in INT8 "only for NPU for now".
        ("qwen3-8b", "mxfp4", None, None), ("qwen3-30b-a3b", "int8", None, None),
        ("qwen3-8b", None, None, (7, 5)),
    ],
)  # fmt: skip
def test_what_sglang_has_kernels_for(name: str, quant: str | None, version: str | None, least: tuple[int, int] | None) -> None:
    held = _stored(name, quant)
    assert kernels.refused(version, held, None) is None
    for capability in _ALL:
        runs = kernels.refused(version, held, capability) is None
        assert runs == (least is not None and capability >= least), capability


@pytest.mark.parametrize(
    ("quantization", "least"),
    [
        ({"quant_algo": "FP8"}, 89), ({"quantization": {"quant_algo": "FP8"}}, 89), ({"quant_algo": "NVFP4"}, 80),
        ({"quant_algo": "MXFP8"}, 100), ({"quant_method": "w4afp8"}, 90), ({"quant_method": "blockwise_int8"}, 80),
        ({"quant_method": "w8a8_int8"}, 75), ({"quant_method": "quark"}, 70), ({"quant_method": "new"}, 0),
    ],
)  # fmt: skip
def test_least_capabilities_of_sglang_s_methods(quantization: dict[str, Any], least: int) -> None:
    """SGLang 0.5.23, srt/configs/model_config.py `_parse_modelopt_quant_config` and each method's `get_min_capability`."""
    for capability in _ALL:
        refused = capability[0] * 10 + capability[1] < least
        assert (kernels.method_refused(None, quantization, capability) is not None) == refused


@pytest.mark.parametrize(
    ("version", "cuda", "runs"),
    [
        # vLLM 0.8.5 and 0.9.0, layers/quantization/fp8.py `Fp8MoEMethod.__init__`.
        *((v, cuda, False) for v in ("0.6.3", "0.8.5") for cuda in ((8, 0), (8, 6))),
        *((v, cuda, True) for v in ("0.6.3", "0.8.5") for cuda in ((8, 9), (9, 0))),
        ("0.9.0", (8, 0), True), (None, (8, 0), True), ("0.8.5", None, True),
    ],
)  # fmt: skip
def test_fp8_experts_before_marlin_s(version: str | None, cuda: tuple[int, int] | None, runs: bool) -> None:
    assert (start.expert_kernels(version, _stored("qwen3-30b-a3b", "fp8"), cuda) is None) == runs
    assert start.expert_kernels(version, _stored("qwen3-8b", "fp8"), cuda) is None


@pytest.mark.parametrize(
    ("quantization", "version", "cuda", "runs"),
    [
        # vLLM, layers/quantization/modelopt.py `get_min_capability`.
        ({"quant_algo": "FP8"}, "0.26.0", (8, 6), False), ({"quant_algo": "FP8"}, "0.28.0", (8, 6), True),
        ({"quantization": {"quant_algo": "FP8"}}, "0.11.0", (8, 0), False), ({"quant_algo": "FP8"}, "0.11.0", (8, 9), True),
        ({"quant_algo": "FP8"}, None, (7, 5), False), ({"quant_algo": "NVFP4"}, "0.13.0", (7, 5), False),
        ({"quant_algo": "NVFP4"}, "0.14.0", (7, 5), True), ({"quant_algo": "MXFP8"}, "0.16.0", (9, 0), False),
        ({"quant_algo": "MXFP8"}, "0.24.0", (9, 0), True), ({"quant_algo": "FP8"}, None, None, True),
        ({"quant_method": "awq"}, None, (7, 5), True), (None, None, (7, 5), True),
    ],
)  # fmt: skip
def test_algorithms_of_modelopt(
    quantization: dict[str, Any] | None, version: str | None, cuda: tuple[int, int] | None, runs: bool
) -> None:
    assert (start.modelopt_kernels(version, quantization, cuda) is None) == runs


@pytest.mark.parametrize(
    ("quant", "version", "gpu", "runs"),
    [
        # vLLM 0.24 to 0.33, model_executor/kernels/linear/__init__.py `_POSSIBLE_NVFP4_KERNELS`, `_POSSIBLE_INT8_KERNELS`.
        ("nvfp4", None, "arc-pro-b70", False), ("nvfp4", "0.24.0", "arc-pro-b70", False), ("nvfp4", None, "h100", True),
        ("nvfp4", None, "mi300x", True), ("int8", "0.26.0", "arc-pro-b70", False), ("int8", "0.28.0", "arc-pro-b70", True),
        ("fp8", None, "arc-pro-b70", True), ("w4a16", None, "arc-pro-b70", True), ("mxfp4", None, "arc-pro-b70", True),
    ],
)  # fmt: skip
def test_storages_that_intel_s_gpus_lack(quant: str, version: str | None, gpu: str, runs: bool) -> None:
    assert (start.intel_kernels(version, _stored("qwen3-8b", quant).quantization, device(gpu)) is None) == runs


@pytest.mark.parametrize(
    ("command", "fits"),
    [
        ("deepseek-v3 --gpu 16xa100-80gb --engine sglang --ctx 4k", False),
        ("qwen3-30b-a3b --gpu 2x3090 --engine sglang --quant fp8 --ctx 4k", False),
        ("qwen3-8b --gpu h100 --engine sglang --quant mxfp8 --ctx 4k", False),
        ("qwen3-8b --gpu b200 --engine sglang --quant mxfp8 --ctx 4k", True),
        ("qwen3-8b --gpu 3090 --engine sglang --quant fp8 --ctx 4k", True),
        ("qwen3-8b --gpu arc-b70 --quant nvfp4 --ctx 4k", False),
        ("qwen3-30b-a3b --gpu 2xa100-80gb --quant fp8 --ctx 4k --engine-version 0.8.5", False),
        ("qwen3-30b-a3b --gpu 2xa100-80gb --quant fp8 --ctx 4k --engine-version 0.9.0", True),
    ],
)
def test_no_plan_without_kernels(command: str, fits: bool, cli: Any) -> None:
    found = json.loads(cli("fit", *command.split(), "--format", "json").stdout)
    assert (found["fits"], found["start"]["starts"]) == (fits, fits)


@pytest.mark.parametrize(
    ("gpu", "backends", "cache", "starts"),
    [
        # SGLang 0.5.23, arg_groups/attention_hook.py.
        ("rtx-5090", ("trtllm_mha", "", ""), "fp8_e4m3", False), ("rtx-5090", ("", "", "trtllm_mha"), "fp8_e4m3", False),
        ("rtx-5090", ("", "trtllm_mha", ""), "fp8_e4m3", True), ("rtx-5090", ("trtllm_mha", "", "fa3"), "fp8_e4m3", True),
        ("rtx-5090", ("trtllm_mha", "", ""), "auto", True), ("rtx-5090", ("trtllm_mha", "", ""), "fp8_e5m2", True),
        ("b200-180gb", ("trtllm_mha", "", ""), "fp8_e4m3", True), ("h100-sxm5-80gb", ("trtllm_mha", "", ""), "fp8_e4m3", True),
    ],
)  # fmt: skip
def test_prompts_over_an_fp8_cache_on_120(gpu: str, backends: tuple[str, str, str], cache: str, starts: bool) -> None:
    assert (sglang_attention.refused(backends, cache, device(gpu), None) is None) == starts


@pytest.mark.parametrize(
    ("name", "dtype", "backends", "cuda", "starts"),
    [
        # model_override_base.py `get_default_attn_backend`: FlashInfer's kernels widen FP8, Triton's compiler has none of e4m3 below 8.9.
        ("qwen3-8b", "fp8_e4m3", (), (8, 0), True), ("qwen3-8b", "fp8_e4m3", ("triton", "", ""), (8, 0), False),
        ("qwen3-8b", "fp8_e4m3", ("flashinfer", "triton", ""), (8, 6), False), ("qwen3-8b", "fp8_e5m2", ("triton", "", ""), (8, 0), True),
        ("qwen3-8b", "fp8_e4m3", ("triton", "", ""), (8, 9), True), ("deepseek-v2-lite", "fp8_e4m3", (), (8, 0), False),
        ("deepseek-v2-lite", "fp8_e4m3", ("flashinfer", "", ""), (8, 0), True), ("deepseek-v2-lite", "fp8_e5m2", (), (8, 6), True),
        ("deepseek-v2-lite", "fp8_e4m3", (), (8, 9), True), ("deepseek-v2-lite", "auto", (), (8, 0), True),
        # deepseek_v4_hook.py: FlashMLA, whose kernels are of 9.0 and newer.
        ("deepseek-v4-flash", "auto", (), (8, 0), False), ("deepseek-v4-flash", "auto", (), (8, 9), False),
        ("deepseek-v4-flash", "auto", (), (9, 0), True), ("deepseek-v4-flash", "auto", (), (12, 0), True),
    ],
)  # fmt: skip
def test_sglang_s_attention_on_older_gpus(
    name: str, dtype: str, backends: tuple[str, ...], cuda: tuple[int, int], starts: bool
) -> None:
    assert (sglang_attention.unread(_stored(name, None), dtype, backends, cuda) is None) == starts


@pytest.mark.parametrize(
    ("version", "cuda", "built"),
    [
        # pyproject.toml of the releases: torch 2.6.0 (compute capability up to 9.0), and 2.7.1.
        ("0.4.3", (10, 0), False), ("0.4.6", (12, 0), False), ("0.4.6.post5", (10, 3), False), ("0.4.7", (10, 0), True),
        ("0.5.23", (12, 0), True), (None, (10, 0), True), ("0.4.3", (9, 0), True), ("0.4.3", None, True),
    ],
)  # fmt: skip
def test_sglang_s_first_builds_for_blackwell(version: str | None, cuda: tuple[int, int] | None, built: bool) -> None:
    assert (kernels.unbuilt(version, cuda) is None) == built


GROUP = {"weights": {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32, "symmetric": True}}
EXPERTS_ALONE = ["lm_head", "re:.*self_attn.*", "re:.*mlp.gate$"]


# SGLang 0.5.23, compressed_tensors/compressed_tensors.py: `is_activation_quantization_format` lists naive-, int-, float-, nvfp4-pack- and
# pack-quantized, and no scheme is left for other formats; `get_quant_method` hands experts in MXFP4 to `Mxfp4MoEMethod` before that.
@pytest.mark.parametrize(
    ("name", "stored", "ignored", "version", "loads"),
    [
        ("qwen3-8b", "mxfp4-pack-quantized", ["lm_head"], None, False), ("qwen3-8b", "mxfp4-pack-quantized", ["lm_head"], "0.5.22", True),
        ("qwen3-8b", "mxfp4-pack-quantized", ["lm_head"], "0.5.23", False),
        ("qwen3-30b-a3b", "mxfp4-pack-quantized", ["lm_head"], None, False),
        ("qwen3-30b-a3b", "mxfp4-pack-quantized", EXPERTS_ALONE, None, True),
        ("qwen3-8b", "mxfp8-quantized", ["lm_head"], None, False), ("qwen3-8b", "mxfp8-pack-quantized", ["lm_head"], None, False),
        ("qwen3-8b", "float-quantized", ["lm_head"], None, True), ("qwen3-8b", "nvfp4-pack-quantized", ["lm_head"], None, True),
    ],
)  # fmt: skip
def test_formats_of_compressed_tensors_that_sglang_has_schemes_for(
    name: str, stored: str, ignored: list[str], version: str | None, loads: bool
) -> None:
    weights = {**GROUP["weights"], "num_bits": 8} if "8" in stored or stored == "float-quantized" else GROUP["weights"]
    quantization = {
        "quant_method": "compressed-tensors", "format": stored, "quantization_status": "compressed", "ignore": ignored,
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None}},
    }  # fmt: skip
    architecture = parse({**(zoo.config(name) or {}), "quantization_config": quantization})
    assert (kernels.refused(version, architecture, (10, 0)) is None) == loads
