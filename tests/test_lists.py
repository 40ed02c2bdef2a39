"""What lists, tables and their notes say is so: the order, the machine, the lengths, what was not tried."""

from __future__ import annotations

import importlib
import inspect
import json
import re

import pytest

from archcalc import zoo
from archcalc.cli import COMMANDS
from conftest import Run


def words_of(text: str) -> str:
    """Text without the line breaks and boxes that a terminal gives it."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def test_the_order_is_that_of_the_words(cli: Run) -> None:
    """An order by year was told of as of two groups: a model of 0.5 B stood above one of 7 B."""
    call = "fit --gpu 4090 --ctx 8k --family qwen2 --all --format".split()
    rows = [json.loads(line) for line in cli(*call, "jsonl").stdout.splitlines()]
    rows = [r for r in rows if r.get("fits") and (r["tokens_per_s"] or r["decode_tokens_per_s_ceiling"]) >= 10]
    rows = [r for r in rows if r["quant"] not in ("q3_k_m", "q2_k")]
    counted = [zoo.standing(r["params_total"], r["release"]) for r in rows]
    assert counted == sorted(counted, reverse=True)
    said = "newest and largest first: each half year that a model is older than the newest counts as half its size"
    assert said in words_of(cli(*call, "table").stdout)
    assert said in words_of(cli(*"pick --gpu 4090 --ctx 8k --license mit".split()).stdout)


@pytest.mark.parametrize(
    ("older", "newer", "share"),
    [
        ("2025-12-31", "2026-01-01", 0.99),
        ("2025-06-30", "2025-07-01", 0.99),
        ("2025-01", "2026-01", 0.25),
        ("2025-02", "2025-08", 0.5),
    ],
)
def test_age_has_no_edges(older: str, newer: str, share: float) -> None:
    """A day is a day at the end of a year too, and half a year is half."""
    assert zoo.standing(10**9, older) / zoo.standing(10**9, newer) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("sort", ["best", "speed"])
def test_memory_of_unknown_speed_ranks_nothing_first(sort: str, cli: Run) -> None:
    """DDR5-5600 in two channels reads 89.6 GB/s (JESD79-5): of a dense 123 B with 58 GiB there it makes under 2 tokens/s, whatever the
    bound says that takes it for the GPU's memory."""
    call = f"fit --gpu 4090 --ram 64GiB --min-params 100B --sort {sort}".split()
    rows = [json.loads(line) for line in cli(*call, "--all", "--format", "jsonl").stdout.splitlines()]
    unrated = [r["ram_bytes"] > 0 and r["tokens_per_s"] is None for r in rows if r.get("fits")]
    assert sum(unrated) > 5
    said = words_of(cli(*call).stdout)
    assert f"{sum(unrated)} with a part in RAM have bounds" in said and "--ram-bandwidth says how fast" in said
    stated = cli(*call, "--ram-bandwidth", "89.6GB", "--format", "jsonl", "--all").stdout.splitlines()
    bounds = {r["source"]: r["bound"] for r in map(json.loads, stated) if r.get("fits")}
    assert 0 < bounds["devstral-2-123b"] < 2
    assert "with a part in RAM" not in cli(*call, "--ram-bandwidth", "89.6GB").stdout


def test_what_nobody_knows_the_speed_of_stands_behind_what_is_fast(cli: Run) -> None:
    call = "fit --gpu 4090 --ram 64GiB --min-params 30B --family llama --all --format jsonl".split()
    rows = [r for r in map(json.loads, cli(*call).stdout.splitlines()) if r.get("fits")]
    ranks = [
        2 if (r["tokens_per_s"] or r["bound"]) < 10 else int(r["ram_bytes"] > 0 and r["tokens_per_s"] is None)
        for r in rows
    ]  # fmt: skip
    assert ranks == sorted(ranks) and len(set(ranks)) > 1


MACS = [("m4-pro", 64), ("m3-max", 128), ("strix-halo", 128)]


@pytest.mark.parametrize(("gpu", "gb"), MACS, ids=[gpu for gpu, _ in MACS])
def test_the_memory_that_a_machine_is_taken_with_is_said(gpu: str, gb: int, cli: Run) -> None:
    """The largest that it is sold with (Apple's and AMD's specifications), which nobody named."""
    chosen = json.loads(cli("pick", "--gpu", gpu, "--ctx", "8k", "--license", "mit", "--format", "json").stdout)
    assert f"{gb} GB" in chosen["machine"] and any("is sold with" in note for note in chosen["notes"])
    listed = words_of(cli("fit", "--gpu", gpu, "--ctx", "8k", "--family", "gpt-oss").stdout)
    assert re.search(rf"on 1 x [^;]*{gb} ?GB", listed) and "is sold with" in listed
    assert f"-{gb}gb" in cli("fit", "qwen3-8b", "qwen3-4b", "--gpu", gpu, "--ctx", "8k").stdout
    assert json.loads(cli("fit", "qwen3-8b", "--gpu", gpu, "--ctx", "8k", "--format", "json").stdout)["gpu"].endswith(f"-{gb}gb")
    assert f"{gb} GB" in cli("fit", "qwen3-8b", "--gpu", gpu, "--ctx", "8k", "--emit", "modelfile", "--quant", "q8_0").stdout


