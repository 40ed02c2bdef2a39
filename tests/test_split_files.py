"""A part of a split checkpoint stands for all of them, and what is no model's file is refused with what to do next."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import archcalc
from archcalc import zoo
from archcalc.errors import ArchcalcError, ConfigError, UsageError
from archcalc.formats import headers
from archcalc.units import parse_bytes, parse_count
from checkpoints import gguf_bytes, write_safetensors
from conftest import Run

WIDE, ROWS = 256, 1000
STATED = {
    "block_count": 2, "context_length": 4096, "embedding_length": WIDE, "feed_forward_length": 512, "attention.head_count": 8,
    "attention.head_count_kv": 2, "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 10000.0, "vocab_size": ROWS,
}  # fmt: skip
OUTSIDE = [("token_embd.weight", (ROWS, WIDE), "F16"), ("output_norm.weight", (WIDE,), "F32")]
LAYER = {
    "attn_norm": (WIDE,), "ffn_norm": (WIDE,), "attn_q": (WIDE, WIDE), "attn_k": (64, WIDE), "attn_v": (64, WIDE),
    "attn_output": (WIDE, WIDE), "ffn_gate": (512, WIDE), "ffn_up": (512, WIDE), "ffn_down": (WIDE, 512),
}  # fmt: skip
TOTAL = ROWS * WIDE + WIDE + 2 * (2 * WIDE + 2 * WIDE * WIDE + 2 * 64 * WIDE + 3 * 512 * WIDE)


def _layer(number: int, prefix: str = "blk") -> list[tuple[str, tuple[int, ...], str]]:
    return [(f"{prefix}.{number}.{name}.weight", shape, "F32" if len(shape) == 1 else "F16") for name, shape in LAYER.items()]


def _gguf(folder: Path, name: str = "llama", stem: str = "m", **more: Any) -> list[Path]:
    """A model in two files as gguf-split writes them: the second states nothing of the model."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{stem}-0000{part}-of-00002.gguf" for part in (1, 2)]
    whole = {"general.architecture": name, **{f"{name}.{key}": value for key, value in STATED.items()}}
    split = {"split.count": 2, "split.tensors.count": 2 + 2 * len(LAYER)} | more
    paths[0].write_bytes(gguf_bytes({**whole, **split, "split.no": 0}, OUTSIDE + _layer(0)))
    paths[1].write_bytes(gguf_bytes({**split, "split.no": 1}, _layer(1)))
    return paths


