"""How each method stores a weight, which modules it leaves alone, and what it says of configs that make no sense."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.arch import parse
from archcalc.engines.engine import server
from archcalc.errors import ArchcalcError, ConfigError, UnsupportedError, UsageError
from archcalc.figures.checkpoint import expand, inventory, storage_bytes, summary
from archcalc.hardware import device
from archcalc.model import Architecture
from archcalc.quant import METHODS, check_name, method_of, quantize_as
from archcalc.quant._names import Names, bare
from archcalc.quant.gguf import BLOCKS
from archcalc.zoo import config

LLAMA = {
    "model_type": "llama", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 4, "num_attention_heads": 16,
    "num_key_value_heads": 4, "vocab_size": 1000, "torch_dtype": "bfloat16",
}  # fmt: skip
MIXTRAL = {**LLAMA, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
LLAMA_8B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
}  # fmt: skip

Q_PROJ, K_PROJ, DOWN = (f"model.layers.1.{name}" for name in ("self_attn.q_proj", "self_attn.k_proj", "mlp.down_proj"))


def stored(quantization: dict[str, Any], module: str = K_PROJ, config: dict[str, Any] | None = None) -> dict[str, tuple[Any, ...]]:
    """What stands in the checkpoint for one module: dtype and shape by the end of the name."""
    # mlx-lm writes the same twice.
    twice = {"quantization": quantization} if "bits" in quantization and "quant_method" not in quantization else {}
    architecture = parse({**(config or LLAMA), "quantization_config": quantization, **twice})
    return {name[len(module) :]: (dtype, *shape) for name, shape, dtype in expand(architecture) if name.startswith(module)}


def group(**weights: Any) -> dict[str, Any]:
    return {"group_0": {"targets": ["Linear"], "weights": weights}}


COMPRESSED = {"quant_method": "compressed-tensors", "ignore": ["lm_head"]}


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        (
            {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"},
            {".weight": ("F8_E4M3", 256, 1024), ".weight_scale_inv": ("F32", 2, 8)},
        ),
        (
            {"quant_method": "fp8", "weight_block_size": None, "activation_scheme": "static"},
            {".weight": ("F8_E4M3", 256, 1024), ".weight_scale_inv": ("F32",), ".activation_scale": ("F32",)},
        ),
        (
            {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]},
            {".weight": ("F8_E4M3", 256, 1024), ".weight_scale": ("F32",), ".input_scale": ("F32",)},
        ),
        ({"quant_method": "fbgemm_fp8"}, {".weight": ("F8_E4M3", 256, 1024), ".weight_scale": ("F32", 256, 1)}),
        (
            {**COMPRESSED, "format": "float-quantized", "config_groups": group(num_bits=8, type="float", strategy="channel")},
            {".weight": ("F8_E4M3", 256, 1024), ".weight_scale": ("BF16", 256, 1)},
        ),
        (
            {**COMPRESSED, "format": "int-quantized", "config_groups": group(num_bits=8, type="int", strategy="channel", symmetric=False)},
            {".weight": ("I8", 256, 1024), ".weight_scale": ("BF16", 256, 1), ".weight_zero_point": ("I8", 256, 1)},
        ),
        (
            {
                **COMPRESSED,
                "format": "pack-quantized",
                "config_groups": group(num_bits=4, type="int", strategy="group", group_size=128, actorder="group", symmetric=False),
            },
            {
                ".weight_packed": ("I32", 256, 128), ".weight_scale": ("BF16", 256, 8), ".weight_shape": ("I64", 2),
                ".weight_zero_point": ("I32", 32, 8), ".weight_g_idx": ("I32", 1024),
            },
        ),
        (
            {**COMPRESSED, "format": "nvfp4-pack-quantized", "config_groups": group(num_bits=4, type="float", group_size=16)},
            {".weight_packed": ("U8", 256, 512), ".weight_scale": ("F8_E4M3", 256, 64), ".weight_global_scale": ("F32", 1)},
        ),
        (
            {**COMPRESSED, "format": "mxfp4-pack-quantized", "config_groups": group(num_bits=4, type="float", group_size=32)},
            {".weight_packed": ("U8", 256, 512), ".weight_scale": ("U8", 256, 32)},
        ),
        (
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]},
            {
                ".weight": ("U8", 256, 512), ".weight_scale": ("F8_E4M3", 256, 64), ".weight_scale_2": ("F32",), ".input_scale": ("F32",),
            },
        ),
        (
            {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}},
            {".weight": ("F8_E4M3", 256, 1024), ".weight_scale": ("F32",), ".input_scale": ("F32",), ".k_scale": ("F32",)},
        ),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128},
            {".qweight": ("I32", 1024, 32), ".qzeros": ("I32", 8, 32), ".scales": ("F16", 8, 256)},
        ),
        (
            {"quant_method": "gptq", "bits": 8, "group_size": -1},
            {".qweight": ("I32", 256, 256), ".qzeros": ("I32", 1, 64), ".scales": ("F16", 1, 256), ".g_idx": ("I32", 1024)},
        ),
        (
            {"quant_method": "auto-round", "bits": 4, "group_size": 32, "packing_format": "auto_round:auto_awq"},
            {".qweight": ("I32", 1024, 32), ".qzeros": ("I32", 32, 32), ".scales": ("F16", 32, 256)},
        ),
        (
            {"load_in_8bit": True, "quant_method": "bitsandbytes"},
            {".weight": ("I8", 256, 1024), ".SCB": ("F32", 256), ".weight_format": ("U8",)},
        ),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig", "_data": {}}}},
            {"._weight_qdata": ("I8", 256, 1024), "._weight_scale": ("BF16", 256, 1)},
        ),
        (
            {
                "quant_method": "quark", "exclude": ["lm_head"],
                "global_quant_config": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}},
            },
            {".weight": ("F8_E4M3", 256, 1024), ".weight_scale": ("F32",)},
        ),
        ({"quant_method": "bitnet"}, {".weight": ("U8", 64, 1024), ".weight_scale": ("BF16", 1)}),
        (
            {"bits": 4, "group_size": 64},
            {".weight": ("U32", 256, 128), ".scales": ("BF16", 256, 16), ".biases": ("BF16", 256, 16)},
        ),
        # Shapes of hqq 0.2.8's own state_dict on a module of this size.
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64, "axis": 1}}},
            {".W_q": ("U8", 2048, 64), ".scale": ("BF16", 4096, 1), ".zero": ("BF16", 4096, 1)},
        ),
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 3, "group_size": 64, "axis": 1}}},
            {".W_q": ("I32", 410, 64), ".scale": ("BF16", 4096, 1), ".zero": ("BF16", 4096, 1)},
        ),
        (
            {"quant_method": "hqq", "quant_config": {"self_attn.k_proj": {"nbits": 2, "group_size": 16, "axis": 0}}},
            {".W_q": ("U8", 4, 16384), ".scale": ("BF16", 1, 16384), ".zero": ("BF16", 1, 16384)},
        ),
        ({"quant_method": "hqq", "quant_config": {"self_attn.q_proj": {"nbits": 2}}}, {".weight": ("BF16", 256, 1024)}),
        # aqlm 1.1.7, `QuantizedLinear` of this size.
        (
            {"quant_method": "aqlm", "num_codebooks": 2, "nbits_per_codebook": 8, "in_group_size": 8, "out_group_size": 1},
            {".codes": ("I8", 256, 128, 2), ".codebooks": ("BF16", 2, 256, 1, 8), ".scales": ("BF16", 256, 1, 1, 1)},
        ),
        (
            {"quant_method": "aqlm", "linear_weights_not_to_quantize": ["model.layers.1.self_attn.k_proj.weight"]},
            {".weight": ("BF16", 256, 1024)},
        ),
        ({"quant_method": "eetq"}, {".weight": ("I8", 1024, 256), ".weight_scales": ("F16", 256)}),
        (
            {"quant_method": "exl3", "bits": 4.0, "head_bits": 6},
            {".trellis": ("I16", 64, 16, 64), ".suh": ("F16", 1024), ".svh": ("F16", 256)},
        ),
        (
            {"quant_method": "exl3", "bits": 3, "head_bits": 6, "codebook": "mcg"},
            {".trellis": ("I16", 64, 16, 48), ".suh": ("F16", 1024), ".svh": ("F16", 256), ".mcg": ("I32",)},
        ),
        (
            {"quant_method": "intel/auto-round", "bits": 4, "group_size": 128, "sym": True},
            {".qweight": ("I32", 128, 256), ".qzeros": ("I32", 8, 32), ".scales": ("F16", 8, 256), ".g_idx": ("I32", 1024)},
        ),
        (
            {"quant_method": "auto-round", "bits": 4, "group_size": 16, "data_type": "nv_fp", "act_bits": 4},
            {
                ".weight_packed": ("U8", 256, 512), ".weight_scale": ("F8_E4M3", 256, 64),
                ".weight_global_scale": ("F32", 1), ".input_global_scale": ("F32", 1),
            },
        ),
        (
            {"quant_method": "auto-round", "bits": 4, "group_size": 32, "data_type": "mx_fp", "act_bits": 16},
            {".weight_packed": ("U8", 256, 512), ".weight_scale": ("U8", 256, 32)},
        ),
    ],
    ids=lambda value: method_of(value) if "quant_method" in value or "quantization" in value or "bits" in value else "",
)  # fmt: skip
def test_what_stands_for_one_weight(quantization: dict[str, Any], expected: dict[str, tuple[Any, ...]]) -> None:
    assert stored(quantization) == expected


# Bits of a head of 128256 by 4096, as exllamav2 0.3.2 counts them (`QParams.total_bits` of `qparams_headoptions`).
@pytest.mark.parametrize(
    ("bits", "total"),
    [(2, 1436604416), (3, 1723897856), (4, 2331318272), (5, 2725316096), (6, 3332736512), (8, 4219241984)],
)
def test_the_mixtures_of_exl2s_heads(bits: int, total: int) -> None:
    made = parse({**LLAMA_8B, "quantization_config": {"quant_method": "exl2", "bits": 4.0, "head_bits": bits}})
    assert 8 * sum(storage_bytes(d, prod(shape)) for name, shape, d in expand(made) if name.startswith("lm_head.")) == total


@pytest.mark.parametrize("bits", [2.4, 4.0, 4.65, 6.5])
def test_exl2_spends_its_average_on_the_layers(bits: float) -> None:
    made = parse({**LLAMA_8B, "quantization_config": {"quant_method": "exl2", "bits": bits, "head_bits": 6}})
    spent = sum(storage_bytes(d, prod(shape)) for name, shape, d in expand(made) if "_proj.q_" in name)
    assert 8 * spent / 6979321856 == pytest.approx(bits, rel=1e-5)


@pytest.mark.parametrize("bits", [2.4, 3.5, 4.65, 6.0])
def test_exl3_gives_whole_bits_that_come_to_the_average(bits: float) -> None:
    made = parse({**LLAMA_8B, "quantization_config": {"quant_method": "exl3", "bits": bits, "head_bits": 6}})
    packed = [shape for name, shape, _ in expand(made) if name.endswith("_proj.trellis")]
    assert {shape[2] // 16 for shape in packed} <= {int(bits), int(bits) + 1}
    assert 16 * sum(map(prod, packed)) / 6979321856 == pytest.approx(bits, rel=0.004)


def test_a_tied_head_is_stored_by_exllama() -> None:
    made = parse({**LLAMA, "tie_word_embeddings": True, "quantization_config": {"quant_method": "exl3", "bits": 4, "head_bits": 6}})
    assert ("lm_head.trellis", (64, 64, 96), "I16") in list(expand(made))


@pytest.mark.parametrize(("dtype", "stored_as"), [("float16", "F32"), ("bfloat16", "BF16")])
def test_bitsandbytes_stores_what_it_spares_as_it_was_held(dtype: str, stored_as: str) -> None:
    """T5's `wo` (`_keep_in_fp32_modules`): the 4-bit text encoder of FLUX.1-schnell, in float16, has it in float32."""
    nf4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    sizes = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "vocab_size": 1000}
    made = parse({"model_type": "t5", "torch_dtype": dtype, "quantization_config": nf4, **sizes})
    kinds = {kind for name, shape, kind in expand(made) if name.endswith("wo.weight")}
    assert kinds == {stored_as}


