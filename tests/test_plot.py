"""Charts: the numbers they show, text that fits a terminal, and files where matplotlib is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archcalc import hardware
from archcalc.analysis import charts
from archcalc.analysis.fit import Ask
from archcalc.loader import load
from archcalc.render.plot import colour
from conftest import Run


def test_the_cache_against_context() -> None:
    chart = charts.kv([load("llama-3.1-8b"), load("gpt2")], None, "bf16")
    # 128 KiB a token (32 layers x 2 x 8 x 128 x 2 bytes), so 16 GiB at 131,072.
    llama, gpt2 = chart.series
    assert (chart.positions[-1], llama.values[-1]) == ("128k", 16.0)
    # The chart begins where the shortest context ends: GPT-2's 1,024 tokens take 12 layers x 2 x 768 x 2 bytes each, 36 MiB.
    assert (chart.positions[0], llama.values[0]) == ("1k", 0.125)
    assert gpt2.values == (36 / 1024,)


def test_components_pile_up_to_the_total() -> None:
    chart = charts.params([load("deepseek-v3")])
    assert sum(s.values[0] for s in chart.series) == pytest.approx(671.0264192, abs=1e-9)


def test_memory_stands_below_its_lines() -> None:
    chart = charts.fit_memory([load("llama-3.1-70b")], Ask(hardware.parse_spec("8xh100"), "vllm", 8192))
    seen, taken = (mark.values[0] for mark in chart.marks)
    assert sum(s.values[0] for s in chart.series) < taken < seen < 80


def test_the_ceiling_rises_with_the_batch_until_memory_ends() -> None:
    (series,) = charts.decode([load("llama-3.1-8b")], Ask(hardware.parse_spec("4090"), "vllm", 8192)).series
    assert list(series.values) == sorted(series.values)
    assert 0 < len(series.values) < 11


@pytest.mark.parametrize(
    "arguments",
    [
        ("kv", "llama-3.1-8b", "deepseek-v3"),
        ("params", "mixtral-8x7b", "gemma-3n-e4b"),
        ("memory", "llama-3.1-70b", "--gpu", "8xh100", "--ctx", "8k"),
        ("roofline", "llama-3.1-8b", "--gpu", "h100", "--ctx", "8k"),
    ],
    ids=lambda value: value[0],
)
def test_text_charts_fit_and_name_their_unit(arguments: tuple[str, ...], run: Run) -> None:
    out = run("plot", *arguments, env={"COLUMNS": "80"}).stdout
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"\((GiB|billion|tokens/s)\)", out)
    assert "\x1b" not in out


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_files(ending: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / f"chart.{ending}"
    done = run("plot", "kv", "llama-3.1-8b", "deepseek-v3", "--out", str(path))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert done.returncode == 2
        assert "archcalc[plot]" in done.stderr
        return
    data = path.read_bytes()
    if ending == "png":
        assert data.startswith(b"\x89PNG")
    else:
        assert all(word in data for word in (b"llama-3.1-8b", b"deepseek-v3", b"GiB", b"context (tokens)"))
        run("plot", "kv", "llama-3.1-8b", "deepseek-v3", "--out", str(tmp_path / "again.svg"))
        assert (tmp_path / "again.svg").read_bytes() == data


def test_a_context_beyond_the_model_is_told(run: Run) -> None:
    done = run("plot", "kv", "gpt2", "llama-3.1-8b", "--ctx", "8k")
    assert "gpt2 at 1k" in done.stdout
    # 12 layers x 2 x 768 x 2 bytes x 1,024 tokens = 36 MiB, at the one length that it has.
    assert [line.split()[-1] for line in done.stdout.splitlines() if " gpt2  " in line] == ["0.0352"]


def test_one_that_fails_does_not_stop_the_others(run: Run) -> None:
    done = run("plot", "kv", "gpt2", "no-such-model")
    assert done.returncode == 1
    assert "gpt2" in done.stdout
    assert "no-such-model" in done.stderr


def test_a_model_has_one_colour() -> None:
    assert colour("deepseek-v3", 0) == colour("deepseek-v3", 5) != colour("llama-3.1-8b", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kv", "gpt2", "--out", "x.pdf"], "ending"),
        (["memory", "gpt2"], "--gpu"),
        (["roofline", "gpt2", "--gpu", "h100", "--engine", "abacus"], "abacus"),
        (["pie", "gpt2"], "pie"),
        (["kv", "no-such-model"], "no-such-model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_calls(arguments: list[str], said: str, run: Run) -> None:
    done = run("plot", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
