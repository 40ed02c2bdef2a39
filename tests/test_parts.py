"""Towers that are types of their own, counted alone: as the reference's class of the type has them, or said to be otherwise.

tests/data/towers_alone.tsv: parameters of the default config of each type in transformers 5.24.0, built on the meta device by the class
that AutoModel gives it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse
from conftest import Run

ROWS = list(csv.DictReader((Path(__file__).parent / "data" / "towers_alone.tsv").open(encoding="utf-8"), delimiter="\t"))
# sudo-ai/zero123plus-v1.1, vision_encoder/config.json.
CLIP = {
    "model_type": "clip_vision_model", "hidden_size": 1280, "image_size": 224, "intermediate_size": 5120, "num_attention_heads": 16,
    "num_hidden_layers": 32, "patch_size": 14, "projection_dim": 1024,
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row["model_type"] for row in ROWS])
def test_a_tower_alone_is_what_its_class_holds(row: dict[str, str]) -> None:
    a = parse({"model_type": row["model_type"], "architectures": [row["class"]]})
    counted = sum(c.total for c in components(a))
    assert counted == int(row["total"]) or a.status == "partial"
    assert not any(layer.caches for stack in a.stacks for layer in stack.kinds)


@pytest.mark.parametrize(
    ("named", "total", "status"),
    [
        ("CLIPVisionModel", 630_766_080, "counted"),
        ("CLIPVisionModelWithProjection", 632_076_800, "counted"),
        ("CLIPForImageClassification", 630_766_080, "partial"),
    ],
)
def test_the_class_says_what_stands_behind_a_tower(named: str, total: int, status: str) -> None:
    a = parse({**CLIP, "architectures": [named]})
    assert (sum(c.total for c in components(a)), a.status) == (total, status)
    assert status == "counted" or any(named in note for note in a.notes)


def test_no_message_names_a_module(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CLIP), encoding="utf-8")
    for command in (["inspect"], ["kv"], ["fit", "--gpu", "h100"]):
        done = run(command[0], str(tmp_path), *command[1:])
        assert "archcalc.arch" not in done.stdout + done.stderr
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "idefics_perciever"}), encoding="utf-8")
    done = run("inspect", str(tmp_path))
    assert done.returncode == 2
    assert "idefics_perciever is the type of a part of a model" in done.stderr