def _safetensors(folder: Path) -> list[Path]:
    paths = [folder / f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    write_safetensors(paths[0], OUTSIDE + _layer(0, "model.layers"))
    write_safetensors(paths[1], _layer(1, "model.layers"))
    return paths


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("kind", ["llama", "fooarch", "safetensors"])
def test_any_part_stands_for_all(cli: Run, tmp_path: Path, kind: str, part: int) -> None:
    paths = _safetensors(tmp_path) if kind == "safetensors" else _gguf(tmp_path, kind)
    made = json.loads(cli("inspect", str(paths[part]), "--format", "json").stdout)
    assert made["params"]["total"] == made["checkpoint"]["stored_elements"] == TOTAL
    assert made["architecture"]["layers"] == 2


@pytest.mark.parametrize("whole", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_a_part_that_is_not_there_is_named(cli: Run, tmp_path: Path, kind: str, gone: int, whole: bool) -> None:
    paths = _safetensors(tmp_path) if kind == "safetensors" else _gguf(tmp_path)
    paths[gone].unlink()
    done = cli("inspect", str(tmp_path if whole else paths[1 - gone]), "--offline")
    assert done.returncode != 0
    assert f"of its 2 parts {paths[gone].name} is not there" in done.stderr
    assert "fetch it into" in done.stderr


@pytest.mark.parametrize(
    ("more", "name", "said"),
    [
        ({}, "any.gguf", r"any\.gguf is part 1 of 2 \(split\.count\), and its name does not say"),
        ({"split.tensors.count": 30}, "m-00001-of-00002.gguf", r"hold 20 tensors, and split\.tensors\.count says 30"),
    ],
)
def test_parts_that_are_not_one_model_are_refused(tmp_path: Path, more: dict[str, int], name: str, said: str) -> None:
    first = _gguf(tmp_path, **more)[0].rename(tmp_path / name)
    with pytest.raises(ArchcalcError, match=said):
        headers.read(str(first))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4976698672\n"


@pytest.mark.parametrize(
    ("name", "held", "said"),
    [
        ("a.safetensors", POINTER.encode(), "is a pointer of Git LFS.*git lfs pull"),
        ("a.gguf", POINTER.encode(), "is a pointer of Git LFS.*git lfs pull"),
        (
            "lora.gguf",
            gguf_bytes({"general.architecture": "llama", "general.type": "adapter"}, [("blk.0.attn_q.weight.lora_a", (8, 256), "F16")]),
            "is an adapter, not a model.*base model",
        ),
        ("model.safetensors.index.json", b'{"weight_map": {"a.weight": "x.safetensors"}}', "x.safetensors, which .* is not there.*fetch"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_named(cli: Run, tmp_path: Path, name: str, held: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(held)
    given = tmp_path if name.endswith("json") else tmp_path / name
    done = cli("inspect", str(given), "--offline")
    assert done.returncode != 0
    assert re.search(said, done.stderr.replace("\n", " "))


@pytest.mark.parametrize("left_out", [(), ("attention.head_count_kv",), ("embedding_length",), ("attention.head_count",)])
@pytest.mark.parametrize("form", ["table", "markdown"])
def test_nothing_unknown_is_printed_as_none(cli: Run, tmp_path: Path, left_out: tuple[str, ...], form: str) -> None:
    stated = {f"fooarch.{key}": value for key, value in STATED.items() if key not in left_out}
    held = OUTSIDE[not left_out :] + _layer(0)
    (tmp_path / "a.gguf").write_bytes(gguf_bytes({"general.architecture": "fooarch", **stated}, held))
    for command in (("inspect", "--explain"), ("card",), ("compare",), ("report",)):
        done = cli(*command, str(tmp_path / "a.gguf"), *(("--format", form) if command[0] == "inspect" else ()))
        assert done.returncode == 0, done.stderr
        assert "None" not in done.stdout
        # What holds it is the engine's question, which headers do not answer.
        assert "more than 16" not in done.stdout


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("90", "9.0"),
        ("89", "8.9"),
        ("100", "10.0"),
        ("sm_90a", "9.0"),
        ("120", "12.0"),
        ("0.1", "9.0"),
        ("9.00", "9.0"),
        ("10", "9.0"),
    ],
)
def test_a_capability_without_its_point_is_refused(cli: Run, given: str, meant: str) -> None:
    done = cli("kv", "deepseek-v3", "--engine", "vllm", "--capability", given)
    assert done.returncode == 2
    assert f"--capability {given} is not" in done.stderr
    assert f"write it like {meant}" in done.stderr


@pytest.mark.parametrize("given", ["9", "9.0"])
def test_a_capability_is_read(given: str) -> None:
    assert archcalc.kv("deepseek-v3", engine="vllm", capability=float(given), offline=True).details["block_tokens"] == 64


@pytest.mark.parametrize(
    ("given", "meant"),
    [("42949672960", "40GiB"), ("42_949_672_960", "40GiB"), ("1073741825", "1073741825B"), ("24", "24GiB"), ("3145728", "3MiB")],
)
def test_bytes_without_a_unit_are_given_one(given: str, meant: str) -> None:
    with pytest.raises(UsageError, match="lacks a unit") as raised:
        parse_bytes(given)
    assert raised.value.hint is not None
    assert raised.value.hint.startswith(f"write {meant}")
    assert parse_bytes(meant) > 0


@pytest.mark.parametrize("given", ["7", "0.6", "999"])
def test_a_count_of_few_is_one_of_billions(cli: Run, given: str) -> None:
    done = cli("fit", "--gpu", "h100", "--min-params", given)
    assert done.returncode == 2
    assert f"write {given}B, if billions are meant" in done.stderr
    assert parse_count("0") == 0
    assert parse_count("1000") == 1000


class _Int64:
    """As NumPy's: a number that is no int."""

    def item(self) -> int:
        return 64


LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 192, "vocab_size": 1000,
}  # fmt: skip
CYCLE: dict[str, Any] = {**LLAMA}
CYCLE["rope_scaling"] = CYCLE


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({**LLAMA, "hidden_size": _Int64()}, ConfigError, r"hidden_size is of type .*_Int64, .*hidden_size\.item\(\)"),
        ({**LLAMA, "rope_scaling": {"factor": {1}}}, ConfigError, r"rope_scaling\.factor is of type set"),
        (CYCLE, ConfigError, "or holds itself"),
        (None, UsageError, "type NoneType"),
    ],
    ids=["numpy", "set", "cycle", "none"],
)
def test_a_config_that_is_not_json_is_one_error(config: Any, error: type[ArchcalcError], said: str) -> None:
    with pytest.raises(error) as raised:
        archcalc.inspect(config, offline=True)
    assert re.search(said, f"{raised.value.message}; {raised.value.hint}")


def test_a_nested_config_that_is_set_is_merged() -> None:
    """transformers 5.24, configuration_utils.py `PreTrainedConfig.from_dict`: a nested config is updated, not replaced."""
    whole = archcalc.inspect("gemma-3-27b", set={"text_config": {"num_hidden_layers": 16}}, offline=True)
    dotted = archcalc.inspect("gemma-3-27b", set={"text_config.num_hidden_layers": 16}, offline=True)
    assert whole.params.total == dotted.params.total
    replaced = archcalc.load(zoo.config("deepseek-v3"), overrides={"quantization_config": {"quant_method": "fp8"}})
    assert replaced.architecture.quantization != archcalc.load("deepseek-v3", offline=True).architecture.quantization
