"""The program and the class that a printed command loads a model with, by the engines' own tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import zoo
from archcalc.engines.served import served
from conftest import Run


def _command(cli: Run, tmp_path: Path, config: dict[str, Any], engine: str, gpu: str = "b300") -> tuple[str, list[str]]:
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = cli("fit", str(tmp_path), "--gpu", gpu, "--engine", engine, "--offline", "--format", "json", "--ctx", "448")
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    return found["command"], found["notes"]


_WHISPER = {
    "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "d_model": 384, "encoder_layers": 4,
    "decoder_layers": 4, "encoder_attention_heads": 6, "decoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536,
    "vocab_size": 51865, "max_source_positions": 1500, "max_target_positions": 448, "num_mel_bins": 80, "torch_dtype": "float32",
}  # fmt: skip
_T5 = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6,
    "num_heads": 8, "vocab_size": 32128, "n_positions": 512, "torch_dtype": "float32",
}  # fmt: skip


# transformers 5.24, models/auto/modeling_auto.py: the mapping of each Auto class; of code beside a checkpoint its own auto_map.
@pytest.mark.parametrize(
    ("config", "auto"),
    [
        ("qwen3-8b", "AutoModelForCausalLM"), ("llava-1.5-7b", "AutoModelForImageTextToText"),
        ("gemma-3-27b", "AutoModelForImageTextToText"),
        ("qwen2.5-omni-7b", "AutoModelForMultimodalLM"), ("qwen2-audio-7b", "AutoModelForMultimodalLM"),
        ("molmo-7b-d", "AutoModelForCausalLM"), ("deepseek-ocr", "AutoModel"), (_WHISPER, "AutoModelForSpeechSeq2Seq"),
        (_T5, "AutoModelForSeq2SeqLM"),
    ],
)  # fmt: skip
def test_transformers_loads_with_a_class_that_has_the_type(
    cli: Run, tmp_path: Path, config: str | dict[str, Any], auto: str
) -> None:
    given = config if isinstance(config, dict) else zoo.config(config) or {}
    command, _ = _command(cli, tmp_path, given, "transformers")
    assert command.startswith(f"{auto}.from_pretrained(")
    if "auto_map" in given:
        assert auto in given["auto_map"]


def test_every_auto_class_has_its_types() -> None:
    """5.24 has no whisper among models of several inputs, and reads what reads images there too."""
    lists = served("transformers").sets
    assert "whisper" in lists["AutoModelForSpeechSeq2Seq"] and "whisper" not in lists["AutoModelForMultimodalLM"]
    assert "qwen2_5_omni" not in lists["AutoModelForImageTextToText"]
    assert set(lists["AutoModelForImageTextToText"]) < set(lists["AutoModelForMultimodalLM"])


def _classifier(name: str, **changes: Any) -> dict[str, Any]:
    return {**(zoo.config("qwen3-8b") or {}), "architectures": [name], "id2label": {"0": "a"}, "label2id": {"a": 0}, **changes}


_RERANKER = {
    "architectures": ["XLMRobertaForSequenceClassification"], "model_type": "xlm-roberta", "hidden_size": 1024,
    "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "vocab_size": 250002, "max_position_embeddings": 8194,
    "type_vocab_size": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "torch_dtype": "float32",
}  # fmt: skip


# llama.cpp 0c1e57098, tools/server/server-context.cpp: "This server does not support reranking. Start it with `--reranking`".
@pytest.mark.parametrize(
    ("config", "flag"),
    [
        (_RERANKER, "--reranking"),
        ({**_RERANKER, "architectures": ["XLMRobertaModel"]}, "--embeddings"),
        (_classifier("Qwen3ForCausalLM"), ""),
    ],
)
def test_a_reranker_s_server_is_told_so(cli: Run, tmp_path: Path, config: dict[str, Any], flag: str) -> None:
    command, _ = _command(cli, tmp_path, config, "llama.cpp")
    assert ("--reranking" in command, "--embeddings" in command) == (flag == "--reranking", flag == "--embeddings")


# mlx-lm 0.32.2, utils.py `load_model(strict=True)`: no module has `score`.
@pytest.mark.parametrize(
    ("name", "served"),
    [("Qwen3ForSequenceClassification", False), ("Qwen3ForTokenClassification", False), ("Qwen3ForCausalLM", True)],
)
def test_mlx_has_no_heads_of_labels(cli: Run, tmp_path: Path, name: str, served: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps(_classifier(name)))
    done = cli("fit", str(tmp_path), "--gpu", "m4-max", "--engine", "mlx", "--offline", "--ctx", "4k")
    assert (done.returncode == 0) == served
    assert served or "classifies" in done.stderr
