"""Models that do not write a token at a time: what each engine keeps for them, what a plan says, and what starts it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.arch import parse
from archcalc.engines._allocation import Workload
from archcalc.engines.engine import engine
from archcalc.errors import ArchcalcError
from conftest import Run

TOKENS = 512
QWEN2 = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 4096,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.41.2",
}  # fmt: skip
LLAMA = {**QWEN2, "model_type": "llama", "architectures": ["LlamaModel"]}
GEMMA = {
    **QWEN2, "model_type": "gemma3_text", "architectures": ["Gemma3TextModel"], "head_dim": 64, "sliding_window": 128,
    "use_bidirectional_attention": True, "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
}  # fmt: skip
BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4,
    "num_attention_heads": 4, "vocab_size": 1000, "max_position_embeddings": 512, "torch_dtype": "bfloat16",
    "transformers_version": "4.36.0",
}  # fmt: skip
MODERN = {**BERT, "model_type": "modernbert", "architectures": ["ModernBertModel"], "max_position_embeddings": 4096}
GEMMA2 = {**QWEN2, "model_type": "gemma2", "architectures": ["Gemma2Model"], "head_dim": 64, "is_causal": False}
BOTH = {"is_causal": False}

# Keys and values of a token in bf16: of all four layers.
OF_QWEN = 4 * 2 * 2 * 64 * 2
OF_BERT = 4 * 2 * 4 * 64 * 2


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        # Bytes of a sequence of 512 tokens. vLLM 0.33, layers/attention/attention.py `get_kv_cache_spec` (none where encoders attend);
        # SGLang 0.5.23, srt/mem_cache/kv_cache_configurator.py `_build_mha_kv_pool` (a pool for every model, and a slot of padding);
        # llama.cpp 0c1e57098, src/llama-model.cpp `create_memory`; transformers 5.24, `use_cache` of decoders' classes alone.
        ({**QWEN2, **BOTH}, {"vllm": 0, "sglang": OF_QWEN * 513, "llama.cpp": OF_QWEN * TOKENS, "transformers": OF_QWEN * TOKENS}),
        ({**LLAMA, **BOTH}, {"vllm": 0, "llama.cpp": OF_QWEN * TOKENS, "transformers": OF_QWEN * TOKENS}),
        (GEMMA, {"vllm": 0, "sglang": OF_QWEN * 513, "llama.cpp": 0}),
        (BERT, {"vllm": 0, "sglang": OF_BERT * 513, "llama.cpp": 0, "transformers": 0}),
        (MODERN, {"vllm": 0, "llama.cpp": 0, "transformers": 0}),
        # A class that reads one way whatever the config says (models/gemma2.py has no attention of encoders): 32 blocks of 16 tokens in two
        # full layers, and one more in two sliding ones.
        (GEMMA2, {"vllm": OF_QWEN // 2 * 16 * (32 + 33)}),
        # A decoder is none of these.
        (QWEN2, {"vllm": OF_QWEN * TOKENS, "sglang": OF_QWEN * 513, "llama.cpp": OF_QWEN * TOKENS, "transformers": OF_QWEN * TOKENS}),
    ],
)  # fmt: skip
def test_what_engines_keep_of_layers_that_see_both_ways(config: dict[str, Any], kept: dict[str, int]) -> None:
    a = parse(config)
    if "is_causal" in config or config in (GEMMA, BERT, MODERN):
        assert a.encodes and not a.decodes and "bidirectional" in a.facts.attention
        assert engine("textbook").allocate(a, Workload(TOKENS)).bytes == 0
    for name, size in kept.items():
        assert engine(name).allocate(a, Workload(TOKENS)).bytes == size, name


@pytest.mark.parametrize("config", [{**QWEN2, **BOTH}, GEMMA, BERT, MODERN])
def test_rules_of_encoders_talk_of_no_tokens_kept_for_later(config: dict[str, Any]) -> None:
    a = parse(config)
    for name in ("textbook", "vllm", "sglang", "llama.cpp", "transformers"):
        try:
            made = engine(name).allocate(a, Workload(TOKENS))
        except ArchcalcError:
            continue
        assert made.rule.startswith("no cache") if not made.figures else "read in one pass" in made.rule, (name, made.rule)


PLANS = {
    "vllm": {"qwen2": "--runner pooling", "bert": "", "gemma": ""},
    "sglang": {"qwen2": "--is-embedding", "bert": "", "gemma": ""},
    "llama.cpp": {"qwen2": "--embeddings -b 1024 -ub 1024", "bert": "--embeddings", "gemma": "--embeddings -b 1024 -ub 1024"},
    "transformers": {
        "qwen2": "AutoModel.from_pretrained",
        "bert": "AutoModel.from_pretrained",
        "gemma": "AutoModel.from_pretrained",
    },
}
CONFIGS: dict[str, dict[str, Any]] = {"qwen2": {**QWEN2, **BOTH}, "bert": BERT, "gemma": GEMMA}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_plan_for_an_encoder_has_no_rate_of_decoding(name: str, kind: str, cli: Run, tmp_path: Path) -> None:
    """And is started as one: vLLM 0.33, config/model.py `_SUFFIX_TO_DEFAULTS`; SGLang 0.5.23, srt/configs/model_config.py
    `is_generation_model`; llama.cpp 0c1e57098, tools/server/server-context.cpp ("input is too large to process")."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[kind]), encoding="utf-8")
    words = ("fit", "config.json", "--gpu", "1xL4", "--engine", name, "--ctx", "512" if kind == "bert" else "1024", "--offline")
    got = json.loads(cli(*words, "--format", "json").stdout)
    assert got["fits"] and got["speed"]["tpot_ms"] is None and got["speed"]["bound_tokens_per_s"] is None
    assert "decodes no tokens" in got["speed"]["why"] and got["decode_tokens_per_s_ceiling"] is None
    assert got["reads"]["inputs"] >= 1 and got["reads"]["batch_tokens"] >= got["context_tokens"]
    assert PLANS[name][kind] in got["command"]
    if not PLANS[name][kind]:
        assert "pooling" not in got["command"] and "--is-embedding" not in got["command"]
    page = cli(*words).stdout
    assert "takes" in page and "holds" not in page and "tokens/s" not in page
    assert ("KV tokens" in page) == bool(got["kv_tokens"])


