"""Models side by side: the knobs as published tables have them, the formats, and the diff from a baseline."""

from __future__ import annotations

import csv
import io
import json

import pytest

from conftest import Run

# As the authors of the models describe them (papers and model cards of each).
KNOBS = {
    "gpt2": ("LayerNorm (pre)", "GELU (tanh)", "learned", "MHA", "no"),
    "llama-3-8b": ("RMSNorm (pre)", "SwiGLU", "RoPE", "GQA", "no"),
    "mixtral-8x7b": ("RMSNorm (pre)", "SwiGLU", "RoPE", "GQA", "8 experts, top-2"),
    "gemma-2-9b": ("RMSNorm (pre + post)", "GeGLU", "RoPE", "GQA", "no"),
    "deepseek-v3": ("RMSNorm (pre)", "SwiGLU", "RoPE", "MLA", "256 experts, top-8 + 1 shared"),
    "qwen3-235b-a22b": ("RMSNorm (pre)", "SwiGLU", "RoPE", "GQA", "128 experts, top-8"),
    "olmo-2-7b": ("RMSNorm (post", "SwiGLU", "RoPE", "MHA", "no"),
}


def rows(text: str) -> dict[str, list[str]]:
    return {row["key"]: row["values"] for row in json.loads(text)["rows"]}


def test_the_knobs_as_published(run: Run) -> None:
    got = rows(run("compare", *KNOBS, "--format", "json").stdout)
    for i, (name, (norm, activation, position, attention, moe)) in enumerate(KNOBS.items()):
        assert got["norm"][i].startswith(norm), name
        assert got["activation"][i] == activation, name
        assert got["position"][i].startswith(position), name
        assert attention in got["attention"][i], name
        assert got["moe"][i] == moe, name


def test_cache_at_a_context_that_all_have(run: Run) -> None:
    made = json.loads(run("compare", "gpt2", "llama-3.1-8b", "--format", "json").stdout)
    assert made["context_tokens"] == 1024
    # 32 layers x 8 heads x 128 x keys and values x 2 bytes = 128 KiB a token (Llama 3 report, table 3).
    assert rows(json.dumps(made))["kv_bytes_per_token"][1] == "128.0 KiB"
    assert rows(run("compare", "llama-3.1-8b", "--ctx", "128k", "--format", "json").stdout)["kv_bytes"] == ["16.0 GiB"]


def test_a_baseline_names_what_changed(run: Run) -> None:
    made = json.loads(run("compare", "gpt2", "llama-3-8b", "qwen3-next-80b-a3b", "--baseline", "gpt2", "--format", "json").stdout)
    changes = {c["source"]: {x["knob"]: (x["before"], x["after"]) for x in c["changes"]} for c in made["changes"]}
    assert changes["gpt2"] == {}
    assert changes["llama-3-8b"]["normalization"] == ("LayerNorm", "RMSNorm")
    assert changes["llama-3-8b"]["head sharing"] == ("MHA", "GQA")
    assert "FFN" not in changes["llama-3-8b"]
    assert changes["qwen3-next-80b-a3b"]["FFN"] == ("dense", "sparse")
    assert changes["qwen3-next-80b-a3b"]["beyond"] == ("none", "linear attention, MTP")


def test_equal_rows_can_be_left_out(run: Run) -> None:
    whole = run("compare", "llama-3-8b", "llama-3-70b").stdout
    folded = run("compare", "llama-3-8b", "llama-3-70b", "--fold").stdout
    assert "SwiGLU" in whole
    assert "SwiGLU" not in folded
    assert "equal rows left out" in folded


@pytest.mark.parametrize("form", ["markdown", "csv", "html", "table"])
def test_every_format_has_every_model(form: str, run: Run) -> None:
    out = run("compare", "llama-3-8b", "deepseek-v3", "--format", form).stdout
    assert "deepseek-v3" in out
    assert "671.0 B" in out
    if form == "csv":
        assert [r["source"] for r in csv.DictReader(io.StringIO(out))] == ["llama-3-8b", "deepseek-v3"]
    if form == "html":
        assert out.count("<table>") == out.count("</table>") == 1
        assert "http" not in out


def test_narrow_terminals_wrap_models_not_words(run: Run) -> None:
    out = run("compare", "llama-3-8b", "deepseek-v3", "gpt2", "mixtral-8x7b", "qwen3-8b", env={"COLUMNS": "200"}).stdout
    assert max(map(len, out.splitlines())) <= 200


def test_one_that_fails_is_named(run: Run) -> None:
    done = run("compare", "gpt2", "no-such-model")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-such-model" in done.stderr