def test_mlx_leaves_towers_and_rows_that_no_group_divides_alone() -> None:
    vision = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    }
    config = {
        "model_type": "llava", "torch_dtype": "bfloat16", "quantization": {"group_size": 64, "bits": 4},
        "text_config": {**LLAMA, "intermediate_size": 2800},
        "vision_config": {"model_type": "clip_vision_model", **vision},
    }  # fmt: skip
    kinds = {name: kind for name, _, kind in expand(parse(config))}
    assert {kind for name, kind in kinds.items() if "vision_tower" in name or "projector" in name} == {"BF16"}
    assert {kind for name, kind in kinds.items() if "down_proj.weight" in name} == {"BF16"}
    assert {kind for name, kind in kinds.items() if "up_proj.weight" in name} == {"U32"}


def test_hqq_finds_experts_by_a_tag_without_their_number() -> None:
    tags = {f"block_sparse_moe.experts.{name}": {"nbits": 2, "group_size": 16} for name in ("w1", "w2", "w3")}
    made = parse({**MIXTRAL, "quantization_config": {"quant_method": "hqq", "quant_config": tags}})
    kinds = {name.rsplit(".", 1)[1]: kind for name, _, kind in expand(made) if ".experts." in name}
    assert kinds == {"W_q": "U8", "scale": "BF16", "zero": "BF16"}


