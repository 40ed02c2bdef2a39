"""Charts: the numbers they show, text that fits a terminal, and files where matplotlib is installed."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from math import dist
from pathlib import Path
from typing import Any, Literal

import pytest
from matplotlib.text import Text

import archcalc
from archcalc import hardware
from archcalc.analysis import charts
from archcalc.analysis.fit import Ask
from archcalc.errors import UsageError
from archcalc.loader import load
from archcalc.render import plot
from archcalc.render.plot import colour, lighter
from archcalc.server import MOST_MODELS
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


# What people without one kind of cones see: Machado, Oliveira and Fernandes 2009, table 1, severity 1.0, over linear RGB.
CONES = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def oklab(colour: str, cones: str) -> tuple[float, ...]:
    """Ottosson 2020, "A perceptual color space for image processing"."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    ]
    r, g, b = (sum(weight * c for weight, c in zip(row, linear, strict=True)) for row in CONES[cones])
    seen = (
        0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b, 0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
        0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
    )  # fmt: skip
    x, y, z = (max(c, 0) ** (1 / 3) for c in seen)
    return (
        0.2104542553 * x + 0.7936177850 * y - 0.0040720468 * z, 1.9779984951 * x - 2.4285922050 * y + 0.4505937099 * z,
        0.0259040371 * x + 0.7827717662 * y - 0.8086757660 * z,
    )  # fmt: skip


@pytest.mark.parametrize("cones", CONES)
@pytest.mark.parametrize("of", [colour, lighter])
def test_the_models_of_a_page_are_told_apart_by_colour(of: Callable[[int], str], cones: str) -> None:
    for one, other in itertools.combinations(range(MOST_MODELS), 2):
        assert dist(oklab(of(one), cones), oklab(of(other), cones)) > (0.2 if cones == "all" else 0.1), (of(one), of(other))


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


