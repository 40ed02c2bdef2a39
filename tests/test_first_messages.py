"""What is said first where a question cannot be answered as asked: about what was asked, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archcalc import zoo
from conftest import Run


@pytest.mark.parametrize(
    "asked",
    ["qwen3-8b --gpu t4 --engine sglang", "qwen3-8b --gpu v100 --engine vllm --engine-version 0.19.0"],
)
def test_a_storage_that_nobody_asked_for_and_that_does_not_run_is_not_the_answer(cli: Run, asked: str) -> None:
    done = cli("fit", "--offline", "--format", "json", *asked.split())
    found = json.loads(done.stdout)
    assert not found["fits"] and found["verdict"].startswith("does not fit")
    assert found["plan"]["quant"] in ("bf16", "fp16")


def test_an_option_of_another_engine_names_the_engine_where_none_was(cli: Run) -> None:
    done = cli("fit", "--offline", "qwen3-8b", "--gpu", "v100", "--engine-version", "0.19.0")
    assert done.returncode == 2
    assert "--engine vllm" in done.stderr and "where none is named" in done.stderr
    done = cli("fit", "--offline", "qwen3-8b", "--gpu", "v100", "--engine", "llama.cpp", "--engine-version", "0.19.0")
    assert "leave it out" in done.stderr


# SGLang 0.5.23, srt/platforms/: CPU, CUDA, ROCm, XPU, NPU, MUSA and MPS.
@pytest.mark.parametrize("gpu", ["tpu-v5e", "tpu-v6e", "trainium1", "trainium2", "inferentia2"])
def test_sglang_has_no_platform_for_chips_of_google_and_aws(cli: Run, gpu: str) -> None:
    done = cli("fit", "--offline", "qwen3-8b", "--gpu", gpu, "--engine", "sglang")
    assert done.returncode == 2 and "SGLang has no code for" in done.stderr


# llama.cpp 0c1e57098, conversion/base.py `dequant_model`: reads GPTQ, and neither AQLM nor HQQ.
@pytest.mark.parametrize(
    ("quantization", "another"),
    [
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}}, True),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}, False),
    ],
)
def test_a_gguf_of_other_weights_is_told_as_such(cli: Run, tmp_path: Path, quantization: dict[str, object], another: bool) -> None:
    config = {**(zoo.config("qwen3-8b") or {}), "quantization_config": quantization}
    (tmp_path / "config.json").write_text(json.dumps(config))
    words = ("--quant", "q8_0", "--gpu", "4090", "--engine", "llama.cpp", "--ctx", "4k")
    done = cli("fit", "--offline", "--format", "json", str(tmp_path), *words)
    found = json.loads(done.stdout)
    assert found["fits"]
    assert any("weights that were quantized" in note for note in found["notes"]) == another


# vLLM 0.33, config/model.py `_resolve_auto_dtype` (float16 where a float32 model pools; 0.9.1 on, and not in 0.9.0); SGLang 0.5.23,
# load_model_utils.py `maybe_downgrade_dtype_for_legacy_gpu`.
@pytest.mark.parametrize(
    ("asked", "weights", "kept"),
    [
        ("qwen3-4b --gpu t4 --engine sglang", "fp16", "fp16"), ("qwen3-4b --gpu a10g --engine sglang", "bf16", "bf16"),
        ("qwen3-4b --gpu t4 --engine vllm", "fp16", "fp16"), ("qwen3-4b --gpu a10g --engine vllm", "bf16", "bf16"),
        ("qwen3-4b --gpu t4 --engine sglang --kv-dtype fp8_e5m2", "fp16", "fp8_e5m2"),
    ],
)  # fmt: skip
def test_what_runs_in_float16_is_called_so(cli: Run, asked: str, weights: str, kept: str) -> None:
    done = cli("fit", "--offline", "--format", "json", "--ctx", "2k", *asked.split())
    plan = json.loads(done.stdout)["plan"]
    assert (plan["quant"], plan["kv_dtype"]) == (weights, kept)


@pytest.mark.parametrize(("name", "weights"), [("BertForSequenceClassification", "fp16"), ("BertModel", "fp16")])
def test_a_float32_model_that_pools_runs_in_float16_under_vllm(cli: Run, tmp_path: Path, name: str, weights: str) -> None:
    config = {
        "architectures": [name], "model_type": "bert", "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "torch_dtype": "float32",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = cli("fit", "--offline", "--format", "json", str(tmp_path), "--gpu", "a100", "--engine", "vllm")
    assert json.loads(done.stdout)["plan"]["quant"] == weights
