"""`--reference`: what transformers builds, against the adapters that were written by hand from the same code.

tests/data/reference.jsonl holds what `reference/_build.py` printed for small configs with torch 2.13 and transformers 5.24. The last test
runs it again where both are installed; the machines that test this have neither.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archcalc import loader, reference
from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.errors import UnsupportedError
from archcalc.figures import memory
from archcalc.model import Architecture
from conftest import Run

ROWS = [json.loads(x) for x in (Path(__file__).parent / "data" / "reference.jsonl").read_text(encoding="utf-8").splitlines()]
IDS = [row["config"]["model_type"] for row in ROWS]
NEW = {"model_type": "new_model", "hidden_size": 64, "num_hidden_layers": 2}


def figures(a: Architecture) -> tuple[int, int, list[tuple[int, int]]]:
    parts = [c for c in components(a) if c.part != "mtp"]
    kept = [sum(k.bytes for k in memory.textbook(a, tokens, 3, 2)) for tokens in (20, 1000)]
    return sum(c.total for c in parts), sum(c.active for c in parts), list(zip((20, 1000), kept, strict=True))


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_what_is_built_has_the_figures_of_the_adapter(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "installed", lambda: True)
    monkeypatch.setattr(reference, "_built", lambda config: row["said"])
    a = reference.architecture(row["config"])
    assert a.status == "reference"
    assert figures(a) == figures(parse(row["config"]))
    assert a.layers == parse(row["config"]).layers


def test_a_cache_that_is_not_understood_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = {**ROWS[0]["said"], "caches": None, "why": "layer 0 keeps a NewLayer, which is not understood"}
    monkeypatch.setattr(reference, "installed", lambda: True)
    monkeypatch.setattr(reference, "_built", lambda config: said)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**ROWS[0]["config"], "model_type": "new_model"}), encoding="utf-8")
    loaded = loader.load(str(path), offline=True, reference=True)
    assert not any(layer.caches for s in loaded.architecture.stacks for layer in s.kinds)
    assert any("layer 0 keeps a NewLayer" in note for note in loaded.architecture.notes)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; sys.exit('ValueError: hidden_size must divide')", "hidden_size must divide"),
        ("import time; time.sleep(60)", "within 1 seconds"),
        ("raise SystemExit(3)", "status 3"),
    ],
)
def test_a_build_that_fails_is_one_message(script: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reference, "SECONDS", 1 if "sleep" in script else 60)
    builder = tmp_path / "build.py"
    builder.write_text(script, encoding="utf-8")
    with pytest.raises(UnsupportedError, match=says):
        reference._run(builder, "{}")


def test_an_answer_is_kept_by_config_and_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    monkeypatch.setenv("ARCHCALC_CACHE", str(tmp_path))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "5.24.0")
    monkeypatch.setattr(reference, "_run", lambda builder, text: asked.append(text) or {"unknown": True, "version": "5.24.0"})
    for config in (NEW, NEW, {**NEW, "hidden_size": 65}):
        assert reference._built(config)["unknown"]
    assert len(asked) == 2


@pytest.mark.skipif(reference.installed(), reason="tells of machines where torch and transformers are not installed")
def test_it_is_offered_and_says_what_it_needs(tmp_path: Path, cli: Run) -> None:
    (tmp_path / "config.json").write_text(json.dumps(NEW), encoding="utf-8")
    path = "config.json"
    refused = cli("inspect", path, "--offline")
    assert refused.returncode == 2
    assert "--reference" in refused.stderr
    asked = cli("inspect", path, "--offline", "--reference")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "pip install 'archcalc[reference]'" in asked.stderr


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs the extra `reference`: torch and transformers")
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_the_builder_says_what_is_stored(row: dict[str, Any]) -> None:
    builder = Path(reference.__file__).with_name("_build.py")
    done = subprocess.run(
        [sys.executable, "-I", str(builder)], input=json.dumps(row["config"]).encode(), capture_output=True, check=True
    )
    assert {**json.loads(done.stdout), "version": ""} == {**row["said"], "version": ""}