def test_nested_absmax_of_double_quantization() -> None:
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    got = stored(config)
    assert got[".weight"] == ("U8", 256 * 1024 // 2, 1)
    assert got[".weight.absmax"] == ("U8", 4096)
    assert got[".weight.nested_absmax"] == ("F32", 16)
    assert got[".weight.nested_quant_map"] == ("F32", 256)
    assert got[".weight.quant_map"] == ("F32", 16)
    assert got[".weight.quant_state.bitsandbytes__nf4"][0] == "U8"


def test_old_autogptq_stores_a_bias_for_every_module() -> None:
    config = {"quant_method": "gptq", "bits": 4, "group_size": 128, "model_file_base_name": "model"}
    assert stored(config)[".bias"] == ("F16", 256)
    biased = stored(config, config={**LLAMA, "attention_bias": True})
    assert biased[".bias"] == ("BF16", 256)
    assert ".bias" not in stored({k: v for k, v in config.items() if k != "model_file_base_name"})


def test_gptq_overrides_by_pattern() -> None:
    config = {
        "quant_method": "gptq", "bits": 4, "group_size": 128,
        "dynamic": {r"-:.*k_proj": {}, r"+:.*down_proj": {"bits": 8}},
    }  # fmt: skip
    assert stored(config) == {".weight": ("BF16", 256, 1024)}
    assert stored(config, Q_PROJ)[".qweight"] == ("I32", 128, 1024)
    assert stored(config, DOWN)[".qweight"] == ("I32", 704, 1024)


@pytest.mark.parametrize("name", [n for n in METHODS if n not in ("compressed-tensors", "mlx", "gguf", "quark")])
def test_embedding_head_norms_and_router_stay_as_they_are(name: str) -> None:
    configs = {
        "modelopt": {"quant_algo": "NVFP4", "ignore": ["lm_head"]}, "torchao": {"quant_type": "int8_weight_only"},
        "bitsandbytes": {"load_in_4bit": True}, "hqq": {"quant_config": {"weight_quant_params": {"nbits": 4}}},
        "exl2": {"bits": 4, "head_bits": 16}, "exl3": {"bits": 4, "head_bits": 16},
    }  # fmt: skip
    quantization = {"quant_method": name, **configs.get(METHODS[name], {})}
    if METHODS[name] == "modelopt":
        quantization |= configs["modelopt"]
    entries = {e.name: e for e in inventory(parse({**MIXTRAL, "quantization_config": quantization}))}
    for left in (
        "model.embed_tokens.weight",
        "lm_head.weight",
        "model.norm.weight",
        "model.layers.{}.block_sparse_moe.gate.weight",
    ):
        assert entries[left].dtype == "BF16"


def test_experts_are_stored_one_by_one() -> None:
    entries = {e.name: e for e in inventory(parse({**MIXTRAL, "quantization_config": {"quant_method": "awq", "bits": 4}}))}
    w1 = entries["model.layers.{}.block_sparse_moe.experts.{}.w1.qweight"]
    assert (w1.shape, w1.experts) == ((1024, 352), 8)
    assert entries["model.layers.{}.block_sparse_moe.experts.{}.w2.qweight"].shape == (2816, 128)


def test_quantization_of_a_text_config_leaves_the_towers_alone() -> None:
    awq = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    text = {**LLAMA, "model_type": "qwen2", "hidden_size": 1024}
    config = {"model_type": "qwen2_vl", "text_config": {**text, "quantization_config": awq}, "vision_config": {"hidden_size": 1024}}
    architecture = parse(config)
    assert architecture.quantization is not None
    assert architecture.quantization["within"] == "text_config"
    assert {e.dtype for e in inventory(architecture) if e.part == "vision"} == {"BF16"}
    assert "F8_E4M3" in summary(architecture).by_dtype


# Names


LAYERS = list(range(24))


@pytest.mark.parametrize(
    ("pattern", "module", "layers"),
    [
        ("model.layers.3.mlp.gate_proj", "mlp.gate_proj", [3]),
        ("model.layers.3.mlp", "mlp.gate_proj", [3]),
        ("language_model.model.layers.3.mlp", "mlp.gate_proj", [3]),
        ("layers.3.mlp", "mlp.gate_proj", [3]),
        ("model.layers.3.mlp.gate", "mlp.gate_proj", []),
        ("model.layers.3.mlp.experts", "mlp.experts.{}.w1", [3]),
        ("model.layers.3.mlp.experts.0.w1", "mlp.experts.{}.w1", [3]),
        ("model.layers.2*", "mlp.gate_proj", [2, 20, 21, 22, 23]),
        ("model.layers.2.*", "mlp.gate_proj", [2]),
        ("model.layers.10.self_attn*", "self_attn.q_proj", [10]),
        ("model.layers.*.self_attn", "self_attn.q_proj", LAYERS),
        ("model.layers.*.self_attn", "mlp.gate_proj", []),
        ("*.self_attn.*", "self_attn.q_proj", LAYERS),
        ("*lm_head*", "self_attn.q_proj", []),
        ("gate", "mlp.gate", LAYERS),
        ("gate", "mlp.shared_expert_gate", LAYERS),
        ("gate", "mlp.gate_proj", []),
        ("re:.*mlp\\.(gate|up)_proj.*", "mlp.gate_proj", LAYERS),
        ("re:.*mlp\\.(gate|up)_proj.*", "mlp.experts.{}.gate_proj", []),
        ("re:.*\\.self_attn\\.q_proj$", "self_attn.q_proj", LAYERS),
        ("re:model\\.layers\\.1[0-2]\\..*", "self_attn.q_proj", [10, 11, 12]),
        ("re:.*layers\\.\\d+\\.mlp.*", "mlp.up_proj", LAYERS),
        ("Linear", "mlp.up_proj", []),
        ("linear_attn.conv1d", "linear_attn.conv1d", LAYERS),
        ("model.layers.7.linear_attn.conv1d", "linear_attn.conv1d", [7]),
    ],
)
def test_names(pattern: str, module: str, layers: list[int]) -> None:
    assert list(Names([pattern]).match("model.layers.", module, LAYERS)) == layers
    assert list(Names(["x", pattern, "y.0.z"]).match("model.language_model.layers.", module, LAYERS)) == layers


@pytest.mark.parametrize(
    ("pattern", "module", "matches"),
    [
        ("lm_head", "lm_head", True),
        ("model.lm_head", "lm_head", True),
        ("lm_head*", "lm_head", True),
        ("visual", "model.visual.merger", True),
        ("mtp.*", "mtp.fc", True),
        ("mtp*", "mtp.fc", True),
        ("fc", "mtp.proj", False),
        ("re:visual.*", "model.visual.merger", True),
        ("re:visual.*", "my.visual.merger", False),
        ("re:.*visual.*", "model.visual.merger", True),
    ],
)
def test_names_outside_the_layers(pattern: str, module: str, matches: bool) -> None:
    assert bool(Names([pattern]).match("", module, (-1,))) is matches


def test_bare() -> None:
    assert bare("model.language_model.layers.") == bare("language_model.model.layers.") == "layers."


# What-ifs


def test_gguf_sizes_are_those_of_published_files() -> None:
    """The files of bartowski/Meta-Llama-3.1-8B-Instruct-GGUF less the same metadata, 7,841,184 bytes with the tokenizer."""
    sizes = {"q8_0": 8_540_775_840, "q6_k": 6_596_011_424, "q5_k_m": 5_732_992_416, "q4_k_m": 4_920_739_232}
    architecture = parse(LLAMA_8B)
    assert {name: summary(quantize_as(architecture, name)).bytes + 7_841_184 for name in sizes} == sizes


def test_gguf_types_with_raised_ends_are_those_of_published_files() -> None:
    """GB of the same repository's files, as its file list rounds them."""
    sizes = {"q2_k": 3.18, "q2_k_l": 3.69, "q3_k_l": 4.32, "q3_k_xl": 4.78, "q4_k_l": 5.31, "q5_k_l": 6.06, "q6_k_l": 6.85}
    architecture = parse(LLAMA_8B)
    assert {name: round((summary(quantize_as(architecture, name)).bytes + 7_841_184) / 1e9, 2) for name in sizes} == sizes


def test_gguf_keeps_what_is_published_in_fp4() -> None:
    """GB of unsloth/gpt-oss-20b-GGUF's files, as its file list rounds them, with some MB of metadata in each: experts stay in MXFP4."""
    sizes = {"f16": 13.8, "q2_k": 11.5, "q2_k_l": 11.8, "q3_k_m": 11.5, "q4_0": 11.5, "q4_1": 11.6, "q4_k_m": 11.6, "q5_k_m": 11.7}
    architecture = parse(config("gpt-oss-20b"))
    for name, published in sizes.items():
        made = summary(server("llama.cpp").load(architecture, name, device("rtx-4090"))[0]).bytes / 1e9
        assert published - 0.06 <= made <= published + 0.05, (name, made)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ud-q4_k_xl", "q4_k_m"),
        ("UD-IQ1_S", "iq1_s"),
        ("ud_iq2_xxs", "iq2_xxs"),
        ("UD-Q2_K_XL", "q2_k"),
        ("ud-q8_k_xl", "q8_0"),
        ("q6_k_xl", "q6_k"),
    ],
)
def test_a_publishers_own_mixture_is_refused_by_name(name: str, near: str) -> None:
    """Of DeepSeek-V3's kind unsloth published UD-IQ2_XXS in 196.2 GB (R1) and in 218.6 (V3-0324), where IQ2_XXS makes 174.8."""
    with pytest.raises(UsageError, match="publisher") as refused:
        check_name(name)
    assert f"--quant {near}," in refused.value.hint


