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
    if form == "csv":
        # Numbers are exact: what transformers builds from the config (tests/golden/deepseek_v3.jsonl).
        found = [(r["source"], r["total"]) for r in csv.DictReader(io.StringIO(out))]
        assert found == [("llama-3-8b", "8030261248"), ("deepseek-v3", "671026419200")]
        return
    assert "671.0 B" in out
    if form == "html":
        assert out.count("<table>") == out.count("</table>") == 1
        assert "http" not in out


def test_narrow_terminals_wrap_models_not_words(run: Run) -> None:
    out = run("compare", "llama-3-8b", "deepseek-v3", "gpt2", "mixtral-8x7b", "qwen3-8b", env={"COLUMNS": "200"}).stdout
    assert max(map(len, out.splitlines())) <= 200


def test_one_that_fails_does_not_stop_the_others(run: Run) -> None:
    done = run("compare", "gpt2", "no-such-model", "--format", "json")
    made = json.loads(done.stdout)
    assert (done.returncode, made["sources"], [f["source"] for f in made["failed"]]) == (1, ["gpt2"], ["no-such-model"])
    assert "no-such-model" in done.stderr
    alone = run("compare", "no-such-model")
    assert (alone.returncode, alone.stdout) == (2, "")


# Tables as survey articles draw them, one row a model. Values are those of each publisher's config and paper: the articles themselves
# give Phi-3.5-MoE an RMSNorm (its config and code have LayerNorm) and Llama 3.1 405B 16 KV heads (arXiv:2407.21783, table 3: 8).
BRICKS = {
    "llama-3.1-8b": ("dense", "GQA", "RMSNorm (pre)", "SwiGLU", "RoPE (Llama 3 scaling)", "no", 131072, 128256),
    "llama-4-scout": (
        "MoE", "chunked + full GQA (3:1), window 8,192 + QK-norm", "RMSNorm (pre)", "SwiGLU",
        "RoPE (Llama 3 scaling), NoPE every 4th layer", "16 experts, top-1 + 1 shared", 10485760, 202048,
    ),
    "mistral-7b-v0.1": ("dense", "GQA, window 4,096", "RMSNorm (pre)", "SwiGLU", "RoPE", "no", 32768, 32000),
    "mixtral-8x7b": ("MoE", "GQA", "RMSNorm (pre)", "SwiGLU", "RoPE", "8 experts, top-2", 32768, 32000),
    "qwen3-32b": ("dense", "GQA + QK-norm", "RMSNorm (pre)", "SwiGLU", "RoPE", "no", 40960, 151936),
    "deepseek-v3": ("MoE", "MLA", "RMSNorm (pre)", "SwiGLU", "RoPE (YaRN)", "256 experts, top-8 + 1 shared", 163840, 129280),
    "gemma-3-27b": (
        "dense", "sliding + full GQA (5:1), window 1,024 + QK-norm", "RMSNorm (pre + post)", "GeGLU", "RoPE (linear scaling)", "no",
        131072, 262208,
    ),
    "gpt-oss-120b": (
        "MoE", "sliding + full GQA (1:1), window 128 + sinks", "RMSNorm (pre)", "SwiGLU", "RoPE (YaRN)", "128 experts, top-4", 131072,
        201088,
    ),
    "phi-3.5-moe": ("MoE", "GQA", "LayerNorm (pre)", "SwiGLU", "RoPE (LongRoPE)", "16 experts, top-2", 131072, 32064),
}  # fmt: skip
KEYS = ("kind", "attention", "norm", "activation", "position", "moe", "context_tokens", "vocab_size")


def test_the_tables_of_articles(run: Run) -> None:
    call = ("compare", *BRICKS, "--rows", ",".join(KEYS), "--by-model")
    made = json.loads(run(*call, "--format", "json").stdout)
    assert [row["key"] for row in made["rows"]] == list(KEYS)
    for i, (name, values) in enumerate(BRICKS.items()):
        got = tuple(row["values"][i] if row["exact"][i] is None else row["exact"][i] for row in made["rows"])
        assert got == values, name
    lines = list(csv.reader(io.StringIO(run(*call, "--format", "csv").stdout)))
    assert lines == [["source", *KEYS], *([name, *map(str, values)] for name, values in BRICKS.items())]
    markdown = run(*call, "--format", "markdown").stdout.splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in markdown] == ["model", "---", *BRICKS]


