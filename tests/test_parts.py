"""Encoders alone: counted, and refused by name where a question is about tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import parse
from conftest import Run

GOLDEN = Path(__file__).parent / "golden"


def _first(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(path.open(encoding="utf-8").readline())["config"]
    return config


T5 = {
    "model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "vocab_size": 100, "n_positions": 512,
    "architectures": ["T5EncoderModel"],
}  # fmt: skip
ALONE = {
    **{path.stem: config for path in sorted(GOLDEN.glob("*.jsonl")) if parse(config := _first(path)).is_part},
}


def test_there_are_some() -> None:
    assert {"dinov2", "wav2vec2", "hubert"} <= set(ALONE)


@pytest.mark.parametrize("name", ALONE)
def test_a_part_is_counted_and_shown_and_neither_served_nor_trained(name: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "part.json").write_text(json.dumps(ALONE[name]), encoding="utf-8")
    inspected = json.loads(cli("inspect", "part.json", "--format", "json").stdout)
    assert inspected["params"]["total"] > 0
    # The page, the card and the charts say what is known of it.
    for command in (("report", "part.json", "-o", "page.html"), ("card", "part.json"), ("plot", "params", "part.json")):
        assert (done := cli(*command)).returncode == 0, done.stderr
    for command in (
        ("fit", "part.json", "--gpu", "1xH100"),
        ("fit", "part.json", "--gpu", "1xH100", "--ctx", "1k", "--engine", "transformers"),
        ("train", "part.json", "--gpu", "1xH100", "--seq", "1k"),
    ):
        done = cli(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is an encoder alone, without a decoder" in done.stderr
        assert "archcalc inspect" in done.stderr
    kept = cli("kv", "part.json", "--ctx", "1k", "--engine", "textbook", "--format", "json")
    assert json.loads(kept.stdout)["bytes"] == 0


@pytest.mark.parametrize(
    ("config", "cached"),
    [
        (_first(GOLDEN / "bert.jsonl") | {"architectures": ["BertForSequenceClassification"]}, False),
        (
            {
                "model_type": "openai_privacy_filter", "architectures": ["OpenAIPrivacyFilterForTokenClassification"], "hidden_size": 640,
                "num_hidden_layers": 3, "num_attention_heads": 14, "vocab_size": 200064, "id2label": {str(i): str(i) for i in range(4)},
            },
            False,
        ),
        (_first(GOLDEN / "gpt2.jsonl"), True),
    ],
)  # fmt: skip
def test_what_keeps_no_cache_has_no_rate_of_decoding(config: dict[str, Any], cached: bool, cli: Run, tmp_path: Path) -> None:
    """An encoder reads its whole input at once, and its head is no table of the vocabulary."""
    (tmp_path / "model.json").write_text(json.dumps(config), encoding="utf-8")
    got = json.loads(
        cli("fit", "model.json", "--gpu", "1xH100", "--ctx", "512", "--engine", "transformers", "--format", "json").stdout
    )
    assert (got["speed"]["bound_tokens_per_s"] is not None) == cached
    assert (got["decode_tokens_per_s_ceiling"] is not None) == cached
    assert got["prefill_seconds_floor"] >= 0
    assert got["speed"]["prefill_ms_floor"] > 0


@pytest.mark.parametrize("named", [2**62, "Dinov2Model", [], [None], [3], None, {"a": "b"}])
@pytest.mark.parametrize("name", ["dinov2", "wav2vec2"])
def test_architectures_of_another_kind_name_no_class(name: str, named: object) -> None:
    parse({**ALONE[name], "architectures": named})


def test_an_encoder_of_tokens_is_served_and_not_trained_without_its_decoder(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t5.json").write_text(json.dumps(T5), encoding="utf-8")
    served = cli("fit", "t5.json", "--gpu", "1xH100", "--ctx", "512", "--engine", "transformers", "--format", "json")
    assert json.loads(served.stdout)["fits"]
    assert cli("report", "t5.json", "-o", "page.html").returncode == 0
    done = cli("train", "t5.json", "--gpu", "1xH100", "--seq", "128")
    assert (done.returncode, done.stdout) == (2, "")
    assert "without its decoder" in done.stderr