def test_the_lengths_are_those_of_all_lines(cli: Run) -> None:
    """Llama 1 has 2,048 tokens and GPT-2 1,024 (their configs): their requests are shorter than the others'."""
    for sort in ("best", "speed"):
        said = words_of(cli("fit", "--gpu", "4090", "--family", "gpt", "--sort", sort).stdout)
        assert "512 to 1k prompt and 512 to 1k output tokens" in said


def test_what_was_not_tried_is_said(cli: Run) -> None:
    """qwen2.5-32b does not fit under vLLM in four bits, and does as a GGUF file: tried unless an engine is named."""
    call = "fit --gpu 4090 --ctx 8k --family qwen2.5"
    rows = {r["source"]: r for r in map(json.loads, cli(*call.split(), "--format", "jsonl").stdout.splitlines()) if "engine" in r}
    assert (rows["qwen2.5-32b"]["fits"], rows["qwen2.5-32b"]["engine"]) == (True, "llama.cpp")
    assert "under vllm or llama.cpp" in words_of(cli(*call.split()).stdout)
    named = words_of(cli(*call.split(), "--engine", "vllm").stdout)
    assert "do not fit under vllm (--engine llama.cpp tries GGUF files" in named
    assert "tries GGUF" not in words_of(cli(*call.split(), "--engine", "llama.cpp").stdout)


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        ("fit --gpu m4-pro --sort cost --family gpt-oss", 2, "has no price of 1 x Apple M4 Pro 64 GB"),
        (
            "fit --gpu 4090 --sort context --ctx 8k --family gpt-oss",
            0,
            "longest context that each could hold, beyond the one asked for",
        ),
        ("fit --gpu 4090 --family nosuch", 1, "no bundled model is of --family nosuch"),
        ("fit --gpu 4090 --family nosuch --license mit", 1, "of --family nosuch and --license mit"),
        ("models nosuch", 1, "nothing bundled matches 'nosuch'"),
        ("models --types nosuch", 1, "nothing bundled matches 'nosuch'"),
        ("gpus nosuch", 1, "no device of the catalog matches"),
        ("inspect qwen3-8b --set head_dim=64 --set head_dim=96", 2, "--set head_dim is given 2 times"),
        ("fit qwen3-8b --gpu 4090 --emit mlx", 2, "--emit mlx starts mlx"),
        ("fit qwen3-8b --gpu 8H100", 2, "8xh100"),
    ],
)
def test_what_cannot_be_listed_so_is_said(call: str, status: int, said: str, cli: Run) -> None:
    done = cli(*call.split())
    assert done.returncode == status and said in words_of(done.stdout + done.stderr)


@pytest.mark.parametrize("query", ["qwen3 coder", "Qwen3-Coder", "qwen3coder", "qwen3 coder 30b", "qwen/qwen3-coder"])
def test_models_are_found_by_their_words(query: str, cli: Run) -> None:
    done = cli("models", query, "--format", "jsonl")
    assert done.returncode == 0
    assert "qwen3-coder-30b-a3b" in [json.loads(line)["name"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_has_the_brackets_of_its_texts(name: str, cli: Run) -> None:
    command = importlib.import_module(f"archcalc.cli.{name.replace('-', '_')}").command
    brackets = re.findall(r"\S*\[[a-z]+\]\S*", inspect.getdoc(command) or "")
    shown = words_of(cli(name, "--help").stdout)
    assert all(bracket.rstrip(".") in shown for bracket in brackets)
    assert "\\[" not in shown
    assert brackets or name != "mcp"


@pytest.mark.parametrize("call", ["llama-3.1-8b --gpu 3060", "gemma-3-12b --gpu 3060", "qwen3-14b --gpu 4070"])
def test_formats_have_the_four_bits_that_people_take(call: str, cli: Run) -> None:
    made = json.loads(cli("fit", *call.split(), "--format", "json").stdout)
    quants = [f["quant"] for f in made["formats"] if f["engine"] == "llama.cpp" and f["fits"]]
    assert len(quants) < 3 or "q4_k_m" in quants
    assert len(quants) == len(set(quants))


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a < b > c", r"a \textless{} b \textgreater{} c"),
        ("<= 3", r"$\leq$ 3"),
        (">= 3", r"$\geq$ 3"),
        ("x|y", r"x\textbar{}y"),
        ("5 ≤ x", r"5 $\leq$ x"),
        ("$1 & 50 % of a_b #1 {c} ~ ^ \\", r"\$1 \& 50 \% of a\_b \#1 \{c\} \textasciitilde{} \textasciicircum{} \textbackslash{}"),
    ],
)
def test_latex_prints_what_the_text_says(text: str, tex: str) -> None:
    """In OT1, the encoding without a package, `<`, `>` and `|` are other signs (LaTeX2e font selection, table of OT1)."""
    from archcalc.render.rows import latex_text

    assert latex_text(text) == tex


@pytest.mark.parametrize(
    ("words", "begun", "has"),
    [
        ("fit --kv-dtype", "f", "fp8"),
        ("kv --kv-dtype", "q", "q8_0"),
        ("schema", "f", "fit"),
        ("models", "qwen3-c", "qwen3-coder-30b-a3b"),
        ("fit --quant", "q4", "q4_k_m"),
        ("pick --gpu", "2xh1", "2xh100"),
    ],
)
def test_values_are_completed(words: str, begun: str, has: str, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ARCHCALC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"archcalc {words} {begun}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) + 1))
    assert has in cli().stdout.split()
