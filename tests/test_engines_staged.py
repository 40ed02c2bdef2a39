"""Classes that engines run in pipeline stages, and plans that have none of others.

vLLM 0.33, model_executor/models: the class names `SupportsPP` among what it builds on (config/model.py `verify_with_parallel_config` raises
`NotImplementedError` else); SGLang 0.5.23, srt/models: its `forward` takes `pp_proxy_tensors`, as srt/model_executor/model_runner.py
asserts.
"""

from __future__ import annotations

import json

import pytest

from archcalc.engines.served import listed, served, stages
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
    rows = stages(engine)
    assert name in served(engine).classes and rows.releases[-1] == served(engine).releases[-1]
    assert listed(rows.unstaged.get(name), engine, rows.releases, None) == (not staged)


RELEASED = [
    # vLLM 0.6.0, config.py `_PP_SUPPORTED_MODELS` has no Gemma2ForCausalLM; 0.6.6, models/gemma2.py `SupportsPP`.
    ("vllm", "gemma-2-9b", "0.6.0", False), ("vllm", "gemma-2-9b", "0.6.6", True), ("vllm", "llama-3.1-8b", "0.6.0", True),
    # models/gemma3n.py (0.10.0) and gemma3n_mm.py name no `SupportsPP`.
    ("vllm", "gemma-3n-e4b", "0.11.0", False), ("vllm", "gemma-3n-e4b", None, False),
    # 0.6.2, config.py `_PP_SUPPORTED_MODELS`; 0.6.3, models/gemma2.py. 0.20.2, 0.21.0: models/deepseek_v4.py `DeepseekV4ForCausalLM`;
    # 0.10.1.1, 0.10.2: models/hunyuan_v1.py `HunYuanV1Base`; 0.10.1.1, 0.10.2: models/gpt_oss.py `GptOssForCausalLM`.
    ("vllm", "gemma-2-9b", "0.6.2", False), ("vllm", "gemma-2-9b", "0.6.3", True),
    ("vllm", "deepseek-v4-flash", "0.20.2", False), ("vllm", "deepseek-v4-flash", "0.21.0", True),
    ("vllm", "gpt-oss-20b", "0.10.1", False), ("vllm", "gpt-oss-20b", "0.10.1.1", False), ("vllm", "gpt-oss-20b", "0.10.2", True),
    # SGLang 0.4.6, srt/models/llama.py `forward` takes no `pp_proxy_tensors`; 0.4.6.post2 does, qwen2.py and qwen3.py (0.4.6.post2,
    # 0.4.7), deepseek_v2.py (0.4.10, 0.5.1), minimax_m2.py (0.5.9, 0.5.10) and qwen2_5_vl.py (0.5.5, 0.5.6) so.
    ("sglang", "llama-3.1-8b", "0.4.4", False), ("sglang", "llama-3.1-8b", "0.4.6", False),
    ("sglang", "llama-3.1-8b", "0.4.6.post1", False),
    ("sglang", "llama-3.1-8b", "0.4.6.post2", True), ("sglang", "llama-3.1-8b", "0.4.6.post5", True),
    ("sglang", "llama-3.1-8b", "0.4.7", True),
    ("sglang", "qwen3-8b", "0.4.6.post2", False), ("sglang", "qwen3-8b", "0.4.7", True),
    ("sglang", "deepseek-v3", "0.4.10", False), ("sglang", "deepseek-v3", "0.5.1", True),
    ("sglang", "minimax-m2", "0.5.9", False), ("sglang", "minimax-m2", "0.5.10", True),
    # Between two that were read as in the earlier one.
    ("sglang", "qwen2.5-vl-7b", "0.5.5.post3", False), ("sglang", "qwen2.5-vl-7b", "0.5.6", True),
    ("sglang", "gemma-2-9b", "0.4.0", False), ("sglang", "gemma-2-9b", "0.5.20", False),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "model", "version", "staged"), RELEASED)
def test_stages_go_by_the_release(engine: str, model: str, version: str | None, staged: bool) -> None:
    from archcalc.engines.engine import server
    from archcalc.loader import load

    why = server(engine).unstaged(load(model, offline=True).architecture, version)
    assert (why == "") == staged
    assert staged or (version or stages(engine).releases[-1]) in why


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


# vLLM, `embedding_modules` of the class that models/registry.py names: 0.14.1, "MistralForCausalLM": ("llama", "LlamaForCausalLM"), 0.16.0,
# mistral.py `embedding_modules: dict[str, str] = {}`; qwen3.py (0.14.1 none, 0.16.0), qwen3_5.py (0.28.0 none, 0.29.0), commandr.py
# (0.14.1, `{"embed_tokens": "input_embeddings"}` alone), olmo2.py (0.30.0) and transformers/base.py (0.31.0). lora/utils.py
# `get_supported_lora_modules`: `model.embedding_modules` in 0.9.2, of each of `model.named_modules()` in 0.10.0.
@pytest.mark.parametrize(
    ("model", "version", "ends"),
    [
        ("llama-3.1-8b", "0.6.0", 2), ("llama-3.1-8b", None, 2), ("mistral-7b-v0.3", "0.14.1", 2), ("mistral-7b-v0.3", "0.16.0", 0),
        ("mistral-7b-v0.3", None, 0), ("qwen3-8b", "0.14.1", 0), ("qwen3-8b", "0.16.0", 2), ("qwen3.5-9b", "0.28.0", 0),
        ("qwen3.5-9b", "0.29.0", 2), ("command-r", "0.14.1", 1), ("command-r", None, 1), ("olmo-2-7b", "0.30.0", 0),
        ("olmo-2-7b", "0.31.0", 1), ("qwen2.5-7b", None, 0), ("gemma-3-12b", None, 0), ("llama-3.2-11b-vision", "0.9.2", 0),
    ],
)  # fmt: skip
def test_ends_that_adapters_change(model: str, version: str | None, ends: int) -> None:
    from archcalc.engines.vllm.weights import lora_ends
    from archcalc.loader import load

    assert lora_ends(load(model, offline=True).architecture, version) == ends