@pytest.mark.parametrize("width", [80, 120])
def test_one_line_a_model_keeps_words_whole(width: int, run: Run) -> None:
    out = run("compare", *BRICKS, "--rows", ",".join(KEYS), "--by-model", env={"COLUMNS": str(width)}).stdout
    assert max(map(len, out.splitlines())) <= width
    words = set(out.split())
    assert {"SwiGLU", "RMSNorm", "chunked", "QK-norm", "experts,", "vocabulary", "202,048", *BRICKS} <= words


def test_sizes_and_years_of_articles(run: Run) -> None:
    # arXiv:2407.21783 (table 3), arXiv:2401.04088, arXiv:2405.04434, arXiv:2412.19437: rounded as printed there.
    sizes = {"gpt2": ("2019", 124e6, 124e6), "llama-3.1-405b": ("2024", 405e9, 405e9), "mixtral-8x7b": ("2023", 47e9, 13e9),
             "deepseek-v2": ("2024", 236e9, 21e9), "deepseek-v3": ("2024", 671e9, 37e9)}  # fmt: skip
    made = json.loads(run("compare", *sizes, "--rows", "release,total,active,heads", "--format", "json").stdout)
    release, total, active, heads = made["rows"]
    for i, (name, (year, whole, visited)) in enumerate(sizes.items()):
        assert release["values"][i].startswith(year), name
        assert total["exact"][i] == pytest.approx(whole, rel=0.01), name
        assert active["exact"][i] == pytest.approx(visited, rel=0.02), name
    assert heads["values"][1] == "128/8"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gpt2", "--rows", "colour"], "colour"),
        (["gpt2", "--kv-dtype", "q8_0"], "archcalc kv"),
        (["gpt2", "--ctx", "none"], "none"),
        (["gpt2", "--baseline", "no-such-model"], "no-such-model"),
    ],
)
def test_wrong_calls(arguments: list[str], said: str, run: Run) -> None:
    done = run("compare", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("gpu", "models"),
    [("4090", "qwen3-32b llama-3.1-70b llama-3.1-8b"), ("h100", "qwen3-32b llama-3.1-70b"), ("2x4090", "gpt-oss-120b qwen3-32b")],
)
def test_a_machine_gets_the_answer_of_fit(gpu: str, models: str, cli: Run) -> None:
    where = ["--gpu", gpu, "--ctx", "4k", "--format", "json"]
    made = json.loads(cli("compare", *models.split(), *where).stdout)
    got = rows(json.dumps(made))
    fits = [json.loads(cli("fit", name, *where).stdout) for name in models.split()]
    assert [value.startswith("yes") for value in got["fits"]] == [fit["fits"] for fit in fits]
    for value, fit in zip(got["plan"], fits, strict=True):
        assert fit["plan"]["quant"] in value if fit["fits"] else value == "does not fit"
    # What is taken for granted is said.
    assert "weights as published" in made["notes"][0] and "4k tokens of context" in made["notes"][0]


def test_a_table_for_a_paper(run: Run) -> None:
    done = run("compare", "qwen3-8b", "qwen3-30b-a3b", "--baseline", "qwen3-8b", "--format", "latex")
    assert done.returncode == 0
    assert "\\begin{tabular}{lll}" in done.stdout
    assert "heads & 32/8 & 32/4 \\\\" in done.stdout


def test_what_differs_in_size_alone_is_not_told_as_nothing(run: Run) -> None:
    """128 experts against none is a change of kind; half the layers is not, and "nothing changed" stood below a table where they differ."""
    said = run("compare", "qwen3-1.7b", "--baseline", "qwen3-8b").stdout
    assert "nothing changed" not in said
    assert "sizes and numbers" in said


@pytest.mark.parametrize(
    ("words", "label"), [((), "fits at 2k"), (("--ctx", "40k"), "fits at 40k"), (("--isl", "7k", "--osl", "1k"), "fits at 8k")]
)
def test_what_fits_is_said_of_a_context(words: tuple[str, ...], label: str, cli: Run) -> None:
    """The cache's row is of a context of its own, which a model that holds a request need not hold: `fit --ctx` gives the same answer."""
    models = ("llama-3.1-8b", "gemma-4-31b")
    got = json.loads(cli("compare", *models, "--gpu", "h100", *words, "--format", "json").stdout)
    row = next(row for row in got["rows"] if row["key"] == "fits")
    assert row["label"] == label
    for model, said in zip(models, row["values"], strict=True):
        asked = json.loads(cli("fit", model, "--gpu", "h100", "--ctx", label.removeprefix("fits at "), "--format", "json").stdout)
        assert asked["fits"] == (said == "yes")
