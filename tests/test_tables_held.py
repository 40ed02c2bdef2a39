"""Tables that decide what a config is read as, each entry held to what others made: the registries of engines, published configs, papers.

An entry that is dropped or that says something else fails here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from archcalc import arch, zoo
from archcalc.arch import WITHIN, _generic, adapter_name, parse
from archcalc.arch._schema import rope_label
from archcalc.model import Architecture
from test_guess import GLM, total

# What engines build or convert each class with, read out of their registries by scripts/build_classes.py: vLLM 0.33, SGLang 0.5.23,
# llama.cpp 0c1e57098.
TABLE = Path(__file__).parent / "data" / "classes_of_engines.tsv"
BUILT = [(name, files.split()) for name, _, files in (line.partition("\t") for line in TABLE.read_text("utf-8").splitlines())]
PUBLISHERS = {"DominoDraftModel", "EagleDeepseekV3ForCausalLM"}
"""Classes in no engine's registry: of SpecForge 0.2 (specforge/modeling/draft/domino.py), and what vLLM's file has for another name."""


@pytest.mark.parametrize(("name", "files"), BUILT)
def test_a_class_is_read_by_the_adapter_that_cites_what_builds_it(name: str, files: list[str]) -> None:
    found = adapter_name({"architectures": [name], "model_type": "opt"})
    assert found is not None
    text = (Path(arch.__file__).parent / f"{WITHIN.get(found, found)}.py").read_text(encoding="utf-8")
    named = [file if file.startswith("conversion/") else file.rpartition("/")[2] for file in files]
    assert name in text or any(re.search(rf"(?<![a-z0-9]){re.escape(file)}", text) for file in named), (
        f"{found} cites none of {files}"
    )
    assert files or name in PUBLISHERS


def test_every_class_that_decides_is_held() -> None:
    assert set(arch._BY_CLASS) == {name for name, _ in BUILT}, "run scripts/build_classes.py"


def test_classes_that_an_engine_builds_alike_are_read_alike() -> None:
    by_file: dict[str, dict[str, str | None]] = {}
    for name, files in BUILT:
        for file in files:
            by_file.setdefault(file, {})[name] = adapter_name({"architectures": [name], "model_type": "opt"})
    for file, read in ALIKE.items():
        assert by_file[file] == {name: adapter for adapter, names in read.items() for name in names.split()}, file


# The files that build several of the classes, and what they make of each: P-EAGLE has a learned state more than EAGLE-3 (vLLM's
# llama_eagle3.py `mask_hidden`), DFlash 2 convolutions (its qwen3_dflash2.py), Laguna's a gate (its laguna_dflash.py), and DSpark's
# configs are of two forms (SGLang's dspark_components/dspark_config.py).
ALIKE = {
    "llama_eagle3.py": {
        "eagle3": "LlamaForCausalLMEagle3 Eagle3LlamaForCausalLM Eagle3Qwen2_5vlForCausalLM Eagle3Qwen3vlForCausalLM"
        " Eagle3MiniMaxM2ForCausalLM",
        "peagle": "PEagleDraftModel PeagleLlamaForCausalLM",
    },
    "qwen3_eagle3.py": {"eagle3_qwen3": "Eagle3Qwen3ForCausalLM", "peagle_qwen3": "PeagleQwen3ForCausalLM"},
    "deepseek_eagle3.py": {"eagle3_deepseek": "Eagle3DeepseekV2ForCausalLM Eagle3DeepseekV3ForCausalLM"},
    "llama_eagle.py": {"eagle": "EagleLlamaForCausalLM LlamaForCausalLMEagle"},
    "qwen2_eagle.py": {"eagle_qwen2": "Qwen2ForCausalLMEagle"},
    "mistral_eagle.py": {"eagle_mistral": "EagleMistralForCausalLM MistralForCausalLMEagle"},
    "mistral_large_3_eagle.py": {"eagle_mistral_large3": "EagleMistralLarge3ForCausalLM MistralLarge3ForCausalLMEagle"},
    "ovis2_5.py": {"ovis2_5": "Ovis2_5 Ovis2_6ForCausalLM Ovis2_6_MoeForCausalLM"},
    "qwen3_xpress.py": {"qwen3_xpress": "Qwen3XPressModel DFlashQwen3XPressModel"},
    "qwen3_dspark.py": {"dspark": "Qwen3DSparkModel Qwen3OmniDSparkModel"},
    "grok.py": {"grok1": "Grok1ForCausalLM Grok1ModelForCausalLM"},
    "dflash.py": {
        "dflash": "DFlashDraftModel",
        "dflash2": "DFlash2DraftModel MiniMaxDFlash2DraftModel DFlash2BeamDraftModel",
        "dflash_laguna": "DFlashLagunaForCausalLM",
    },
    "dspark.py": {"dflash": "DSparkDraftModel", "dspark": "Qwen3DSparkModel LingDSparkModel"},
    "conversion/qwen.py": {
        "dflash": "DFlashDraftModel DSparkDraftModel",
        "dflash2": "DFlash2DraftModel",
        "dspark": "LingDSparkModel Qwen3DSparkModel Lfm2DSparkDraftModel",
        "dspark_speculator": "DSparkSpeculator",
    },
}


# transformers 5.24, modeling_rope_utils.py `ROPE_INIT_FUNCTIONS` and the papers that their docstrings name; vLLM 0.33,
# layers/rotary_embedding/__init__.py `get_rope` for those that transformers has no function for.
SCALINGS = [
    ("linear", "linear scaling"),  # _compute_linear_scaling_rope_parameters
    ("dynamic", "dynamic NTK"),  # _compute_dynamic_ntk_parameters; DynamicNTKScalingRotaryEmbedding
    ("yarn", "YaRN"),  # _compute_yarn_parameters: arXiv:2309.00071
    ("longrope", "LongRoPE"),  # _compute_longrope_parameters: arXiv:2402.13753
    ("su", "LongRoPE"),  # Phi-3's first name of it: configuration_phi3.py `_rope_parameters_adjustment`
    ("llama3", "Llama 3 scaling"),  # _compute_llama3_parameters; Llama3RotaryEmbedding
    ("proportional", "proportional"),  # _compute_proportional_rope_parameters: no other name
    ("ntk", "NTK"),  # NTKScalingRotaryEmbedding
    ("mrope", "M-RoPE"),  # MRotaryEmbedding; Qwen2-VL, arXiv:2409.12191, section 2.1
]


@pytest.mark.parametrize(("kind", "called"), SCALINGS)
def test_scalings_have_the_names_of_their_papers(kind: str, called: str) -> None:
    for key in ("rope_type", "type"):
        assert rope_label({"rope_scaling": {key: kind, "factor": 2.0}}).said == f"RoPE ({called})"


def facts(a: Architecture) -> dict[str, Any]:
    f = a.facts
    return {
        "hidden_size": f.hidden_size, "num_hidden_layers": a.layers, "num_attention_heads": f.heads, "num_key_value_heads": f.kv_heads,
        "head_dim": f.head_dim, "intermediate_size": f.intermediate_size, "vocab_size": f.vocab_size,
        "max_position_embeddings": f.context_tokens, "num_experts": f.moe and f.moe.experts, "num_experts_per_tok": f.moe and f.moe.active,
        "moe_intermediate_size": f.moe and f.moe.intermediate_size, "num_shared_experts": f.moe and f.moe.shared,
    }  # fmt: skip


# Names of keys, each with a published config that states it (a bundled model); its adapter, which is compared with the published
# checkpoint, reads the same of it.
NAMES = [
    ("hidden_size", "n_embd", "gpt2"), ("hidden_size", "d_model", "dbrx"), ("hidden_size", "model_dim", "openelm-270m"),
    ("num_hidden_layers", "n_layer", "gpt2"), ("num_hidden_layers", "n_layers", "dbrx"),
    ("num_hidden_layers", "num_layers", "glm-4-9b-chat"), ("num_hidden_layers", "num_transformer_layers", "openelm-270m"),
    ("num_attention_heads", "n_head", "gpt2"), ("num_attention_heads", "n_heads", "dbrx"),
    ("num_key_value_heads", "n_kv_head", "nanochat-d32"), ("num_key_value_heads", "num_kv_heads", "falcon-40b"),
    ("num_key_value_heads", "multi_query_group_num", "glm-4-9b-chat"), ("head_dim", "kv_channels", "glm-4-9b-chat"),
    ("intermediate_size", "ffn_hidden_size", "glm-4-9b-chat"), ("vocab_size", "padded_vocab_size", "glm-4-9b-chat"),
    ("max_position_embeddings", "n_positions", "gpt2"), ("max_position_embeddings", "seq_length", "glm-4-9b-chat"),
    ("max_position_embeddings", "n_ctx", "gpt2"), ("max_position_embeddings", "max_seq_len", "dbrx"),
    ("max_position_embeddings", "max_sequence_length", "llama-65b"), ("num_experts", "num_local_experts", "mixtral-8x7b"),
    ("num_experts", "n_routed_experts", "deepseek-v3"), ("num_experts", "moe_num_experts", "ernie-4.5-21b-a3b"),
    ("num_shared_experts", "n_shared_experts", "deepseek-v3"),
]  # fmt: skip
# The same of configs of transformers 5.24 and publishers whose adapters tell it otherwise, or hold it in a part: by configuration_t5.py,
# configuration_opt.py, configuration_gpt_bigcode.py, configuration_distilbert.py and configuration_xlstm.py (`attribute_map`); Meta's
# llama/model.py `ModelArgs`; dbrx's `ffn_config`; configs of Hunyuan-A13B, Ling 2.0, Nemotron 3, Gemma 4 and GLM-4.
FURTHER = [
    ("hidden_size", "dim"), ("num_attention_heads", "num_heads"), ("num_key_value_heads", "n_kv_heads"), ("intermediate_size", "d_ff"),
    ("intermediate_size", "ffn_dim"), ("intermediate_size", "n_inner"), ("hidden_act", "activation_function"),
    ("hidden_act", "hidden_activation"), ("num_experts_per_tok", "moe_top_k"), ("num_experts_per_tok", "top_k_experts"),
    ("num_experts_per_tok", "moe_topk"), ("num_shared_experts", "num_shared_experts"), ("num_shared_experts", "num_shared_expert"),
    ("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"), ("qkv_bias", "qkv_bias"), ("qkv_bias", "use_qkv_bias"),
    ("qkv_bias", "add_qkv_bias"), ("qkv_bias", "attention_bias"), ("num_experts", "num_experts"),
    ("shared_expert_intermediate_size", "shared_expert_intermediate_size"),
]  # fmt: skip
USUAL: dict[str, Any] = {
    **GLM, "max_position_embeddings": 4096, "hidden_act": "relu2", "num_shared_experts": 3, "qkv_bias": True,
}  # fmt: skip
del USUAL["n_routed_experts"]
USUAL["num_experts"] = 16


@pytest.mark.parametrize(("usual", "name", "model"), NAMES)
def test_a_name_means_what_a_published_config_means_by_it(usual: str, name: str, model: str) -> None:
    read = parse(zoo.config(model))
    assert read.status == "counted" and zoo.config(model)[name] == facts(read)[usual]


@pytest.mark.parametrize(("usual", "name"), [*((usual, name) for usual, name, _ in NAMES), *FURTHER])
def test_a_guess_reads_a_key_by_every_name_of_it(usual: str, name: str) -> None:
    config = dict(USUAL)
    if usual == "shared_expert_intermediate_size":
        config = {**config, usual: 192}
    plain = parse(config)
    value = config.pop(usual)
    renamed = parse({**config, name: value})
    assert (total(renamed), facts(renamed), renamed.facts.activation) == (total(plain), facts(plain), plain.facts.activation)
    assert not renamed.unmodelled_keys
    other = parse({**config, name: 2 * value if type(value) is int else False if value is True else "gelu_new"})
    assert other != renamed


def test_every_name_that_a_guess_knows_is_held() -> None:
    held = {(usual, name) for usual, name, _ in NAMES} | set(FURTHER)
    assert {(usual, name) for usual, names in _generic._NAMES.items() if len(names) > 1 for name in names if name != usual} <= held
