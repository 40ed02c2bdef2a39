"""What checkpoints store, against what the Hub says of published ones."""

from __future__ import annotations

import json
import pathlib
from math import prod

import pytest

from archcalc.arch import parse
from archcalc.errors import ConfigError
from archcalc.figures.checkpoint import Entry, base_dtype, expand, inventory, published_name, storage_bytes, summary
from archcalc.model import Architecture
from archcalc.quant import quantizations, quantize_as

# `config` as published, without keys that change nothing; with `base` it is that repository's, with the quantization added.
# `elements` is what the Hub shows now, `stored` what it showed when it still counted scales, `by_dtype` its own test's expectation
# (huggingface.js, packages/hub/src/lib/parse-safetensors-metadata.spec.ts).
ROWS = [json.loads(line) for line in (pathlib.Path(__file__).parent / "data" / "quantized.jsonl").read_text().splitlines()]
CONFIGS = {row["repo"]: row["config"] for row in ROWS}

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 256, "torch_dtype": "bfloat16",
}  # fmt: skip


def architecture_of(row: dict) -> Architecture:
    architecture = parse(row["config"])
    return architecture._replace(quantization=row["hf_quant_config"]) if "hf_quant_config" in row else architecture


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["repo"])
def test_published_counts(row: dict) -> None:
    total = summary(architecture_of(row))
    assert {key: getattr(total, key) for key in ("elements", "stored", "by_dtype") if key in row} == {
        key: row[key] for key in ("elements", "stored", "by_dtype") if key in row
    }


@pytest.mark.parametrize(
    ("repo", "elements"),
    [("deepseek-ai/DeepSeek-V3", 671_026_419_200 + 13_463_411_200 + 15_104), ("openai/gpt-oss-20b", 20_914_757_184)],
)
def test_unquantized_elements_are_parameters_mtp_and_copies(repo: str, elements: int) -> None:
    architecture = quantize_as(parse(CONFIGS[repo]), "bf16")
    total = summary(architecture)
    counted = sum(t.elements * n for _, t, n in architecture.each_tensor() if t.kind != "tied")
    assert total.elements == total.stored == counted
    if repo.startswith("openai"):
        assert counted == elements


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["repo"])
def test_sums_agree(row: dict) -> None:
    architecture = architecture_of(row)
    total = summary(architecture)
    entries = inventory(architecture)
    assert sum(total.by_dtype.values()) == total.elements
    assert sum(total.stored_by_dtype.values()) == total.stored
    assert sum(storage_bytes(dtype, n) for dtype, n in total.stored_by_dtype.items()) == total.bytes
    assert sum(e.elements * e.copies for e in entries) == total.stored
    assert sum((e.elements if e.parameters is None else e.parameters) * e.copies for e in entries) == total.elements
    assert all(e.layers == tuple(sorted(set(e.layers))) for e in entries)


@pytest.mark.parametrize(
    "repo", ["Qwen/Qwen2-VL-2B-Instruct-AWQ", "openai/gpt-oss-20b", "nvidia/Qwen3.6-27B-NVFP4", "Qwen/Qwen3-8B-FP8"]
)
def test_expanded_names_are_unique_and_sum_up(repo: str) -> None:
    architecture = parse(CONFIGS[repo])
    names: set[str] = set()
    stored: dict[str, int] = {}
    for name, shape, dtype in expand(architecture):
        assert name not in names
        assert "{" not in name
        names.add(name)
        stored[dtype] = stored.get(dtype, 0) + prod(shape)
    assert stored == summary(architecture).stored_by_dtype


def test_experts_stay_symbolic() -> None:
    entries = inventory(parse(CONFIGS["deepseek-ai/DeepSeek-V3"]))
    assert len(entries) < 100
    assert sum(e.copies for e in entries) == 91_991  # what model.safetensors.index.json lists
    gate = next(e for e in entries if e.name == "model.layers.{}.mlp.experts.{}.gate_proj.weight")
    assert (gate.shape, gate.dtype, gate.experts, gate.layers[0], gate.layers[-1]) == ((2048, 7168), "F8_E4M3", 256, 3, 60)


def test_stored_names_of_deepseek_v3() -> None:
    names = {e.name for e in inventory(parse(CONFIGS["deepseek-ai/DeepSeek-V3"]))}
    assert "model.layers.{}.shared_head.head.weight" in names
    assert "model.layers.{}.self_attn.kv_a_proj_with_mqa.weight_scale_inv" in names
    assert "model.layers.{}.mlp.gate.e_score_correction_bias" in names
    assert "model.layers.{}.mlp.gate.weight_scale_inv" not in names
    assert "model.layers.{}.eh_proj.weight_scale_inv" not in names
    assert "lm_head.weight_scale_inv" not in names


