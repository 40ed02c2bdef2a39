"""The page: its numbers equal the command line's, it stands alone, and browsers and readers find their way in it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import hardware, report, server, zoo
from archcalc import load as read_config
from archcalc.analysis import page
from archcalc.analysis.fit import Ask
from archcalc.analysis.inspect import inspect
from archcalc.analysis.verdict import fit_report
from archcalc.engines.budget import Serving
from archcalc.engines.engine import server as server_of
from archcalc.engines.placement import Placement, RankWeights
from archcalc.errors import ArchcalcError
from archcalc.loader import load
from archcalc.render import html as pages
from archcalc.render.html import chart, figure
from archcalc.render.plot import colour, lighter
from conftest import Run

NODE = shutil.which("node")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed: the page's script runs in it")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: the page is opened in it")

# Dense, windows, latent, recurrent, experts quantized, chunks, a tower, a learned position, one whose context is long.
MODELS = (
    "llama-3.1-8b",
    "gemma-3-27b",
    "deepseek-v3",
    "qwen3-next-80b-a3b",
    "gpt-oss-120b",
    "llama-4-scout",
    "gpt2",
    "gemma-3n-e4b",
    "kimi-k2.5",
)
WEIGHTLESS = RankWeights(0, 0, 0, 0, (), (0,), 0, 0, 0)
SCRIPT = Path(pages.__file__).parent / "page.js"
COMPARED = (
    "fits", "verdict", "plan", "per_gpu", "context_tokens", "concurrency", "max_context_tokens", "max_concurrency", "kv_tokens",
    "bound_tokens_per_s_whole_context", "usd_per_hour", "instance", "command",
)  # fmt: skip

Case = tuple[str, str, int, int | None, int, str]
"""Model, device, count, context, concurrency, cache dtype."""


def cases(seed: int, each: int) -> list[Case]:
    """So many cases for each model: round and odd contexts, one sequence and many."""
    draw = random.Random(seed)
    machines = [(d.id, n) for d, counts in page.machines() for n in counts]
    out: list[Case] = []
    for name in MODELS:
        limit = load(name).architecture.facts.context_tokens or 4096
        for _ in range(each):
            device, count = draw.choice(machines)
            round_ = 1 << draw.randrange(limit.bit_length())
            context = draw.choice([None, limit, min(round_, limit), draw.randint(1, limit), draw.randint(1, min(limit, 9000))])
            concurrency = draw.choice([1, 1, 2, 3, 16, 64, draw.randint(1, 2000), 1_000_000])
            out.append((name, device, count, context, concurrency, draw.choice(["", "", "bf16", "fp16", "fp8", "fp8_e5m2"])))
    return out


CLOSE: tuple[Case, ...] = (
    ("gpt-oss-120b", "h100-sxm-80gb", 1, None, 1, ""),
    ("gpt-oss-120b", "h100-sxm-80gb", 1, None, 1, "fp8"),
    ("gpt-oss-120b", "h100-sxm-80gb", 1, 2048, 70, ""),
    ("gpt-oss-120b", "h100-sxm-80gb", 1, 1024, 300, ""),
    ("qwen3-next-80b-a3b", "h100-sxm-80gb", 2, 200000, 8, ""),
    ("kimi-k2.5", "h100-sxm-80gb", 8, 32768, 1, ""),
    ("kimi-k2.5", "h100-sxm-80gb", 8, None, 1, "fp8"),
    ("kimi-k2.5", "h100-sxm-80gb", 8, 8192, 4, ""),
)
"""Where the last of the memory counts: fewer sequences than by default may make a model fit, or be too few for what is asked."""


@pytest.fixture(scope="module")
def written() -> str:
    """A page on all of the models."""
    return pages.write_page([load(name) for name in MODELS])


def by_page(asked: Sequence[Case], text: str, tmp_path: Path, names: Sequence[str] = MODELS) -> list[tuple[dict[str, Any], str]]:
    """What the page's own script answers, out of the data in the page, and the command that it says answers the same."""
    assert NODE is not None
    data = data_of(text)
    (tmp_path / "blocks.json").write_text(json.dumps(blocks_of(text)))
    (tmp_path / "cases.json").write_text(json.dumps([[names.index(c[0]), *c[1:5], data["dtypes"].index(c[5])] for c in asked]))
    program = f"""
    const {{ answer, assemble, commandLine }} = require({json.dumps(str(SCRIPT))});
    const read = (name) => JSON.parse(require("fs").readFileSync(name));
    const [opening, ...pieces] = read("blocks.json");
    const data = assemble(opening, pieces);
    const out = read("cases.json").map(([m, device, count, context, concurrency, dtype]) => [
      answer(data, data.models[m], device, count, context, concurrency, dtype),
      commandLine(data, data.models[m], device, count, context, concurrency, data.dtypes[dtype]),
    ]);
    console.log(JSON.stringify(out, (_, v) => (typeof v === "bigint" ? "n" + v : v)));
    """
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    found = [(whole(answer), line) for answer, line in json.loads(done.stdout)]
    for (_, device, count, *_), (answer, _) in zip(asked, found, strict=True):
        # How many instances are rented is the page's alone: `archcalc fit` says so in words.
        offers = hardware.offers(device, count)
        assert answer.pop("instances", None) == (None if "error" in answer else offers[0][1] if offers else 0)
    return found