def test_gguf_rows_that_no_block_divides() -> None:
    odd = parse({**LLAMA, "intermediate_size": 2848, "num_attention_heads": 16})
    types = {e.name: e.dtype for e in inventory(quantize_as(odd, "q6_k"))}
    assert types["model.layers.{}.mlp.down_proj.weight"] == "Q8_0"  # rows of 2848 = 89 blocks of 32
    assert types["model.layers.{}.mlp.up_proj.weight"] == "Q6_K"


def test_gguf_leaves_norms_and_routers_in_float32() -> None:
    types = {e.name: e.dtype for e in inventory(quantize_as(parse(MIXTRAL), "q4_k_m"))}
    assert types["model.norm.weight"] == types["model.layers.{}.block_sparse_moe.gate.weight"] == "F32"
    assert types["lm_head.weight"] == "Q6_K"
    assert set(types.values()) <= BLOCKS.keys()


def test_tied_models_quantize_the_embedding_as_the_head() -> None:
    tied = quantize_as(parse({**LLAMA, "tie_word_embeddings": True}), "q4_k_m")
    assert {e.dtype for e in inventory(tied) if e.name == "model.embed_tokens.weight"} == {"Q6_K"}


def test_quantize_as_puts_the_own_quantization_aside() -> None:
    fp8 = parse({**LLAMA, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}})
    assert summary(quantize_as(fp8, "bf16")) == summary(parse(LLAMA))
    assert summary(quantize_as(fp8, "awq")) == summary(quantize_as(parse(LLAMA), "AWQ"))


