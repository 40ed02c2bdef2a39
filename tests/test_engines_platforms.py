"""What an engine takes on a platform, by its own lists: asked with --quant, with a config that is stored so, and by a command."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.engines.served import listed, platforms, served
from conftest import Run

MODELOPT_FP8 = {"quant_method": "modelopt", "quant_algo": "FP8"}
NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
FBGEMM = {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": ["lm_head"]}
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}
QUARK = {
    "quant_method": "quark", "quant_mode": "eager_mode", "export": {"kv_cache_group": [], "weight_format": "real_quantized"},
    "global_quant_config": {
        "weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "is_dynamic": False},
        "input_tensors": {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "is_dynamic": False},
        "output_tensors": None, "bias": None,
    },
    "layer_quant_config": {}, "exclude": ["lm_head"],
}  # fmt: skip
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
ROUND = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "packing_format": "auto_round:auto_gptq"}


def _stored(tmp_path: Path, quantization: dict[str, Any], model: str = "qwen3-8b") -> str:
    found = dict(zoo.config(model) or {}, quantization_config=quantization)
    (tmp_path / "config.json").write_text(json.dumps(found))
    return str(tmp_path)


def _fit(cli: Run, *words: str) -> dict[str, Any]:
    done = cli("fit", "--offline", "--format", "json", "--ctx", "4k", *words)
    assert done.returncode in (0, 1), done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


# vLLM: platforms/rocm.py and xpu.py `supported_quantization` of the release; SGLang: srt/configs/model_config.py
# `rocm_supported_quantization` and what srt/layers/quantization/__init__.py registers on the platform.
STORED = [
    ("vllm", "", "mi300x", GPTQ, True), ("vllm", "", "mi300x", AWQ, True), ("vllm", "", "mi300x", MODELOPT_FP8, True),
    ("vllm", "0.19.0", "mi300x", MODELOPT_FP8, False), ("vllm", "0.27.0", "mi300x", ROUND, False), ("vllm", "", "mi300x", ROUND, True),
    ("vllm", "0.16.0", "mi300x", NF4, False), ("vllm", "0.17.0", "mi300x", NF4, True), ("vllm", "", "mi300x", QUARK, True),
    ("vllm", "", "arc-b580", QUARK, False), ("vllm", "", "arc-b580", FBGEMM, False), ("vllm", "", "arc-b580", GPTQ, True),
    ("vllm", "", "arc-b580", FP8, True), ("vllm", "0.26.0", "arc-b580", QUARK, True),
    ("sglang", "", "mi300x", GPTQ, False), ("sglang", "0.5.19", "mi300x", GPTQ, True), ("sglang", "", "mi300x", AWQ, True),
    ("sglang", "", "mi300x", NF4, False), ("sglang", "", "mi300x", MODELOPT_FP8, False), ("sglang", "", "mi300x", NVFP4, False),
    ("sglang", "", "mi300x", FP8, True), ("sglang", "", "mi300x", QUARK, True), ("sglang", "", "h100", MODELOPT_FP8, True),
    ("sglang", "", "t4", GPTQ, False), ("sglang", "0.5.19", "t4", GPTQ, True), ("sglang", "0.5.20", "t4", GPTQ, False),
    ("sglang", "", "a100", GPTQ, True), ("sglang", "", "t4", AWQ, True),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "version", "gpu", "quantization", "taken"), STORED)
def test_a_checkpoint_is_taken_where_the_platform_lists_it(
    cli: Run, tmp_path: Path, engine: str, version: str, gpu: str, quantization: dict[str, Any], taken: bool
) -> None:
    release = ("--engine-version", version) if version else ()
    found = _fit(cli, _stored(tmp_path, quantization), "--gpu", f"4x{gpu}", "--engine", engine, *release)
    assert found["fits"] == taken, found["verdict"]
    program = {
        "vllm": "vllm serve {} --max-model-len 4096 -tp 4",
        "sglang": "python -m sglang.launch_server --model-path {} --tp 4",
    }
    allow = " --allow-deprecated-quantization" if "deprecated" in found["command"] else ""
    words = shlex.split(program[engine].format(tmp_path) + allow)
    done = cli("fit", "--offline", "--format", "json", "--gpu", f"4x{gpu}", *release, "--", *words)
    own = json.loads(done.stdout)
    assert own["start"]["starts"] == taken, own["verdict"]


# SGLang, srt/layers/quantization/__init__.py and srt/configs/model_config.py of the releases themselves: 0.5.3 has "if is_cuda():
# BASE_QUANTIZATION_METHODS.update({"quark": ..., "mxfp4": ...})", 0.4.10 "w4afp8" and "petit_nvfp4", 0.5.4 "modelopt_fp8".
@pytest.mark.parametrize(
    ("version", "platform", "method", "taken"),
    [
        ("0.5.1", "nvidia", "mxfp4", True), ("0.5.2", "nvidia", "mxfp4", True), ("0.5.3", "nvidia", "mxfp4", True),
        ("0.5.4", "nvidia", "mxfp4", True), ("0.4.10", "nvidia", "mxfp4", False), ("0.5.3", "gfx95", "mxfp4", True),
        ("0.5.3", "amd", "mxfp4", False), ("0.5.23", "amd", "mxfp4", False), ("0.5.3", "intel", "mxfp4", False),
        ("0.5.20", "intel", "mxfp4", True), ("0.5.3", "nvidia", "quark", True), ("0.5.3", "amd", "quark", False),
        ("0.4.10", "nvidia", "w4afp8", True), ("0.4.9", "nvidia", "w4afp8", False), ("0.5.3", "amd", "petit_nvfp4", True),
        ("0.5.4", "nvidia", "modelopt_fp8", True), ("0.5.3", "nvidia", "modelopt_fp8", False), ("0.5.3", "nvidia", "bitsandbytes", True),
        ("0.4.4", "nvidia", "modelopt_fp4", False), ("0.4.6", "nvidia", "modelopt_fp4", True), ("0.5.3", "nvidia", "gguf", True),
    ],
)  # fmt: skip
def test_each_release_of_sglang_has_its_own_list(version: str, platform: str, method: str, taken: bool) -> None:
    assert platforms("sglang", "SGLang").holds(platform, [method], version) == taken


def test_sglang_takes_on_nvidia_what_the_release_registers() -> None:
    """`_registered` of scripts/build_platforms.py and scripts/build_served.py read one file: what is not for NVIDIA is named here."""
    table, lists = served("sglang"), platforms("sglang", "SGLang")
    elsewhere = {"mlx_q4", "mlx_q8", "gptq", "modelslim"}
    assert lists.releases == table.releases
    for release in table.releases:
        named = {method for method, text in table.methods.items() if listed(text, "SGLang", table.releases, release)} - elsewhere
        assert {method for method in named if not lists.holds("nvidia", [method], release)} == set(), release


@pytest.mark.parametrize(
    ("gpu", "version", "said"),
    [
        ("h100", "0.5.3", ""), ("b200", "0.5.2", ""), ("h100", "0.5.4", ""), ("mi355x", "0.5.4", ""),
        ("mi300x", "0.5.4", "takes no mxfp4 weights on AMD's GPUs but those of CDNA 4, which AMD Instinct MI300X 192GB is not:"),
        ("arc-b580", "0.5.4", "takes no mxfp4 weights on Intel's GPUs:"),
    ],
)  # fmt: skip
def test_the_vendor_is_named_as_it_is(cli: Run, gpu: str, version: str, said: str) -> None:
    verdict = str(_fit(cli, "gpt-oss-20b", "--gpu", f"4x{gpu}", "--engine", "sglang", "--engine-version", version)["verdict"])
    assert said in verdict if said else "CDNA" not in verdict and "platform" not in verdict


# The same of what is quantized as it loads. vLLM 0.33: layers/quantization/online/nvfp4.py "requires a Blackwell (SM100) GPU", fp8.py
# "FP8 PTPC online quant [...] Requires SM89+"; platforms/rocm.py and xpu.py.
ONLINE = [
    ("vllm", "", "h100", "nvfp4-experts", False), ("vllm", "", "b200", "nvfp4-experts", True),
    ("vllm", "", "mi300x", "nvfp4-experts", False),
    ("vllm", "", "rtx-pro-6000", "nvfp4-experts", False), ("vllm", "", "mi300x", "int8-experts", False),
    ("vllm", "", "h100", "int8-experts", True), ("vllm", "", "mi300x", "fp8", True), ("vllm", "0.20.0", "mi300x", "fp8", False),
    ("vllm", "0.21.0", "mi300x", "fp8", True), ("vllm", "", "mi300x", "fp8-dynamic", True), ("vllm", "", "a100", "fp8-dynamic", False),
    ("vllm", "", "l40s", "fp8-dynamic", True), ("sglang", "", "mi300x", "fp8", True), ("sglang", "", "mi300x", "nf4", False),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "version", "gpu", "quant", "taken"), ONLINE)
def test_weights_are_quantized_at_loading_where_the_platform_lists_it(
    cli: Run, engine: str, version: str, gpu: str, quant: str, taken: bool
) -> None:
    release = ("--engine-version", version) if version else ()
    found = _fit(cli, "qwen3-30b-a3b", "--gpu", f"4x{gpu}", "--engine", engine, "--quant", quant, *release)
    assert found["fits"] == taken, found["verdict"]


# SGLang 0.5.23: classes with `bitsandbytes_stacked_params_mapping` (srt/models/), which model_loader/loader.py asks for.
@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("qwen3-8b", True), ("llama-3.1-8b", True), ("gemma-3-12b", True), ("qwen2.5-vl-7b", True), ("phi-4-mini", True),
        ("qwen3-30b-a3b", False), ("mixtral-8x7b", False), ("deepseek-v2-lite", False), ("olmo-2-7b", False),
    ],
)  # fmt: skip
def test_sglang_packs_with_bitsandbytes_what_its_classes_say_how(cli: Run, model: str, taken: bool) -> None:
    found = _fit(cli, model, "--gpu", "h100", "--engine", "sglang", "--quant", "nf4")
    assert found["fits"] == taken, found["verdict"]


# vLLM, layers/quantization/__init__.py `DEPRECATED_QUANTIZATION_METHODS`, from 0.14.0 on; config/model.py `_verify_quantization`.
@pytest.mark.parametrize(
    ("version", "quantization", "needed"),
    [
        ("", FBGEMM, True), ("0.14.0", FBGEMM, True), ("0.13.0", FBGEMM, False), ("0.14.0", ROUND, True), ("0.16.0", ROUND, False),
        ("", ROUND, False), ("", GPTQ, False), ("", FP8, False),
    ],
)  # fmt: skip
def test_deprecated_methods_start_with_a_flag(
    cli: Run, tmp_path: Path, version: str, quantization: dict[str, Any], needed: bool
) -> None:
    release = ("--engine-version", version) if version else ()
    folder = _stored(tmp_path, quantization)
    found = _fit(cli, folder, "--gpu", "h100", "--engine", "vllm", *release)
    assert found["fits"]
    words = shlex.split(found["command"])
    assert ("--allow-deprecated-quantization" in words) == needed
    without = [word for word in words if word != "--allow-deprecated-quantization"]
    for command, starts in ((words, True), (without, not needed)):
        done = cli("fit", "--offline", "--format", "json", "--gpu", "h100", *release, "--", *command)
        assert done.returncode == (not starts), done.stderr
        assert json.loads(done.stdout)["fits"] == starts


def test_deprecated_methods_of_a_flag_start_with_another(cli: Run) -> None:
    for version, needed in (("0.13.0", False), ("0.19.0", True)):
        found = _fit(
            cli, "qwen3-30b-a3b", "--gpu", "h100", "--engine", "vllm", "--engine-version", version, "--quant", "int8-experts"
        )
        assert found["fits"] and ("--allow-deprecated-quantization" in found["command"]) == needed


# vLLM 0.33, platforms/interface.py `get_mla_prefill_backend_cls`: FlashAttention alone below 10.x, and FlashAttention 2 from 8.0 on.
@pytest.mark.parametrize(
    ("gpu", "model", "starts"),
    [
        ("t4", "deepseek-v2-lite", False), ("2080-ti", "deepseek-v2-lite", False), ("titan-rtx", "deepseek-v2-lite", False),
        ("a10g", "deepseek-v2-lite", True), ("4090", "deepseek-v2-lite", True), ("t4", "qwen3-8b", True),
        ("4xt4", "deepseek-v2-lite", False),
    ],
)  # fmt: skip
def test_mla_starts_where_its_prompts_have_a_backend(cli: Run, gpu: str, model: str, starts: bool) -> None:
    found = _fit(cli, model, "--gpu", gpu, "--engine", "vllm", "--quant", "w4a16")
    assert found["fits"] == starts, found["verdict"]
    words = shlex.split(f"VLLM_MLA_DISABLE=1 vllm serve {model} --max-model-len 4096" + (" -tp 4" if gpu.startswith("4x") else ""))
    done = cli("fit", "--offline", "--format", "json", "--gpu", gpu, "--quant", "w4a16", "--", *words)
    assert "MLA" not in json.loads(done.stdout)["verdict"]