def whole(value: Any) -> Any:
    """BigInts as the numbers they are."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return int(value[1:]) if isinstance(value, str) and re.fullmatch(r"n-?\d+", value) else value


def blocks_of(text: str) -> list[str]:
    """What a page's panel calculates with: the opening, and the plans of one device after the other."""
    return re.findall(r'<script type="application/json" (?:id="data"|class="piece")>(.*?)</script>', text, re.DOTALL)


def data_of(text: str) -> dict[str, Any]:
    """The opening of a page's data."""
    data: dict[str, Any] = json.loads(blocks_of(text)[0])
    return data


def by_package(case: Case) -> dict[str, Any]:
    name, device, count, context, concurrency, dtype = case
    # The page judges the model's own context where none is chosen; the package would take the longest that fits.
    context = context or load(name).architecture.facts.context_tokens
    ask = Ask(hardware.parse_spec(f"{count}x{device}"), "vllm", context, concurrency, kv_dtype=dtype or None)
    try:
        # The page holds no forecast, and takes the plan that is preferred without one.
        with mock.patch("archcalc.analysis.verdict.fastest", lambda found, ask, wanted: (found, None)):
            plain: dict[str, Any] = report.to_plain(fit_report(load(name), ask, brief=True))
    except ArchcalcError as error:
        return {"error": error.message}
    return {key: {**plain["speed"], **plain}[key] for key in COMPARED}


def beyond_default(case: Case, answer: dict[str, Any]) -> bool:
    """More sequences than the engine runs by default need another plan, which the page leaves to `archcalc fit`."""
    refused = "sequences at once by default" in answer.get("error", "")
    assert not refused or case[4] > 256
    return refused


@needs_node
def test_page_and_package_agree(written: str, tmp_path: Path) -> None:
    asked = [*CLOSE, *cases(seed=7, each=60)]
    for case, (answer, _) in zip(asked, by_page(asked, written, tmp_path), strict=True):
        if not beyond_default(case, answer):
            assert answer == by_package(case), case


@needs_node
def test_what_is_rented_is_the_cheapest_that_holds_it(written: str, tmp_path: Path) -> None:
    """Every machine with a price whose answer fits, and of them those that nothing cheaper outdoes."""
    assert NODE is not None
    (tmp_path / "blocks.json").write_text(json.dumps(blocks_of(written)))
    program = f"""
    const {{ rents, assemble }} = require({json.dumps(str(SCRIPT))});
    const [opening, ...pieces] = JSON.parse(require("fs").readFileSync("blocks.json"));
    const data = assemble(opening, pieces);
    console.log(JSON.stringify(data.models.map((m) => rents(data, m, 1024, 40, 0))));
    """
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    made = json.loads(done.stdout)
    for name in ("gpt-oss-120b", "qwen3-next-80b-a3b"):
        rented = made[MODELS.index(name)]
        asked: list[Case] = [(name, device.id, n, 1024, 40, "") for device, counts in page.machines() for n in counts]
        answers = [(case, answer) for case, (answer, _) in zip(asked, by_page(asked, written, tmp_path), strict=True)]
        fitting = {(c[1], c[2]): a for c, a in answers if a.get("fits") and a["usd_per_hour"] is not None}
        assert {(one["device"], one["count"]) for one in rented["found"]} == set(fitting)
        for one in rented["found"]:
            answer = fitting[one["device"], one["count"]]
            assert one["usd"] == answer["usd_per_hour"]
            assert 40 <= one["sequences"] <= answer["max_concurrency"] + 0.001
        best = [
            one
            for one in rented["found"]
            if not any(o["usd"] <= one["usd"] and o["sequences"] > one["sequences"] for o in rented["found"])
            and not any(o["usd"] < one["usd"] and o["sequences"] == one["sequences"] for o in rented["found"])
        ]
        assert len(best) > 2
        assert [(o["usd"], o["sequences"]) for o in rented["frontier"]] == sorted({(o["usd"], o["sequences"]) for o in best})