def _boxes(figure: Any) -> dict[str, Any]:
    """Where each text of a figure stands, in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    axes = figure.axes[0]
    found = {"title": figure._suptitle, **{f"name {t.get_text()}": t for t in axes.texts}}
    found |= {f"legend {n}": legend for n, legend in enumerate(figure.legends)}
    # Of an annotation its text alone: the line to it may cross what it likes.
    return {
        name: Text.get_window_extent(t, renderer) if isinstance(t, Text) else t.get_window_extent(renderer)
        for name, t in found.items()
    }


@pytest.mark.parametrize("shape", ["line", "stack"])
def test_no_text_of_a_drawing_is_cut_or_overprinted(shape: Literal["line", "stack"]) -> None:
    names = ("a-model-of-a-name-that-is-long", "another-model-of-a-name-that-is-long", "third", "fourth")
    values = [(1.0, 2.0, 4.0), (1.0, 2.01), (3.0, 9.0, 4.02), (1.0, 0.01, 4.01)]
    if shape == "stack":
        values = [(*v, 0.0)[:3] for v in values]
    series = tuple(charts.Series(name, v) for name, v in zip(names, values, strict=True))
    title = "Memory of the fullest of 16 x NVIDIA RTX PRO 6000 Blackwell Workstation Edition, under an engine of a long name too"
    figure = plot.figure_of(charts.Chart(title, "model", "GiB", ("first", "second", "third"), series, shape, note="a note " * 30))
    boxes = _boxes(figure)
    width, height = figure.get_size_inches() * figure.dpi
    assert len(boxes) == (5 if shape == "line" else 2)
    for name, box in boxes.items():
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, name
    for (first, a), (second, b) in itertools.combinations(boxes.items(), 2):
        assert not a.overlaps(b), (first, second)


def test_axes_end_with_the_data_in_one_format() -> None:
    series = (charts.Series("one", (1200.0, 64000.0)),)
    figure = plot.figure_of(charts.Chart("t", "x", "tokens/s", ("1", "2", "4", "8"), series, "line"))
    _boxes(figure)
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert 1200 / 1.5 < low < 1200 and 64000 < high < 64000 * 1.5
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["1,000", "2,000", "5,000", "10,000", "20,000", "50,000"]


def test_sequences_of_a_gpu_are_what_fit_says_at_each_context() -> None:
    model = load("llama-3.1-8b")
    chart = charts.sequences([model, load("llama-3.1-70b")], Ask(hardware.parse_spec("2xh100"), "vllm", 8192))
    assert chart.positions == ("1k", "2k", "4k", "8k")
    r = archcalc.fit("llama-3.1-8b", gpu="2xh100", ctx="4k", offline=True)
    assert chart.series[0].values[2] == pytest.approx(r.max_concurrency / 2, rel=1e-4)
    with pytest.raises(UsageError, match=r"nothing to draw: llama-3\.1-70b"):
        charts.sequences([load("llama-3.1-70b")], Ask(hardware.parse_spec("t4"), "vllm", 8192))


def test_cost_is_the_rent_over_the_tokens_that_pareto_draws() -> None:
    from archcalc.analysis.speed.plan import Wanted

    asks = [Ask(hardware.parse_spec("h100"), "vllm", 2048)]
    cost = charts.cost([load("llama-3.1-8b")], asks, Wanted())
    tokens = charts.pareto([load("llama-3.1-8b")], asks, Wanted())
    made, _ = charts.points(load("llama-3.1-8b"), asks[0], Wanted())
    rent = hardware.offers("h100-sxm-80gb", 1)[0][0]
    for dollars, rate in zip(cost.series[0].values, tokens.series[0].values, strict=True):
        (point,) = [p for p in made if p.gpu == rate]
        # The wait for the first token is paid too: no more than the users make as they decode.
        assert dollars * rate * 3600 / 1e6 == pytest.approx(rent) and point.whole and rate < point.concurrency * point.user
    low, high = cost.bands[0]
    assert all(a <= b <= c for a, b, c in zip(low.values, cost.series[0].values, high.values, strict=True))


def test_pareto_sets_engines_side_by_side() -> None:
    given = dict.fromkeys(("ctx", "isl", "osl", "kv_dtype"))
    draw = functools.partial(charts.drawn, "pareto", [load("llama-3.1-8b")], [hardware.parse_spec("h100")], **given)
    made = draw(engine="vllm,sglang", quant="fp8,bf16")
    names = [s.name for s in made.series]
    assert names == [f"llama-3.1-8b in {q} on 1 x h100-sxm-80gb, {e}" for e in ("vllm", "sglang") for q in ("fp8", "bf16")]
    # Each is what it is alone.
    alone = draw(engine="sglang", quant="bf16")
    assert made.series[3].values == alone.series[0].values
    assert len({s.values for s in made.series}) == 4
    for engine in ("vllm,zz", "vllm,", ","):
        with pytest.raises(UsageError):
            draw(engine=engine, quant=None)
    with pytest.raises(UsageError):
        charts.drawn("roofline", [load("llama-3.1-8b")], [hardware.parse_spec("h100")], engine="vllm,sglang", quant=None, **given)


def test_pareto_sets_storages_side_by_side() -> None:
    given = {"ctx": None, "engine": "vllm", "isl": "1k", "osl": "1k", "kv_dtype": None}
    made = charts.drawn("pareto", [load("llama-3.1-8b")], [hardware.parse_spec("h100")], quant="fp8,bf16", **given)
    assert [s.name for s in made.series] == [f"llama-3.1-8b in {q} on 1 x h100-sxm-80gb" for q in ("fp8", "bf16")]
    with pytest.raises(UsageError, match="no quantization"):
        charts.drawn("pareto", [load("llama-3.1-8b")], [hardware.parse_spec("h100")], quant="fp8,zz", **given)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        # A model that does not fit is named, and not dropped.
        ("roofline deepseek-v3 llama-3.1-8b --gpu h100", 0, "not shown: deepseek-v3: it does not fit"),
        ("roofline deepseek-v3 --gpu h100", 2, "nothing to draw: deepseek-v3: it does not fit"),
        # The engine is the machine's usual one, as in fit.
        ("memory llama-3.1-8b --gpu m4-max-64gb --ctx 8k", 0, "llama.cpp takes"),
        ("memory llama-3.1-8b --gpu h100 --ctx 8k", 0, "vllm takes"),
        ("cost llama-3.1-8b --gpu h100", 0, "down the side: ms between a user's tokens, at most"),
        ("pareto llama-3.1-8b --gpu h100", 0, "down the side: tokens/s of each user, at least"),
    ],
)
def test_a_chart_says_what_it_shows(arguments: str, status: int, said: str, cli: Run) -> None:
    done = cli("plot", *arguments.split(), "--offline")
    assert done.returncode == status
    assert said in " ".join((done.stdout + done.stderr).split())


def test_a_chart_from_python_takes_the_machines_of_the_command() -> None:
    import archcalc

    made = archcalc.plot("memory", "llama-3.1-8b", vram="24GiB", ctx="8k", offline=True)
    assert "GPU with 24.0 GiB" in made.chart.title
    with pytest.raises(archcalc.errors.UsageError, match="changes nothing"):
        archcalc.plot("kv", "llama-3.1-8b", vram="24GiB", offline=True)
