"""Classes that engines run in pipeline stages, and plans that have none of others.

vLLM 0.33, model_executor/models: the class names `SupportsPP` among what it builds on (config/model.py `verify_with_parallel_config` raises
`NotImplementedError` else); SGLang 0.5.23, srt/models: its `forward` takes `pp_proxy_tensors`, as srt/model_executor/model_runner.py
asserts.
"""

from __future__ import annotations

import json

import pytest

from archcalc.engines.served import served
from conftest import Run


@pytest.mark.parametrize(
    ("engine", "name", "staged"),
    [
        # gemma3n_mm.py, roberta.py and idefics3.py name it nowhere; mistral.py builds on llama.py, transformers/base.py has it for its own.
        *(("vllm", name, False) for name in ("Gemma3nForConditionalGeneration", "XLMRobertaModel", "Idefics3ForConditionalGeneration")),
        *(("vllm", name, True) for name in ("MistralForCausalLM", "DeepseekV3ForCausalLM", "TransformersForCausalLM", "LlamaForCausalLM")),
        *(("vllm", name, True) for name in ("Qwen3_5MoeForConditionalGeneration", "GlmMoeDsaForCausalLM")),
        # gemma2.py, granite.py, mllama4.py and qwen2_vl.py take none; deepseek_v2.py, llama.py, qwen3_moe.py and gpt_oss.py do.
        *(("sglang", name, False) for name in ("Gemma2ForCausalLM", "GraniteForCausalLM", "Qwen2VLForConditionalGeneration")),
        ("sglang", "Llama4ForConditionalGeneration", False),
        *(("sglang", name, True) for name in ("DeepseekV3ForCausalLM", "LlamaForCausalLM", "Qwen3MoeForCausalLM", "GptOssForCausalLM")),
    ],
)  # fmt: skip
def test_classes_in_stages(engine: str, name: str, staged: bool) -> None:
    assert name in served(engine).classes
    assert (name in served(engine).sets["staged"]) == staged


@pytest.mark.parametrize(
    ("engine", "model", "gpus"),
    [
        ("vllm", "gemma-3n-e4b", "3xl4"),
        ("sglang", "gemma-3-27b", "3xl40s"),
        ("sglang", "granite-3.3-8b", "3xl4"),
        ("sglang", "gemma-2-27b", "3xl40s"),
    ],
)
def test_no_plan_has_stages_of_other_classes(engine: str, model: str, gpus: str, run: Run) -> None:
    words = ("fit", model, "--gpu", gpus, "--engine", engine, "--ctx", "2k", "--format", "json")
    done = run(*words)
    if done.returncode < 2:
        got = json.loads(done.stdout)
        assert got["plan"]["pp"] == 1 and all(other["plan"]["pp"] == 1 for other in got["runners_up"])
    asked = run(*words, "--pp", "3")
    assert asked.returncode == 2 and "has no pipeline stages of" in asked.stderr
