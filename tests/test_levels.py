"""Keys of a text model at another level than the reference writes them: read there too, or named; never dropped in silence.

That a key keeps its meaning wherever it stands is a law over every stored composite config. What flat configs hold is known from their
publishers: the text model of the same checkpoint states the same keys alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.analysis.params import components
from archcalc.arch import _levels, adapter_name, parse, schema_of
from archcalc.errors import ArchcalcError
from archcalc.figures import memory
from archcalc.model import Architecture
from conftest import Run

GOLDEN = Path(__file__).parent / "golden"
ROWS = [json.loads(line) for path in sorted(GOLDEN.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
# Keys that the composite's config class declares itself, with a meaning of its own (transformers 5.24, configuration_modernvbert.py).
OWN = {("modernvbert", "classifier_bias")}


def field_of(config: dict[str, Any]) -> str:
    name = adapter_name(config)
    assert name is not None
    return _levels.language_of(schema_of(name))


COMPOSITES = [row for row in ROWS if isinstance(row["config"].get(field_of(row["config"])), dict)]


def figures(a: Architecture) -> tuple[Any, ...]:
    parts = components(a)
    cache = memory.textbook(a, 1000, 1, 2)
    return sum(c.total for c in parts), sum(c.active for c in parts), a.facts._replace(position=""), cache, a.rotary


def moved(config: dict[str, Any], field: str, *keys: str) -> dict[str, Any]:
    inner = {key: value for key, value in config[field].items() if key not in keys}
    return {**config, field: inner, **{key: config[field][key] for key in keys}}


def same_or_named(config: dict[str, Any], want: tuple[Any, ...], keys: tuple[str, ...]) -> None:
    try:
        a = parse(config)
    except ArchcalcError as error:
        assert any(key in str(error) for key in keys), error
        return
    assert figures(a) == want or (a.status == "partial" and any(key in a.unmodelled_keys for key in keys)), keys


@pytest.mark.parametrize("row", COMPOSITES, ids=[row["id"] for row in COMPOSITES])
def test_a_key_keeps_its_meaning_outside_the_text_config(row: dict[str, Any]) -> None:
    config, field = row["config"], field_of(row["config"])
    want = figures(parse(config))
    movable = tuple(
        key
        for key, value in config[field].items()
        if key not in config
        and value is not None
        and key not in ("model_type", "architectures")
        and (config.get("model_type"), key) not in OWN
    )
    for key in movable:
        same_or_named(moved(config, field, key), want, (key,))
    if movable:
        same_or_named(moved(config, field, *movable), want, movable)


STEP = {
    "model_type": "step3p7", "architectures": ["Step3p7FlashForCausalLM"], "num_hidden_layers": 8, "hidden_size": 1024,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 5000, "sliding_window": 512,
    "layer_types": ["full_attention", *["sliding_attention"] * 3] * 2, "first_k_dense_replace": 2, "num_experts": 12,
    "num_experts_per_tok": 3, "n_shared_experts": 1, "use_moe_router_bias": True,
}  # fmt: skip


def test_a_flat_config_is_not_its_class_s_defaults() -> None:
    a = parse(STEP)
    assert (a.status, a.facts.vocab_size, a.layers, a.facts.sliding_window) == ("counted", 5000, 8, 512)
    assert a.facts.moe is not None and (a.facts.moe.experts, a.facts.moe.layers) == (12, 6)
    kinds = [(figure.window, figure.layers) for figure in memory.textbook(a, 4096, 1, 2)]
    assert sorted(kinds, key=str) == [(512, 6), (None, 2)]


def test_what_both_levels_state_is_the_text_config_s() -> None:
    nested = {"model_type": "llava", "vocab_size": 9, "text_config": {"model_type": "llama", "vocab_size": 32064}}
    a = parse(nested)
    assert (a.status, a.facts.vocab_size) == ("counted", 32064)


def test_a_key_that_stands_alone_outside_is_told() -> None:
    a = parse({"model_type": "llava", "num_hidden_layers": 3, "text_config": {"model_type": "llama", "vocab_size": 32064}})
    assert (a.status, a.layers) == ("counted", 3)
    assert any("num_hidden_layers" in note and "text_config" in note for note in a.notes)


@pytest.mark.parametrize(
    ("source", "override", "right"),
    [
        ("qwen3.5-27b", "num_hidden_layers=16", "--set text_config.num_hidden_layers=16"),
        ("qwen3.5-27b", "rope_parameters.rope_theta=1", "--set text_config.rope_parameters.rope_theta=1"),
        ("llama-3.1-8b", "text_config.num_hidden_layers=16", "--set num_hidden_layers=16"),
    ],
)
def test_an_override_at_the_wrong_level_is_refused_with_the_right_one(source: str, override: str, right: str, run: Run) -> None:
    done = run("inspect", source, "--set", override)
    assert done.returncode == 2 and done.stdout == ""
    assert right in done.stderr


def test_an_override_of_a_flat_composite_is_read_at_either_level(tmp_path: Path, run: Run) -> None:
    flat = next(row["config"] for row in ROWS if row["config"].get("model_type") == "glm4v" and "text_config" not in row["config"])
    path = tmp_path / "config.json"
    path.write_text(json.dumps(flat))
    outputs = [run("inspect", str(path), "--set", f"{level}num_hidden_layers=3").stdout for level in ("", "text_config.")]
    assert "3 layers" in outputs[0] and outputs[1].startswith(outputs[0].partition("\nNotes")[0])


# Objects with names of the user's as keys, or of what does not bear on figures.
FREE = {
    "auto_map", "id2label", "label2id", "task_specific_params", "pruned_heads", "vocabulary_map", "projector_patch_to_query_dict",
    "compress_rates", "config_groups", "quantized_layers", "producer", "kv_cache_scheme", "base_model_ep_plan", "sparsity_config",
    "transform_config", "observer_kwargs", "transformers.js_config", "image_processor_config", "audio_encoder_config",
    "depth_decoder_config", "thinker_config", "streaming_config",
}  # fmt: skip


def objects(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of the objects inside a config, of lists those of the first item."""
    if isinstance(node, dict):
        if path and "__float__" not in node:
            yield path
        for key, value in node.items():
            if key not in FREE:
                yield from objects(value, (*path, key))
    elif isinstance(node, list) and node:
        yield from objects(node[0], (*path, 0))


