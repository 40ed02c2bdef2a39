"""`archcalc new-adapter`: the file that it writes reads its own golden row; what it cannot name, it lists and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archcalc.errors import UnsupportedError, UsageError
from archcalc.reference import scaffold

GOLDEN = Path(__file__).parent / "golden"
CONFIG = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 512, "tie_word_embeddings": False,
}  # fmt: skip


def of(name: str) -> dict[str, Any]:
    """What the reference's class says, of a row that was built from it."""
    rows = [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    row = min(rows, key=lambda row: row["config"].get("num_hidden_layers", 99))
    tensors = []
    for pattern, shape, kind, *layers in row["tensors"]:
        for run in layers[0].split(",") if layers else [""]:
            first, _, last = run.partition("-")
            numbers = range(int(first), int(last or first) + 1) if run else [None]
            tensors += [[pattern if n is None else pattern.replace("{}", str(n)), shape, kind] for n in numbers]
    config = {k: v for k, v in row["config"].items() if k not in ("model_type", "architectures")}
    known = {key: config[key] for key in config if key in CONFIG or key in ("attention_bias", "mlp_bias")}
    return {
        "version": "5.24.0", "class": row["class"], "model_type": name, "source": f"models/{name}/modeling_{name}.py", "config": known,
        "parts": [], "tensors": tensors, "shaping": sorted(set(known) - {"hidden_act", "max_position_embeddings"}), "refused": [],
    }  # fmt: skip


def checkout(root: Path) -> Path:
    (root / "src" / "archcalc" / "arch").mkdir(parents=True)
    (root / "tests" / "golden").mkdir(parents=True)
    return root


@pytest.mark.parametrize("name", ["llama", "qwen3", "olmo2", "arcee"])
def test_a_plain_decoder_is_written_whole(name: str, tmp_path: Path) -> None:
    said = of(name)
    made = scaffold.scaffold("zzz-new", said)
    adapter, golden = scaffold.written(made, checkout(tmp_path))
    assert (adapter.name, golden.name, made.left) == ("zzz_new.py", "zzz_new.jsonl", ())
    assert scaffold.missing(made, adapter) == []
    row = json.loads(golden.read_text(encoding="utf-8"))
    reference = json.loads((GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert row.keys() == reference.keys()
    assert (row["id"], row["config"]["model_type"]) == ("default/zzz-new", "zzz-new")
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", str(adapter)], capture_output=True, check=False
    )
    assert linted.returncode == 0, linted.stdout


def test_a_wrong_file_is_told_from_its_row(tmp_path: Path) -> None:
    said = of("llama")
    made = scaffold.scaffold("zzz", said)
    adapter, _ = scaffold.written(made, checkout(tmp_path))
    adapter.write_text(made.text.replace("Schema):", 'Schema):\n    ffn_name = "ffn"\n'), encoding="utf-8")
    odd = scaffold.missing(made, adapter)
    assert any(line.startswith("only in the reference: model.layers.{}.mlp.gate_proj.weight") for line in odd)
    assert any(line.startswith("only in the adapter: model.layers.{}.ffn.gate_proj.weight") for line in odd)


@pytest.mark.parametrize("name", ["mixtral", "gpt2", "deepseek_v2"])
def test_what_is_no_plain_decoder_is_listed_and_refused(name: str, tmp_path: Path) -> None:
    said = of(name)
    made = scaffold.scaffold("zzz", said)
    assert len(made.left) == len(made.row["tensors"])
    adapter, _ = scaffold.written(made, checkout(tmp_path))
    assert made.row["tensors"][0][0] in adapter.read_text(encoding="utf-8")
    with pytest.raises(UnsupportedError, match="zzz: the blocks of its adapter are not named yet"):
        scaffold.missing(made, adapter)


def test_it_writes_over_nothing_and_into_a_checkout_alone(tmp_path: Path) -> None:
    made = scaffold.scaffold("zzz", of("llama"))
    with pytest.raises(UsageError, match="no checkout of archcalc"):
        scaffold.written(made, tmp_path)
    root = checkout(tmp_path)
    scaffold.written(made, root)
    with pytest.raises(UsageError, match="is there already"):
        scaffold.written(made, root)
    scaffold.written(made, root, force=True)
    with pytest.raises(UsageError, match="no model_type"):
        scaffold.scaffold("a/b", of("llama"))


def test_a_class_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from archcalc import reference

    monkeypatch.setattr(reference, "installed", lambda: True)
    monkeypatch.setattr(reference, "_run", lambda builder, text: {"unknown": True, "version": "5.24.0"})
    with pytest.raises(UnsupportedError, match="has no model class 'Zzz'"):
        scaffold.asked("Zzz")
