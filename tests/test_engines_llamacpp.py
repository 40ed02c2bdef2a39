"""llama.cpp's buffers against those that it allocated for GGUF fixtures, by widths and, where an adapter reads the model, by config."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from archcalc import units
from archcalc.arch import model_types, parse
from archcalc.engines._allocation import Workload
from archcalc.engines.llamacpp import cache as llamacpp
from archcalc.engines.llamacpp.cache import CacheOptions, Row, allocate, architecture_name, cache_bytes, cells, recurrent_bytes
from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import TextModel
from conftest import Run

DATA = Path(__file__).parent / "data" / "cache_llamacpp.jsonl"
CASES = {case["arch"]: case for case in map(json.loads, DATA.read_text(encoding="utf-8").splitlines()[1:])}

# Index keys per token of the layers that have them, which the fixtures' widths do not name.
INDEX = {"glm-dsa": [(128, 0)] * 2, "hy_v4": [(128, 0)], "minimax-m3": [(128, 128)], "glm5-next": [(3 * 128, 0)]}


# Qwen4's per-layer embeddings keep a state of their own, which the widths do not name.
@pytest.mark.parametrize("name", [name for name in CASES if name != "qwen4exp"])
def test_every_buffer_by_its_widths(name: str) -> None:
    case = CASES[name]
    h = case["hparams"]
    first_shared = h["kv_from_start"] if h["kv_from_start"] >= 0 else len(case["layers"])
    rows = [
        Row("full", h["n_swa"] if sliding else None, 1, key, 0 if h["is_mla"] else value)
        for sliding, recurrent, key, value in case["layers"][:first_shared]
        if not recurrent
    ]
    rows += [Row("index", None, 1, key, value) for key, value in INDEX.get(name, [])]
    recurrent = sum(h["n_embd_r"] + h["n_embd_s"] for layer in case["layers"] if layer[1])
    for n_ctx, n_ubatch, n_seq, unified, swa_full, flash, type_k, type_v, rollback, measured in case["rows"]:
        if measured is None:
            continue
        options = CacheOptions(kv_unified=bool(unified), n_ubatch=n_ubatch, swa_full=bool(swa_full))
        held = sum(cache_bytes(rows, cells(n_ctx, n_seq, options), type_k, type_v, bool(flash)))
        held += recurrent_bytes(recurrent, n_seq, rollback if name in llamacpp._ROLLBACK else 0)
        assert held == measured, (n_ctx, type_k, n_seq)


BASE = {
    "vocab_size": 128, "hidden_size": 256, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 128, "sliding_window": 32,
}  # fmt: skip
SLIDING_FULL = {"layer_types": ["sliding_attention", "full_attention"]}
MLA = {
    "vocab_size": 128, "hidden_size": 128, "intermediate_size": 96, "moe_intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "kv_lora_rank": 512, "q_lora_rank": 24, "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 16, "v_head_dim": 20, "n_routed_experts": 4, "num_experts_per_tok": 2,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "gemma2": {"model_type": "gemma2", **BASE, **SLIDING_FULL},
    "gemma3": {"model_type": "gemma3_text", **BASE, **SLIDING_FULL},
    "gpt-oss": {"model_type": "gpt_oss", **BASE, **SLIDING_FULL, "num_local_experts": 4, "num_experts_per_tok": 2},
    "olmo2": {"model_type": "olmo3", **BASE, **SLIDING_FULL},
    "exaone4": {"model_type": "exaone4", **BASE, **SLIDING_FULL},
    "bloom": {"model_type": "bloom", "vocab_size": 128, "hidden_size": 256, "n_layer": 2, "n_head": 2},
    "falcon": {
        "model_type": "falcon", "vocab_size": 128, "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_kv_heads": 2, "new_decoder_architecture": True, "alibi": False,
    },
    "gemma3n": {
        "model_type": "gemma3n_text", **BASE, "hidden_size": 64, "num_hidden_layers": 22, "num_attention_heads": 1,
        "num_key_value_heads": 1, "head_dim": 64, "num_kv_shared_layers": 2, "layer_types": SLIDING_FULL["layer_types"] * 11,
        "intermediate_size": [96] * 22, "activation_sparsity_pattern": [0.0] * 22,
    },
    "llama4": {
        "model_type": "llama4_text", **BASE, "num_hidden_layers": 4, "intermediate_size_mlp": 96, "num_local_experts": 4,
        "layer_types": ["chunked_attention", "full_attention"] * 2, "attention_chunk_size": 8192,
    },
    "deepseek2": {"model_type": "deepseek_v3", **MLA, "n_group": 2, "topk_group": 1},
    "glm-dsa": {"model_type": "glm_moe_dsa", **MLA, "index_head_dim": 128, "index_n_heads": 2, "indexer_types": ["full", "full"]},
    "qwen3next": {
        "model_type": "qwen3_next", **BASE, "layer_types": ["linear_attention", "full_attention"], "moe_intermediate_size": 32,
        "num_experts": 4, "num_experts_per_tok": 2, "shared_expert_intermediate_size": 32, "linear_num_key_heads": 2,
        "linear_num_value_heads": 2, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4,
    },
    "minimax-01": {
        "model_type": "minimax", "architectures": ["MiniMaxText01ForCausalLM"], **BASE,
        "sliding_window": None, "layer_types": ["linear_attention", "full_attention"],
        "num_local_experts": 4, "num_experts_per_tok": 2,
    },
    "granitehybrid": {
        "model_type": "granitemoehybrid", **BASE, "layer_types": ["attention", "mamba"], "num_local_experts": 2,
        "num_experts_per_tok": 1, "shared_intermediate_size": 64, "mamba_n_heads": 4, "mamba_d_head": 128, "mamba_n_groups": 2,
        "mamba_d_state": 128, "mamba_d_conv": 4, "mamba_expand": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_every_buffer_by_config(name: str) -> None:
    config = CONFIGS[name]
    if config["model_type"] not in model_types():
        pytest.skip("no adapter")
    architecture = parse(config)
    for n_ctx, n_ubatch, n_seq, unified, swa_full, flash, type_k, type_v, rollback, measured in CASES[name]["rows"]:
        # The context asked for is what each sequence gets of it.
        work = Workload(n_ctx // n_seq, n_seq, type_k)
        options = CacheOptions(None, bool(unified), n_ubatch, bool(swa_full), bool(flash), type_v, rollback)
        made = allocate(architecture, work, options)
        assert made.bytes == measured, (n_ctx, type_k, n_seq, made.rule)


def test_quantized_caches_need_heads_that_divide() -> None:
    refused = [row for row in CASES["step35"]["rows"] if row[-1] is None]
    assert {row[6] for row in refused} == {"q8_0", "q4_0"}
    a = parse({"model_type": "llama", **BASE, "hidden_size": 160, "head_dim": 80})
    with pytest.raises(UsageError, match="heads of 80"):
        allocate(a, Workload(4096, 1, "q8_0"))


def test_quantized_values_need_flash_attention() -> None:
    with pytest.raises(UsageError, match="flash attention"):
        allocate(parse(CONFIGS["gemma2"]), Workload(4096, 1, "q8_0"), CacheOptions(flash_attn=False))


def test_windows_of_architectures_that_do_not_slide() -> None:
    made = allocate(parse({"model_type": "mistral", **BASE}), Workload(4096))
    assert made.bytes == 2 * 4096 * 2 * 256 * 2
    assert "does not use their windows" in made.notes[0]


def test_models_that_the_converter_does_not_read() -> None:
    config = {"model_type": "nanochat", **{key: value for key, value in BASE.items() if key != "sliding_window"}}
    with pytest.raises(UnsupportedError, match="NanoChatForCausalLM"):
        allocate(parse(config), Workload(4096))


def internvl(**llm: Any) -> dict[str, Any]:
    """The shape of InternVL2's published configs, whose text model's part names its own class."""
    vision = {
        "model_type": "intern_vit_6b", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
        "image_size": 28, "patch_size": 14, "qkv_bias": True, "norm_type": "layer_norm", "qk_normalization": False,
    }  # fmt: skip
    text = {
        "model_type": "internlm2", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 100, "bias": False, "max_position_embeddings": 8192,
    }  # fmt: skip
    return {"model_type": "internvl_chat", "vision_config": vision, "llm_config": {**text, **llm}, "downsample_ratio": 0.5}


def test_the_converter_goes_by_the_class_that_the_text_model_names() -> None:
    """conversion/base.py, `get_model_architecture`: `architectures` of the inner config, `llm_config` being one of its names."""
    made = allocate(parse(internvl(architectures=["InternLM2ForCausalLM"])), Workload(4096))
    assert made.bytes == 2 * 4096 * 2 * 2 * 16 * 2
    with pytest.raises(UnsupportedError, match="internvl_chat"):
        allocate(parse(internvl()), Workload(4096))
    other = parse(internvl(architectures=["InternLM2ForCausalLM"]))._replace(text=TextModel("nanochat", "NanoChatForCausalLM"))
    with pytest.raises(UnsupportedError, match="internvl_chat"):
        architecture_name(other)


@pytest.mark.parametrize(("dtype", "hint"), [("fp8", "q8_0"), ("int4", "q4_0"), ("q6_k", "")])
def test_types_that_it_lacks(dtype: str, hint: str) -> None:
    with pytest.raises(UsageError, match=r"llama\.cpp keeps caches in f16") as raised:
        allocate(parse(CONFIGS["gemma2"]), Workload(4096, 1, dtype))
    assert hint in raised.value.hint


def test_more_gpus_hold_more_layers(run: Run) -> None:
    held = []
    for gpus in (1, 2, 4):
        got = json.loads(
            run(
                "fit", *f"llama-3.1-70b --gpu {gpus}x4090 --ctx 8k --engine llama.cpp --max-quant none --format json".split()
            ).stdout
        )
        flag = next(c["options"] for c in got["would_fit"] if "-ngl" in c["options"])
        held.append(int(re.search(r"-ngl (\d+)", flag)[1]))  # type: ignore[index]
    assert 1.8 * held[0] <= held[1] <= 2.2 * held[0]
    assert 1.8 * held[1] <= held[2] <= 2.2 * held[1]


@pytest.mark.parametrize("name", ["qwen3-30b-a3b", "gpt-oss-120b", "qwen3-235b-a22b"])
def test_experts_are_offered_to_the_cpu_before_layers(name: str, run: Run) -> None:
    machine = ["--gpu", "rtx-4090", "--quant", "q8_0", "--format", "json"]
    got = json.loads(run("fit", name, *machine, "--engine", "llama.cpp", "--ctx", "8k").stdout)
    ways = [c["options"] for c in got["would_fit"] if "llama-server" in c["options"]]
    assert ways[0].startswith("--n-cpu-moe ") and ways[1].startswith("-ngl ")
    n = int(ways[0].split()[1])
    # What is offered starts, with the RAM that is named; experts of one layer fewer leave less than the margin that fit keeps.
    command = ["llama-server", "-m", name, "-c", "8192", "-np", "1", "-ngl", "999", "--n-cpu-moe"]
    enough = json.loads(run("fit", *machine, "--", *command, str(n)).stdout)
    fewer = json.loads(run("fit", *machine, "--", *command, str(n - 1)).stdout)
    assert enough["fits"] and enough["per_gpu"]["headroom_bytes"] >= 1 << 30 > fewer["per_gpu"]["headroom_bytes"]
    said = next(c["what"] for c in got["would_fit"] if c["options"] == ways[0])
    assert units.format_bytes(enough["ram"]["used_bytes"]) in said