def test_correction_biases_are_float32() -> None:
    entries = inventory(parse(CONFIGS["deepseek-ai/DeepSeek-R1"]))
    assert {e.dtype for e in entries if e.tensor.kind == "router_bias"} == {"F32"}


def test_tied_head_is_not_stored() -> None:
    tied = summary(parse({**LLAMA, "tie_word_embeddings": True}))
    apart = summary(parse({**LLAMA, "tie_word_embeddings": False}))
    assert apart.elements - tied.elements == 256 * 64


def test_dtype() -> None:
    architecture = parse(LLAMA)
    assert summary(architecture).by_dtype.keys() == {"BF16"}
    assert summary(architecture, "F32").bytes == 2 * summary(architecture).bytes
    no_dtype = parse({k: v for k, v in LLAMA.items() if k != "torch_dtype"})
    assert base_dtype(no_dtype)[0] == "BF16"
    assert base_dtype(parse({"model_type": "gpt2", "n_embd": 64, "n_layer": 1, "n_head": 1, "vocab_size": 9}))[0] == "F32"
    assert summary(no_dtype).notes
    assert not summary(architecture).notes


def test_renames() -> None:
    renames = (("model.language_model.", "language_model.model."), ("model.", "other."), (".gamma", ".weight"))
    assert published_name("model.language_model.layers.{}.norm.gamma", renames) == "language_model.model.layers.{}.norm.weight"
    assert published_name("model.norm.gamma", renames) == "other.norm.weight"


def test_entry_of_a_fused_tensor() -> None:
    entries = {e.name: e for e in inventory(parse(CONFIGS["openai/gpt-oss-20b"]))}
    blocks: Entry = entries["model.layers.{}.mlp.experts.gate_up_proj_blocks"]
    assert (blocks.shape, blocks.dtype, blocks.experts) == ((32, 5760, 90, 16), "U8", 0)
    assert entries["model.layers.{}.mlp.experts.gate_up_proj_scales"].shape == (32, 5760, 90)
    assert entries["model.layers.{}.mlp.experts.down_proj_blocks"].shape == (32, 2880, 90, 16)
    assert entries["model.layers.{}.mlp.experts.gate_up_proj_bias"].dtype == "BF16"


@pytest.mark.parametrize("name", quantizations())
@pytest.mark.parametrize(
    "repo", ["Qwen/Qwen3-8B-FP8", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-20b", "Qwen/Qwen2-VL-2B-Instruct-AWQ"]
)
def test_every_quantization_of_every_kind_of_model(repo: str, name: str) -> None:
    architecture = parse(CONFIGS[repo])
    whole = summary(quantize_as(architecture, "f32"))
    if name.startswith("awq") and architecture.facts.hidden_size % 128:
        # AutoAWQ asserts that groups divide the 2,880 columns.
        with pytest.raises(ConfigError, match="group_size"):
            summary(quantize_as(architecture, name))
        return
    total = summary(quantize_as(architecture, name))
    assert 0 < total.bytes <= whole.bytes
    assert sum(e.elements * e.copies for e in inventory(quantize_as(architecture, name))) == total.stored


@pytest.mark.parametrize(
    ("config", "name", "shape"),
    [
        # Conversions of transformers 5.23, conversion_mapping.py: queries, keys and values apart, or the last axes swapped, on loading.
        (
            {"model_type": "kimi_k25", "text_config": {"num_hidden_layers": 4}, "vision_config": {}},
            "vision_tower.encoder.blocks.26.wqkv.weight",
            (3 * 1152, 1152),
        ),
        (
            {
                "model_type": "nomic_bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 30528,
            },
            "encoder.layers.11.attn.Wqkv.weight",
            (3 * 768, 768),
        ),
        (
            {
                "model_type": "qwen3_vl_moe", "vision_config": {},
                "text_config": {"hidden_size": 2048, "moe_intermediate_size": 768, "num_experts": 128},
            },
            "model.language_model.layers.0.mlp.experts.gate_up_proj",
            (128, 2048, 2 * 768),
        ),
    ],
    ids=["kimi-k2.5", "nomic-bert", "qwen3-vl-moe"],
)  # fmt: skip
def test_checkpoints_fuse_and_turn_what_the_reference_takes_apart(config: dict, name: str, shape: tuple[int, ...]) -> None:
    a = parse(config)
    held = {stored: size for stored, size, _ in expand(a)}
    assert held[name] == shape
    assert sum(prod(size) for size in held.values()) == summary(a).stored
