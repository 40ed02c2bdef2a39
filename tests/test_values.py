"""Numbers that no config may hold are refused at their key, whatever the type; damaged configs are refused or hold together."""

from __future__ import annotations

import copy
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from archcalc import sources, zoo
from archcalc.arch import parse
from archcalc.errors import ArchcalcError, ConfigError

spec = importlib.util.spec_from_file_location("fuzz_configs", Path(__file__).parent.parent / "scripts" / "fuzz_configs.py")
assert spec is not None
assert spec.loader is not None
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz_configs"] = fuzz
spec.loader.exec_module(fuzz)

NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("qwen3-30b-a3b", {"num_experts": 4}, "8 of num_experts 4"),
        ("qwen3-30b-a3b", {"num_experts_per_tok": 129}, "129 of num_experts 128"),
        ("llama-3.1-8b", {"num_attention_heads": 2**28, "head_dim": None}, "every dimension is one or more|not a multiple"),
        ("llama-3.1-8b", {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": -8192}},
         "rope_scaling.original_max_position_embeddings is -8192: it should not be negative"),
        ("llama-3.1-8b", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 10**400}},
         "rope_scaling.original_max_position_embeddings is a number of 401 digits"),
        ("deepseek-v3", {"num_nextn_predict_layers": 2**28}, "num_nextn_predict_layers is 268,435,456: no model"),
        ("llama-3.1-8b", {"hidden_size": 2**28, "intermediate_size": 2**28, "vocab_size": 2**28}, r"more than 2\^63 elements"),
    ],
)  # fmt: skip
def test_impossible_numbers_are_refused(model: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({**zoo.config(model), **change})


@pytest.mark.parametrize(
    ("type_", "path", "value", "message"),
    [
        ("sam2_", "vision_config.backbone_config.blocks_per_stage", [2**28, 2, 7, 2], "blocks_per_stage is 268,435,456: no model"),
        ("vibevoice", "diffusion_head_config.head_ffn_ratio", float("inf"), "head_ffn_ratio is inf: a finite number"),
    ],
)
def test_impossible_numbers_of_parts_are_refused(type_: str, path: str, value: object, message: str) -> None:
    config = next(c for name, c in _bases() if name.startswith(type_) and _holds(c, path))
    *parents, key = path.split(".")
    config = copy.deepcopy(config)
    node = config
    for parent in parents:
        node = node[parent]
    node[key] = value
    with pytest.raises(ConfigError, match=message):
        parse(config)


def _holds(config: dict[str, Any], path: str) -> bool:
    node: Any = config
    for key in path.split("."):
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def test_an_unknown_key_of_a_nested_object_is_named() -> None:
    config = next(c for name, c in _bases() if name.startswith("minimax_m3"))
    text = config.get("text_config", config)
    text["sparse_attention_config"] = {"sparse_index_dim": 128, "zzz_unknown_size": 77}
    a = parse(config)
    assert a.status == "partial"
    assert any(key.endswith("sparse_attention_config.zzz_unknown_size") for key in a.unmodelled_keys)


@pytest.mark.parametrize("quantization", [NVFP4, {"quant_method": "fp8"}, {"quant_method": "fp8", "weight_block_size": [128, 128]}])
def test_scales_of_a_tensor_that_is_stored_as_one_with_others(quantization: dict[str, Any]) -> None:
    """Kimi-K2.5's files hold query, key and value of its tower as one: a scale of the whole is one too."""
    from archcalc.figures.checkpoint import inventory

    name = next(n for n in sorted(zoo.names()) if zoo.config(n).get("model_type") == "kimi_k25")
    entries = inventory(parse({**zoo.config(name), "quantization_config": quantization}))
    names = [(entry.name, entry.layers) for entry in entries]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("value", ["8", [8], {"a": 1}])
def test_a_cache_scheme_of_another_type(value: Any) -> None:
    from archcalc.engines._allocation import declared_dtype

    scheme = {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": value, "type": "float"}}
    with pytest.raises(ConfigError, match=r"kv_cache_scheme\.num_bits"):
        declared_dtype(parse(zoo.config("llama-3.1-8b"))._replace(quantization=scheme))


@pytest.mark.parametrize("number", range(150))
def test_damaged_configs(number: int) -> None:
    start = _bases()
    kind, said, _ = fuzz.one(number, 11, start)
    assert kind in ("refused", "answered"), said


_kept: list[Any] = []


def _bases() -> list[Any]:
    if not _kept:
        _kept.extend(fuzz.bases())
    return _kept


def test_many_objects_are_refused_before_they_are_made() -> None:
    with pytest.raises(ArchcalcError, match="objects and lists"):
        sources.read_json(b'{"a": [' + b"[]," * 2_200_000 + b"[]]}", "x")


LLAMA = {
    "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "intermediate_size": 512,
    "vocab_size": 1000, "max_position_embeddings": 4096,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transformers.js_config", {"dtype": "q4", "kv_cache_dtype": {"q4f16": "float16"}}),
        ("vllm_config", {"dtype": "auto-x"}), ("model_name", "x"), ("mlx_version", "0.1"), ("training_args", {"lr": 1}),
        ("torch_compile", True), ("merge_method", "slerp"), ("finetuned_from", "x"),
    ],
)  # fmt: skip
def test_what_tools_note_of_a_model_changes_neither_its_status_nor_its_dtype(key: str, value: object) -> None:
    a = parse({**LLAMA, key: value})
    assert (a.status, a.unmodelled_keys, a.dtype) == ("counted", (), None)


@pytest.mark.parametrize("key", ["model_version", "num_experts_version", "training_heads", "lr_rank"])
def test_what_may_shape_a_model_is_told(key: str) -> None:
    assert parse({**LLAMA, key: 2}).unmodelled_keys == (key,)


@pytest.mark.parametrize("where", ["", "text_config."])
@pytest.mark.parametrize(
    ("name", "known"),
    [("silu", True), ("gelu_pytorch_tanh", True), ("SiLU", False), ("foo", False), ("\u001b[31msilu", False)],
)
def test_an_activation_of_no_known_name_is_told(where: str, name: str, known: bool) -> None:
    """`ACT2FN` of transformers 5.24, activations.py, raises for it: what it keeps in training is not known."""
    config = {**LLAMA, "hidden_act": name} if not where else {
        "model_type": "llava", "text_config": {**LLAMA, "hidden_act": name}, "vision_config": {"model_type": "clip_vision_model"},
    }  # fmt: skip
    a = parse(config)
    assert (a.unmodelled_keys, a.status) == (((), "counted") if known else ((f"{where}hidden_act",), "partial"))


@pytest.mark.parametrize("command", ["inspect", "kv", "train", "compare", "fit"])
def test_every_command_tells_what_it_did_not_understand(command: str, cli: Any) -> None:
    more = {"train": ["--gpu", "h100", "--seq", "2k"], "compare": ["qwen3-1.7b"], "fit": ["--gpu", "h100"]}.get(command, [])
    said = " ".join(cli(command, "qwen3-0.6b", "--set", "num_weird_heads=3", *more).stdout.split())
    assert "keys not understood, which could change figures: num_weird_heads" in said
