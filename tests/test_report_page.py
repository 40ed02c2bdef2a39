"""The page: its numbers equal the command line's, it stands alone, and it can be read in every way that it is meant to be."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware, report
from archcalc.analysis import page
from archcalc.analysis.fit import Ask
from archcalc.analysis.verdict import fit_report
from archcalc.errors import ArchcalcError
from archcalc.loader import load
from archcalc.render import html as pages
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
)
SCRIPT = Path(pages.__file__).parent / "page.js"
COMPARED = (
    "fits", "verdict", "plan", "per_gpu", "context_tokens", "concurrency", "max_context_tokens", "max_concurrency", "kv_tokens",
    "decode_tokens_per_s_ceiling", "prefill_seconds_floor", "usd_per_hour", "instance", "command",
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


def by_page(asked: Sequence[Case], tmp_path: Path) -> list[dict[str, Any]]:
    """What the page's own script answers, out of the data in a page."""
    assert NODE is not None
    names = sorted({case[0] for case in asked})
    data = data_of(pages.write_page([load(name) for name in names]))
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "cases.json").write_text(json.dumps([[names.index(c[0]), *c[1:5], data["dtypes"].index(c[5])] for c in asked]))
    program = f"""
    const {{ answer }} = require({json.dumps(str(SCRIPT))});
    const read = (name) => JSON.parse(require("fs").readFileSync(name));
    const data = read("data.json");
    const out = read("cases.json").map(([m, ...rest]) => answer(data, data.models[m], ...rest));
    console.log(JSON.stringify(out, (_, v) => (typeof v === "bigint" ? "n" + v : v)));
    """
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    return [whole(answer) for answer in json.loads(done.stdout)]


def whole(value: Any) -> Any:
    """BigInts as the numbers they are."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return int(value[1:]) if isinstance(value, str) and re.fullmatch(r"n-?\d+", value) else value


def data_of(text: str) -> dict[str, Any]:
    """What a page's panel calculates with."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def by_package(case: Case) -> dict[str, Any]:
    name, device, count, context, concurrency, dtype = case
    ask = Ask(hardware.parse_spec(f"{count}x{device}"), "vllm", context, concurrency, kv_dtype=dtype or None)
    try:
        plain: dict[str, Any] = report.to_plain(fit_report(load(name), ask, brief=True))
    except ArchcalcError as error:
        return {"error": error.message}
    return {key: plain[key] for key in COMPARED}


@needs_node
def test_page_and_package_agree(tmp_path: Path) -> None:
    asked = cases(seed=7, each=60)
    for case, answer in zip(asked, by_page(asked, tmp_path), strict=True):
        assert answer == by_package(case), case


@needs_node
def test_page_and_command_line_agree(tmp_path: Path, run: Run) -> None:
    """The same, against what `archcalc fit` prints."""
    asked = [case for case in cases(seed=11, each=3) if case[0] in MODELS[:4]]
    for case, answer in zip(asked, by_page(asked, tmp_path), strict=True):
        name, device, count, context, concurrency, dtype = case
        arguments = ["fit", name, "--gpu", f"{count}x{device}", "--concurrency", str(concurrency), "--format", "jsonl"]
        arguments += ["--ctx", str(context)] if context else []
        arguments += ["--kv-dtype", dtype] if dtype else []
        got = json.loads(run(*arguments).stdout)
        if "error" in got:
            assert got["error"]["message"] == f"{name}: {answer['error']}"
        else:
            assert answer == {key: got[key] for key in COMPARED}, case