def shapes() -> Iterator[tuple[dict[str, Any], tuple[str | int, ...]]]:
    """One config for each place of an object in each type."""
    seen = set()
    for row in ROWS:
        for path in objects(row["config"]):
            key = (row["config"]["model_type"], tuple("N" if str(step).isdecimal() else step for step in path))
            if key not in seen:
                seen.add(key)
                yield row["config"], path


def test_an_unknown_key_of_a_nested_object_is_named() -> None:
    silent = []
    for config, path in shapes():
        changed = copy.deepcopy(config)
        node: Any = changed
        for step in path:
            node = node[step]
        node["zzz_unknown_size"] = 77
        try:
            a = parse(changed)
        except ArchcalcError as error:
            if "zzz_unknown_size" not in str(error):
                silent.append((config.get("model_type"), path))
            continue
        if a.status != "partial" or not any(key.endswith("zzz_unknown_size") for key in a.unmodelled_keys):
            silent.append((config.get("model_type"), path))
    assert not silent


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0, "zzz": 1}, "rope_scaling.zzz"),
        ("rope_parameters", {"full_attention": {"rope_theta": 1.0, "zzz": 1}}, "rope_parameters.full_attention.zzz"),
        ("quantization_config", {"quant_method": "fp8", "zzz": 1}, "quantization_config.zzz"),
        (
            "quantization_config",
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 8, "zzz": 1}}},
            },
            "quantization_config.config_groups.g.weights.zzz",
        ),
    ],
)
def test_scalings_and_quantization_are_read_to_the_last_key(key: str, value: dict[str, Any], named: str) -> None:
    llama = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
        "vocab_size": 1000,
    }  # fmt: skip
    assert parse({**llama, key: value}).unmodelled_keys == (named,)


@pytest.mark.parametrize(
    ("source", "stated", "other"),
    [
        # `attribute_map` of GPT2Config and MixtralConfig (transformers 5.24); `dtype` goes before `torch_dtype` in PreTrainedConfig.
        ("gpt2", "n_layer=3", "num_hidden_layers=3"),
        ("gpt2", "n_embd=384", "hidden_size=384"),
        ("mixtral-8x7b", "num_local_experts=4", "num_experts=4"),
        ("llama-3.1-8b", "torch_dtype=float32", "dtype=float32"),
    ],
)
def test_set_replaces_what_the_config_states_under_another_name(run: Run, source: str, stated: str, other: str) -> None:
    plain, *changed = (
        run("inspect", source, *(("--set", override) if override else ()), "--format", "csv").stdout
        for override in ("", stated, other)
    )
    assert changed[0] == changed[1] != plain


def test_dtype_goes_before_torch_dtype() -> None:
    """PreTrainedConfig.__init__ of transformers 5.24: `self.dtype if self.dtype is not None else torch_dtype`."""
    config = {**zoo.config("llama-3.1-8b"), "dtype": "float32", "torch_dtype": "bfloat16"}
    assert parse(config).dtype == "F32"
    assert parse({**config, "dtype": None}).dtype == "BF16"
