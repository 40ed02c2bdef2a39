"""What stands beside a config.json or in its place: read, or refused with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archcalc import zoo
from conftest import Run

QWEN = zoo.config("qwen3-0.6b")
EMBEDDING, MATRICES = 151936 * 1024, 28 * 1024 * (2048 + 2 * 1024 + 2048 + 3 * 3072)


def _folder(where: Path, files: dict[str, object]) -> None:
    for name, held in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(held if isinstance(held, str) else json.dumps(held), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "stated", "method"),
    [
        (
            "quantize_config.json",
            {"bits": 4, "group_size": 128, "desc_act": False, "sym": True, "model_name_or_path": None},
            "gptq",
        ),
        ("quant_config.json", {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}, "awq"),
    ],
)
def test_quantization_beside_the_config_is_read(
    cli: Run, tmp_path: Path, name: str, stated: dict[str, object], method: str
) -> None:
    """AutoGPTQ's and AutoAWQ's own files; vLLM and SGLang look for them once `--quantization` says so."""
    _folder(tmp_path, {"config.json": QWEN, name: stated})
    made = json.loads(cli("inspect", str(tmp_path), "--offline", "--format", "json", "--no-loaded").stdout)
    assert made["status"] == "counted"
    assert made["checkpoint"]["by_dtype"]["I32"] == MATRICES
    assert any(f"quantization: from {name} beside it" in note for note in made["notes"])
    plan = json.loads(cli("fit", str(tmp_path), "--gpu", "rtx-4090", "--offline", "--format", "json").stdout)
    assert plan["plan"]["quant"] == method
    assert f"--quantization {method}" in plan["command"]
    # What the config states itself counts.
    _folder(tmp_path, {"config.json": {**QWEN, "quantization_config": {"quant_method": "fp8"}}})
    made = json.loads(cli("inspect", str(tmp_path), "--offline", "--format", "json", "--no-loaded").stdout)
    assert "I32" not in made["checkpoint"]["by_dtype"]


ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-8B", "r": 16}


@pytest.mark.parametrize(
    ("files", "source", "says", "then"),
    [
        ({"a.json": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"}, "a.json", "pointer of Git LFS", "git lfs pull"),
        ({"a.json": "<!DOCTYPE html><html></html>"}, "a.json", "a web page, not JSON", "/resolve/"),
        ({"a/adapter_config.json": ADAPTER}, "a", "an adapter, not a model", "Qwen/Qwen3-8B"),
        ({"a/adapter_config.json": ADAPTER}, "a/adapter_config.json", "an adapter, not a model", "Qwen/Qwen3-8B"),
        ({"a/adapter_config.json": {**ADAPTER, "base_model_name_or_path": "\x1b[31m"}}, "a", "an adapter", "adapter_config.json names"),
        ({"models--o--n/snapshots/0ab/config.json": QWEN}, "models--o--n", "without a config.json", "models--o--n/snapshots/0ab"),
    ],
)  # fmt: skip
def test_what_is_no_config_says_what_to_give(
    cli: Run, tmp_path: Path, files: dict[str, object], source: str, says: str, then: str
) -> None:
    _folder(tmp_path, files)
    made = cli("inspect", f"./{source}", "--offline")
    message, _, hint = made.stderr.partition("\n")
    assert (made.returncode, made.stdout) == (2, "")
    assert says in message
    assert then in hint


def test_a_pipeline_names_the_part_that_is_not_there(cli: Run, tmp_path: Path) -> None:
    index = {
        "_class_name": "FluxPipeline", "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "transformer": ["diffusers", "FluxTransformer2DModel"], "image_encoder": [None, None],
    }  # fmt: skip
    clip = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 768}
    _folder(tmp_path, {"model_index.json": index, "text_encoder/config.json": clip})
    made = json.loads(cli("inspect", str(tmp_path), "--offline", "--format", "json").stdout)
    assert made["status"] == "partial"
    assert any(note.endswith("lacks its config.json: transformer (FluxTransformer2DModel)") for note in made["notes"])


def test_the_main_branch_of_a_bundled_model_is_its_snapshot(cli: Run) -> None:
    made = [cli("inspect", source, "--offline", "--format", "csv").stdout for source in ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B@main")]
    assert made[0] == made[1] != ""
    assert cli("inspect", "Qwen/Qwen3-8B@v1", "--offline").returncode == 2


@pytest.mark.parametrize(("written", "json_"), [("True", "true"), ("False", "false"), ("None", "null")])
def test_values_are_set_as_python_writes_them(cli: Run, written: str, json_: str) -> None:
    key = "num_key_value_heads" if written == "None" else "tie_word_embeddings"
    made = [cli("inspect", "llama-3.1-8b", "--set", f"{key}={v}", "--offline", "--format", "csv").stdout for v in (written, json_)]
    assert made[0] == made[1] != ""