def test_fewer_bits_take_fewer_bytes() -> None:
    sizes = [
        summary(quantize_as(parse(LLAMA_8B), n)).bytes
        for n in ("q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "bf16", "f32")
    ]
    assert sizes == sorted(sizes)


# What makes no sense


@pytest.mark.parametrize(
    ("quantization", "error", "says"),
    [
        ({"quant_method": "dv_ssq_hadamard"}, UnsupportedError, "dv_ssq_hadamard"),
        ({"quant_method": "../../x"}, UnsupportedError, "../../x"),
        ({"surprise": 1}, UnsupportedError, "no quant_method"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, ConfigError, "weight_block_size"),
        ({"quant_method": "fp8", "weight_block_size": [0, 128]}, ConfigError, "weight_block_size"),
        ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, ConfigError, "modules_to_not_convert"),
        ({"quant_method": "fp8", "modules_to_not_convert": [1]}, ConfigError, "modules_to_not_convert"),
        ({"quant_method": "gptq", "bits": "4"}, ConfigError, "bits"),
        ({"quant_method": "gptq", "bits": 5}, UnsupportedError, "bits"),
        ({"quant_method": "awq", "bits": 4, "group_size": "x"}, ConfigError, "group_size"),
        ({"quant_method": "awq", "bits": 4, "version": "gemv"}, UnsupportedError, "gemv"),
        ({**COMPRESSED, "config_groups": {}}, ConfigError, "config_groups"),
        ({**COMPRESSED, "config_groups": group(num_bits=8, strategy="odd")}, UnsupportedError, "odd"),
        ({**COMPRESSED, "format": "marlin-24", "config_groups": group(num_bits=4)}, UnsupportedError, "marlin-24"),
        ({**COMPRESSED, "ignore": ["re:("], "config_groups": group(num_bits=8)}, ConfigError, "regular expression"),
        ({"quant_method": "modelopt", "quant_algo": "W9"}, UnsupportedError, "W9"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, ConfigError, "quantized_layers"),
        ({"quant_method": "torchao", "quant_type": "autoquant"}, UnsupportedError, "autoquant"),
    ],
)
def test_errors_name_the_value(quantization: dict[str, Any], error: type[ArchcalcError], says: str) -> None:
    architecture = parse({**LLAMA, "quantization_config": quantization})
    with pytest.raises(error) as raised:
        summary(architecture)
    assert says in raised.value.message