@needs_node
def test_more_sequences_than_states_have_one_answer(written: str, tmp_path: Path) -> None:
    """Between the power of two below the blocks of state and the blocks, where a hybrid model does not fit."""
    asked: list[Case] = [
        ("qwen3-next-80b-a3b", "h100-nvl-94gb", 2, context, sequences, "")
        for context, sequences in ((8192, 513), (8192, 600), (1024, 900), (1024, 512))
    ]
    for case, (answer, _) in zip(asked, by_page(asked, written, tmp_path), strict=True):
        assert answer == by_package(case), case


@needs_node
def test_a_flag_that_depends_on_the_context_does_so(tmp_path: Path) -> None:
    """Where little memory is left, a longer step leaves fewer blocks of state, and so fewer sequences."""
    name = "nemotron-h-56b"
    asked: list[Case] = [(name, "rtx-4060-ti-16gb", 8, n, 1, "") for n in (1, 5, 30, 57, 58, 59, 60, 61, 500)]
    answers = by_page(asked, pages.write_page([load(name)]), tmp_path, [name])
    for case, (answer, _) in zip(asked, answers, strict=True):
        assert answer == by_package(case), case
    assert len({answer["command"].partition("--max-num-seqs")[2] for answer, _ in answers}) > 1


@needs_node
def test_models_that_keep_a_state_alone_agree(tmp_path: Path) -> None:
    """A sequence is one block there, so that a plan may be for any number of sequences."""
    (tmp_path / "mamba.json").write_text(json.dumps({
        "model_type": "mamba", "hidden_size": 2560, "intermediate_size": 5120, "num_hidden_layers": 64, "state_size": 16, "conv_kernel": 4,
        "time_step_rank": 160, "vocab_size": 50280, "expand": 2, "use_bias": False, "use_conv_bias": True, "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }))  # fmt: skip
    name = str(tmp_path / "mamba.json")
    asked: list[Case] = [
        (name, device, 1, 4096, sequences, "")
        for device in ("rtx-3060-12gb", "t4", "l4", "h100-sxm-80gb")
        for sequences in (1, 130, 200, 256)
    ]
    answered = by_page(asked, pages.write_page([load(name)]), tmp_path, [name])
    refused = 0
    for case, (answer, _) in zip(asked, answered, strict=True):
        refused += "sequences at once by default" in answer.get("error", "")
        assert "sequences at once by default" in answer.get("error", "") or answer == by_package(case), case
    assert refused < len(asked) / 2


@needs_node
def test_page_and_command_line_agree(written: str, tmp_path: Path, run: Run) -> None:
    """The same, against what the command below the panel prints."""
    asked = cases(seed=11, each=1)
    for case, (answer, line) in zip(asked, by_page(asked, written, tmp_path), strict=True):
        if beyond_default(case, answer):
            continue
        name, device, count = case[:3]
        program, *arguments = shlex.split(line)
        assert program == "archcalc"
        assert {name, f"{count}x{device}"} <= set(arguments)
        got = json.loads(run(*arguments, "--format", "jsonl").stdout)
        if "error" in got:
            assert got["error"]["message"] == f"{name}: {answer['error']}"
        else:
            assert answer == {key: {**got["speed"], **got}[key] for key in COMPARED}, case


@pytest.mark.parametrize("name", ["llama-3.1-8b", "deepseek-v3", "gemma-4-31b", "qwen3.5-27b"])
def test_gpus_of_a_kind_differ_by_their_memory_alone(name: str) -> None:
    """Of the whole catalog: activations and overhead, with the engine's own sequences and with fewer."""
    architecture = load(name).architecture
    engine = server_of("vllm")
    found: dict[Any, tuple[str, list[tuple[int, int, int, int]]]] = {}
    alike = 0
    for device in hardware.devices():
        if engine.runs_on(device):
            continue
        made = []
        for placement in (Placement(), Placement(tp=2), Placement(tp=2, pp=2), Placement(dp=2)):
            for sequences in (None, 32):
                for context in (8, 4096):
                    serving = Serving("vllm", context_tokens=context, sequences=sequences)
                    b = engine.budget(device, architecture, placement, WEIGHTLESS, serving)
                    made.append((b.activation_bytes, b.overhead_bytes, b.batched_tokens, b.sequences))
        other, same = found.setdefault(engine.budget_kind(device, architecture, None), (device.id, made))
        alike += other != device.id
        assert made == same, (device.id, other)
    assert alike > len(found) or any(e.row_bytes for e in architecture.encoders)


@given(
    st.lists(st.tuples(st.integers(1, 700), st.integers(1, 50), st.integers(0, 5000)), min_size=1, max_size=3),
    st.lists(st.integers(1, 20000), min_size=20, max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_staircases_are_exact(groups: list[tuple[int, int, int]], places: list[int]) -> None:
    """Sums of rounded-up windows, as caches are."""
    last = 20000

    def of(tokens: int) -> int:
        return sum(times * -(-min(tokens, window or last) // block) for block, times, window in groups)

    runs = page.staircase(of, last)
    for n in (1, last, *places):
        first, value, width, step = max(run for run in runs if run[0] <= n)
        assert of(n) == value + ((n - first) // width * step if width else 0)


class Outline(HTMLParser):
    """What of a page matters to readers: headings, tables, labels, and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.fields: list[str] = []
        self.bad: list[str] = []
        self.captions = self.tables = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.addresses += [str(has[key]) for key in ("href", "src", "action", "data", "srcset", "poster") if has.get(key)]
        if has.get("id"):
            self.ids.append(str(has["id"]))
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag == "label":
            self.labelled.append(str(has.get("for")))
        if tag in ("input", "select"):
            self.fields.append(str(has.get("id")))
        if tag == "th" and has.get("scope") not in ("col", "row"):
            self.bad.append(f"th without scope: {self.getpos()}")
        if "style" in has or any(key.startswith("on") for key in has):
            self.bad.append(f"a style or script that the policy refuses: {self.getpos()}")
        if tag == "svg" and has.get("aria-hidden") != "true" and not (has.get("role") == "img" and has.get("aria-label")):
            self.bad.append(f"svg without a label: {self.getpos()}")


def test_a_reader_finds_the_way(written: str) -> None:
    outline = Outline()
    outline.feed(written)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert outline.bad == []
    assert outline.tables == outline.captions
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.fields) == set(outline.labelled)
    assert 'aria-live="polite"' in written
    assert '<html lang="en">' in written


def test_the_page_needs_no_network(written: str) -> None:
    outline = Outline()
    outline.feed(written)
    assert all(address.startswith(("#", "data:")) for address in outline.addresses), outline.addresses
    assert "default-src 'none'" in written
    assert "unsafe-inline" not in written
    for tag in ("style", "script"):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", written, re.DOTALL)
        assert inline
        for text in inline:
            assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in written
    style = pages.asset("page.css")
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|import\(", pages.asset("page.js"))
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    # A total that is repeated at the foot of each sheet looks like one of what stands above it.
    assert re.search(r"@media print .*tfoot \{ display: table-row-group; \}", style, re.DOTALL)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_can_be_read() -> None:
    """Text on every ground, in both schemes and in print: WCAG AA; axe-core cannot tell the ground of text in SVG."""
    style = pages.asset("page.css")
    schemes = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)]
    assert len(schemes) == 3
    light, dark, printed = schemes[0], {**schemes[0], **schemes[1]}, {**schemes[0], **schemes[2]}
    for scheme in (light, dark, printed):
        for text in ("ink", "soft", "good", "bad", "accent"):
            assert contrast(scheme[text], scheme["paper"]) >= 4.5, text
            assert contrast(scheme[text], scheme["panel"]) >= 4.5, text
        for ground in ("mixer", "local", "linear", "both", "ffn", "experts", "norm", "plain"):
            assert contrast(scheme["ink"], scheme[ground]) >= 4.5, ground
    # Lines and marks need 3 to 1.
    for place in range(4):
        assert contrast(colour(place), light["paper"]) >= 3
        assert contrast(lighter(place), dark["paper"]) >= 3


def test_three_models_stay_small(written: str) -> None:
    assert len(written.encode()) * 3 / len(MODELS) < 1_000_000


def test_a_name_is_no_markup(tmp_path: Path, run: Run) -> None:
    name = "<img src=x onerror=alert(1)>&.json"
    (tmp_path / name).write_text(json.dumps({
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
        "intermediate_size": 128, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
    }))  # fmt: skip
    text = run("report", name).stdout
    assert "<img" not in text
    assert html.escape(name) in text
    assert data_of(text)["models"][0]["name"].endswith(name)


def test_no_verdict_on_a_guess(tmp_path: Path, run: Run) -> None:
    (tmp_path / "guess.json").write_text(json.dumps({
        "model_type": "never-heard-of", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
        "intermediate_size": 128, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    }))  # fmt: skip
    done = run("report", "guess.json")
    assert done.returncode == 0, done.stderr
    assert "no verdict stands on one" in data_of(done.stdout)["models"][0]["fit"]["error"]


def test_a_source_that_fails_does_not_stop_the_others(tmp_path: Path, run: Run) -> None:
    done = run("report", "no-such-model", "gpt2", "-o", "page.html")
    assert done.returncode == 1
    assert "no-such-model" in done.stderr
    assert "page.html written" in done.stderr
    assert "<h1>gpt2</h1>" in (tmp_path / "page.html").read_text()
    assert run("report", "no-such-model").returncode == 2


@pytest.mark.parametrize("name", zoo.names())
def test_every_bundled_model_can_be_drawn(name: str) -> None:
    m = load(name)
    r = inspect(m.architecture, m.source)
    drawings = [figure.anatomy(m.architecture, r), figure.strip(r), chart.lines(page.caches([m], "bf16"), "bf16")]
    drawings += [figure.mask_svg(mask) for mask, _ in figure.masks(m.architecture, r)]
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    strip = ElementTree.fromstring(drawings[1])
    cells = len(strip.findall("rect"))
    assert cells % r.architecture.layers == 0
    assert cells


def test_masks_count_the_layers() -> None:
    def told(name: str) -> dict[str, int]:
        m = load(name)
        return {mask.title: n for mask, n in figure.masks(m.architecture, inspect(m.architecture, m.source))}

    assert told("gemma-3-27b") == {"Window of 1,024": 52, "Full": 10}
    assert told("qwen3-next-80b-a3b") == {"State": 36, "Full": 12}
    assert told("llama-4-scout") == {"Chunks of 8,192": 36, "Full": 12}
    assert told("deepseek-v3") == {"Full, latent": 61}
    assert told("deepseek-v3.2") == {"Sparse": 61}


@pytest.mark.parametrize(
    ("config", "title", "seen"),
    [
        (
            {"model_type": "bert", "vocab_size": 100, "max_position_embeddings": 128, "intermediate_size": 128},
            "Full, both ways",
            256,
        ),
        ({"model_type": "vit"}, "Full, both ways", 256),
        ({"model_type": "llama", "vocab_size": 100, "max_position_embeddings": 128, "intermediate_size": 128}, "Full", 136),
    ],
)
def test_an_encoder_sees_both_ways(config: dict[str, Any], title: str, seen: int) -> None:
    whole = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "rms_norm_eps": 1e-5, **config}
    m = read_config(whole)
    r = inspect(m.architecture, m.source)
    ((mask, layers),) = figure.masks(m.architecture, r)
    assert (mask.title, len(mask.on), layers) == (title, seen, 2)
    drawn = figure.anatomy(m.architecture, r)
    assert not re.search(r"\b0 x|x 0\b|NoPE", drawn)


def test_norms_stand_where_they_sit() -> None:
    def before_and_behind(name: str) -> tuple[bool, bool]:
        m = load(name)
        norms = figure._norms(m.architecture.facts.norm, "F")
        return norms.before, norms.behind

    assert before_and_behind("llama-3.1-8b") == (True, False)
    assert before_and_behind("gemma-3-27b") == (True, True)
    assert before_and_behind("olmo-2-7b") == (False, True)


def browse(text: str, tmp_path: Path, script: str = "", width: int = 800) -> str:
    """The document as a browser has it once its scripts and `script` have run."""
    assert CHROMIUM is not None
    path = tmp_path / "page.html"
    # The page's own policy takes no script but its own: this one joins those that it names.
    own = f"'sha256-{base64.b64encode(hashlib.sha256(f'{{{script}}}'.encode()).digest()).decode()}'"
    text = text.replace("script-src ", f"script-src {own} ", 1)
    path.write_text(text.replace("</body>", f"<script>{{{script}}}</script></body>"))
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


@needs_chromium
def test_the_panel_answers_in_a_browser(written: str, tmp_path: Path) -> None:
    set_to = {"gpu": "rtx-4090", "count": "2", "context": "16k", "concurrency": "3", "dtype": str(page.KV_DTYPES.index("fp8"))}
    script = f"""
    for (const [id, value] of Object.entries({json.dumps(set_to)})) {{
      const field = document.getElementById(id);
      field.value = value;
      field.dispatchEvent(new Event("change", {{ bubbles: true }}));
    }}"""
    seen = browse(written, tmp_path, script)
    ask = Ask(hardware.parse_spec("2xrtx-4090"), "vllm", 16384, 3, kv_dtype="fp8")
    for name in ("llama-3.1-8b", "gemma-3-27b", "qwen3-next-80b-a3b", "gpt-oss-120b", "gemma-3n-e4b"):
        said = fit_report(load(name), ask, brief=True).verdict
        assert f"<strong>{name}</strong> <span>{html.escape(said, quote=False)}</span>" in seen
    assert "a context of 16,384 tokens is beyond the model's 1,024" in seen
    command = "archcalc fit gemma-3-27b --gpu 2xrtx-4090 --engine vllm --max-quant none --ctx 16k --concurrency 3 --kv-dtype fp8"
    assert command in re.sub(r"</?span[^>]*>", "", seen)
    assert seen.count('class="bar"') == 8


@needs_chromium
def test_nothing_is_cut_at_the_width_of_a_desk(tmp_path: Path) -> None:
    """Four models side by side: the heads of the speed table did not wrap, and its last column lay beyond the edge, in print too."""
    names = ("llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-120b")
    text = pages.write_page([load(name) for name in names])
    script = """
    const cut = [...document.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth + 1);
    document.title = "cut: " + cut.map((e) => e.getAttribute("aria-label")).join("; ");"""
    assert "<title>cut: </title>" in browse(text, tmp_path, script, width=1280)


@needs_chromium
def test_the_panel_says_what_is_wrong_with_a_field(written: str, tmp_path: Path) -> None:
    script = """
    const field = document.getElementById("context");
    field.value = "lots";
    field.dispatchEvent(new Event("input", { bubbles: true }));"""
    seen = browse(written, tmp_path, script)
    assert "Write the context like 128k (131,072)" in seen
    assert re.search(r'<input id="context"[^>]*aria-invalid="true"', seen)


@needs_chromium
def test_the_list_searches_as_one_types(tmp_path: Path) -> None:
    script = """
    const box = document.getElementById("q");
    box.value = "gemma 27b";
    box.dispatchEvent(new Event("input", { bubbles: true }));"""
    seen = browse("".join(server.index().parts), tmp_path, script)
    shown = [row for row in re.findall(r"<tr data-text=[^>]*>", seen) if "hidden" not in row]
    assert len(shown) == len(server.find("gemma 27b")) > 0
    assert f"{len(shown)} of {len(zoo.names())} models" in seen


@needs_chromium
def test_the_list_sorts_and_says_what_is_too_many(tmp_path: Path) -> None:
    script = """
    document.querySelector("a[data-sort=active]").click();
    for (const box of [...document.querySelectorAll("#models input")].slice(0, 5)) box.click();"""
    seen = browse("".join(server.index().parts), tmp_path, script)
    active = [int(n) for n in re.findall(r'<tr data-text=[^>]*data-active="(\d+)"', seen)]
    assert active == sorted(active, reverse=True)
    assert len(active) == len(zoo.names())
    assert seen.count('aria-sort="descending"') == 1
    assert re.search(r'<p id="wrong" role="alert">Up to 4 models stand side by side: untick one', seen)
    assert "4 of up to 4" in seen
    assert "untick 1 of them" in browse("".join(server.index(wrong="untick 1 of them").parts), tmp_path)


def test_what_differs_stands_out_and_nothing_else() -> None:
    """Bold is what most of the models do not share."""
    text = next(pages.make_page([load(name) for name in ("qwen3-8b", "qwen3-14b", "llama-3.1-8b")]).parts)
    glance = text[text.index('<section id="glance"') : text.index('<section id="parameters"')]
    rows = {
        label: list(zip(*[iter(re.findall(r'<td(?: class="(\w+)")?>(.*?)</td>', cells))], strict=True))
        for label, cells in re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', glance)
    }
    assert [cls for ((cls, _),) in rows["type"]] == ["same"] * 3
    assert [cls for ((cls, _),) in rows["vocabulary"]] == ["", "", "differs"]
    assert [cls for ((cls, _),) in rows["layers"]] == ["differs", "differs", "differs"]
    assert 'class="differs"' not in next(pages.make_page([load("gpt2")]).parts)