def test_a_step_of_vllm_takes_an_encoder_s_input_whole(cli: Run, tmp_path: Path) -> None:
    """vLLM 0.33, config/model.py `is_chunked_prefill_supported`: not of encoders, so a batch holds the longest input."""
    (tmp_path / "config.json").write_text(json.dumps({**QWEN2, **BOTH}), encoding="utf-8")
    words = ("vllm", "serve", "config.json", "--runner", "pooling", "--max-model-len", "4096", "--max-num-batched-tokens", "2048")
    assert "takes no prompt of 4,096" in " ".join(cli("fit", "--gpu", "1xL4", "--offline", "--", *words).stdout.split())


@pytest.mark.parametrize(
    ("config", "logits", "said"),
    [
        (LLAMA, 0, "no logits are counted"),
        (BERT, 0, "no logits are counted"),
        ({**BERT, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}, 3, ""),
        ({**BERT, "architectures": ["BertForMaskedLM"]}, 1000, ""),
        ({**QWEN2, "tie_word_embeddings": True}, 1000, ""),
    ],
)
def test_logits_are_those_of_the_head_that_there_is(
    config: dict[str, Any], logits: int, said: str, cli: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert json.loads(cli("inspect", "config.json", "--format", "json").stdout)["forward"]["logits_bytes"] == 4 * logits
    trained = cli("train", "config.json", "--gpu", "1xA100-80GB", "--seq", "128", "--micro-batch", "4").stdout
    assert (re.search(r"logits and loss.*x ([\d,]+)$", trained, re.M) is not None) == bool(logits)
    assert said in trained
    fit = json.loads(cli("fit", "config.json", "--gpu", "1xL4", "--engine", "vllm", "--ctx", "512", "--format", "json").stdout)
    named = {term["name"] for term in fit["explain"]}
    assert ("penalties" in named) == (logits == 1000 and config["model_type"] == "qwen2")


@pytest.mark.parametrize("name", ["BertLMHeadModel", "RobertaForCausalLM", "XLMRobertaForCausalLM"])
def test_decoders_of_berts_kin_are_no_classifiers(name: str, cli: Run, tmp_path: Path) -> None:
    """vLLM 0.33, models/registry.py `inspect_model_cls`: transformers' own class comes before one of another task, which does not
    generate (config/model.py, "This model does not support `--runner generate`"); before there was such a backend nothing served it."""
    kind = {"B": "bert", "R": "roberta", "X": "xlm-roberta"}[name[0]]
    config = {**BERT, "model_type": kind, "architectures": [name], "is_decoder": True}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = cli("kv", "config.json", "--engine", "vllm", "--ctx", "256")
    assert f"vLLM has no {name} of its own: it starts if its Transformers backend takes the model" in done.stdout
    done = cli("kv", "config.json", "--engine", "vllm", "--ctx", "256", "--engine-version", "0.6.4")
    assert done.returncode == 2 and f"no release read has {name}" in done.stderr


NULLS: list[dict[str, Any]] = [
    {"quantization_config": {"quant_method": "gptq", "bits": None, "group_size": 128}},
    {"quantization_config": {"quant_method": "gptq", "bits": True, "group_size": 128}},
    {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": {"a": None}}},
    {"quantization_config": {"quant_method": "exl2", "bits": None}},
    {"quantization_config": {"quant_method": "awq", "bits": None, "group_size": None}},
    {"quantization_config": {"quant_method": ["gptq"], "bits": {"a": 1}}},
    {"quantization_config": {"quant_method": "fp8", "weight_block_size": [None, 128]}},
    {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": None, "format": None}},
    {"quantization_config": {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": None}}}},
    {"quantization_config": {"bits": None, "group_size": 64}},
    {"quantization_config": {"quant_method": "torchao", "quant_type": None}},
    {"rope_scaling": {"type": None, "factor": None}},
    {"rope_scaling": {"rope_type": "yarn", "factor": None}},
    {"rope_scaling": [None]},
    {"architectures": [None]},
    {"hidden_act": None},
    {"torch_dtype": True},
    {"layer_types": [None] * 4},
]


@pytest.mark.parametrize("keys", NULLS, ids=json.dumps)
def test_no_words_of_python_reach_the_screen(keys: dict[str, Any], cli: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**QWEN2, **keys}), encoding="utf-8")
    for words in (("inspect",), ("kv", "--ctx", "1k"), ("fit", "--gpu", "1xL4", "--ctx", "1k")):
        done = cli(words[0], "config.json", *words[1:], "--offline")
        found = re.search(r"\b(None|True|False|NoneType|Traceback)\b|<class|\{'|\['", done.stdout + done.stderr)
        assert found is None, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("vllm", "--runner pooling"),
        ("sglang", "--is-embedding"),
        ("llama.cpp", "--embeddings"),
        ("transformers", "AutoModel.from_pretrained"),
    ],
)
@pytest.mark.parametrize("model", ["qwen3-embedding-0.6b", "Qwen/Qwen3-Embedding-8B"])
def test_a_decoder_that_its_publisher_makes_embeddings_of_is_started_so(model: str, name: str, word: str, cli: Run) -> None:
    """Qwen's card: `vllm serve` with a task of embeddings, `llama-server --embedding`. No key of the config says it."""
    words = ("fit", model, "--gpu", "h100", "--engine", name, "--ctx", "8k", "--concurrency", "4", "--offline")
    got = json.loads(cli(*words, "--format", "json").stdout)
    assert got["fits"] and word in got["command"]
    assert got["speed"]["tpot_ms"] is None and got["speed"]["bound_tokens_per_s"] is None
    assert not (got["cost"] or {}).get("usd_per_million_output_tokens")
    assert got["speed"]["why"].startswith("its publisher makes embeddings of it")
    page = cli(*words).stdout
    assert "takes" in page and "tokens/s" not in page
    # Those that print what their cache holds: vLLM "GPU KV cache size", SGLang "max_total_num_tokens", llama.cpp "n_ctx".
    assert ("as the engine reports" in page) == (name != "transformers")


def test_lists_of_models_that_write_have_none_that_does_not(cli: Run) -> None:
    made = [entry.name for entry in zoo.entries() if entry.use]
    assert made
    for words in (("fit", "--all"), ("pick",)):
        done = cli(*words, "--gpu", "8xh100", "--ctx", "32k", "--concurrency", "16", "--format", "json", "--offline")
        assert done.stdout and not [name for name in made if f'"{name}"' in done.stdout]