def test_unknown_what_if() -> None:
    with pytest.raises(UsageError, match="q9"):
        quantize_as(parse(LLAMA), "q9")


_KEYS = (
    "bits", "group_size", "weight_block_size", "modules_to_not_convert", "ignore", "exclude_modules", "config_groups", "format",
    "quant_algo",
    "quantized_layers", "dynamic", "extra_config", "version", "quant_type", "global_quant_config", "layer_quant_config", "quantization",
    "load_in_4bit", "llm_int8_skip_modules", "activation_scheme", "kv_cache_scheme", "expert_dtype", "mode", "sparsity_config", "file_type",
    "head_bits", "codebook", "quant_config", "weight_quant_params", "nbits", "axis", "num_codebooks", "nbits_per_codebook", "data_type",
    "linear_weights_not_to_quantize",
)  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 300)
    | st.floats()
    | st.sampled_from(["", "lm_head", "re:(", "*", "NVFP4", "group", "[", "4"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["weights", "num_bits", "strategy", *_KEYS]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(method=st.sampled_from([*METHODS, "", "?"]), config=st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=4))
def test_nonsense_is_an_error_of_our_own_or_an_answer(method: str, config: dict[str, Any]) -> None:
    try:
        total = summary(parse({**MIXTRAL, "quantization_config": {"quant_method": method, **config}}))
    except ArchcalcError:
        return
    assert total.bytes > 0


@pytest.mark.parametrize("name", ["fp8", "fp8-dynamic", "int8", "w4a16", "mxfp4", "nvfp4"])
def test_towers_stay_as_they_are_where_publishers_leave_them(name: str) -> None:
    """The lists of nvidia's NVFP4 and RedHatAI's FP8 of vision models name their towers; a log of Gemma 4 26B in NVFP4 has 15.77 GiB."""
    plain = parse(config("gemma-3-27b"))
    made = quantize_as(plain, name)

    def size(architecture: Architecture, *parts: str) -> int:
        found = [e for e in inventory(architecture) if e.part in parts]
        return sum(e.copies * storage_bytes(e.dtype, e.elements) for e in found)

    assert size(made, "vision") == size(plain, "vision") > 0
    assert size(made, "decoder") < 0.6 * size(plain, "decoder")


def test_nvfp4_leaves_gated_deltanet_alone() -> None:
    """As nvidia's list of Qwen3.5-122B-A10B does; with it a log of RedHatAI's Qwen3.6-35B-A3B has 21.86 GiB."""
    plain = parse(config("qwen3.6-35b-a3b"))
    for made, spared in ((quantize_as(plain, "nvfp4"), True), (quantize_as(plain, "w4a16"), False)):
        found = [e.dtype for e in inventory(made) if "linear_attn.in_proj_qkv.weight" in e.name and "scale" not in e.name]
        assert found
        assert (set(found) == {"BF16"}) is spared
