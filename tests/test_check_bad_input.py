"""Whatever a card holds, check ends: with claims, or with one message and the right status; never with a traceback, and in bounded time.

No time is asserted. What once took minutes stands here at a size at which it would again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archcalc import zoo
from archcalc.cards import fix, write
from archcalc.cards.check import check_text
from archcalc.cards.pages import MAX_BYTES
from archcalc.cards.settings import Settings
from archcalc.errors import ArchcalcError
from conftest import Run

DATA = Path(__file__).parent / "data"
HEAD = "| Model | Layers | Context | Attention | Experts |\n| --- | --- | --- | --- | --- |\n"
LABELS = (
    "Layers",
    "Context",
    "RoPE theta",
    "Attention",
    "KV cache",
    "Type",
    "Norm",
    "MoE",
    "Layer ratio",
    "Heads",
    "Params",
    "Vocab",
    "FFN",
)


def row(cell: str) -> str:
    return f"{HEAD}| Llama 3 8B | {cell} | {cell} | {cell} | {cell} |\n"


def pairs(cell: str) -> str:
    return "# Llama 3 8B\n\n| Field | Value |\n| --- | --- |\n" + "".join(f"| {label} | {cell} |\n" for label in LABELS)


# What cannot be read at all: bytes, the status, and what the message says.
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not text"),
    "NUL far behind": (b"# Card\n" * 5000 + b"\0", "is not text"),
    "UTF-16 without its mark": ("# Card\n".encode("utf-16-le"), "is not text"),
    "UTF-16 cut in half": (b"\xff\xfe#\0 \0\x00\xd8", "is not"),
    "UTF-16 of odd length": (b"\xff\xfe#\0 ", "is not"),
    "Latin-1": ("# Modèle\n\nligne\n".encode("latin-1"), "is not UTF-8: byte 0xe8 in line 1"),
    "cut UTF-8": ("# Card\n\n模".encode()[:-1], "is not UTF-8: byte 0xe6 in line 3"),
    "one byte too large": (b"a" * (MAX_BYTES + 1), "MiB"),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("name", ["card.md", "card.json", "card.yaml"])
def test_what_is_no_text_is_one_message(case: str, name: str, cli: Run, tmp_path: Path) -> None:
    data, said = UNREADABLE[case]
    (tmp_path / name).write_bytes(data)
    (tmp_path / "other.md").write_text(row("32"), encoding="utf-8")
    for arguments in ([], ["--fix"], ["--format", "github"]):
        done = cli("check", name, *arguments, "--offline")
        assert done.returncode == 2
        assert said in done.stderr
        assert name in done.stderr
        assert done.stderr.count("archcalc: ") == 1 + (arguments == ["--fix"])
    done = cli("check", name, "other.md", "--offline")
    assert done.returncode == 1
    assert "1 file, " in done.stdout
    assert (tmp_path / name).read_bytes() == data


def test_a_file_of_50_mb_is_refused_by_its_size(cli: Run, tmp_path: Path) -> None:
    """It is not read: a file of a terabyte that has no blocks is refused as fast."""
    for size, said in ((50 * 2**20, "50 MiB"), (2**40, "1,048,576 MiB")):
        with (tmp_path / "card.md").open("wb") as file:
            try:
                file.truncate(size)
            except OSError:
                continue
        for command in (["check", "card.md"], ["card", "--update", "card.md"], ["card", "gpt2", "--update", "card.md"]):
            done = cli(*command, "--offline")
            assert done.returncode == 2
            assert f"card.md has {said}: no card is that large" in done.stderr
    done = cli("check", "-", "--offline", stdin=b"a" * (MAX_BYTES + 1))
    assert done.returncode == 2
    assert "larger than 2 MiB" in done.stderr


def test_files_that_are_none(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "dangling.md").symlink_to("absent")
    (tmp_path / "loop.md").symlink_to("loop.md")
    for name, said in (
        ("folder.md", "is a folder"),
        ("dangling.md", "No such file"),
        ("loop.md", "cannot be read"),
        ("absent.md", "No such file"),
        ("x" * 300 + ".md", "cannot be read"),
        ("folder.md/card.md", "cannot be read"),
    ):
        done = cli("check", name, "--offline")
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("archcalc: ") == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(row("32"), encoding="utf-8")
    (tmp_path / "card.md").chmod(0)
    done = cli("check", "card.md", "--offline")
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "\n", " ", "\ufeff", "\r\n\r\n", "---\n", "---\n---\n", "| |\n|-|\n", "<table></table>", "|\n|-|\n"]
)
@pytest.mark.parametrize("name", ["card.md", "card.yaml"])
def test_next_to_nothing_holds_no_claims(text: str, name: str, cli: Run, tmp_path: Path) -> None:
    if name == "card.yaml" and ("|" in text or "<" in text):
        pytest.skip("no YAML")
    (tmp_path / name).write_bytes(text.encode())
    done = cli("check", name, "--offline")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 file, no claims\n", "")
    assert cli("check", name, "--require-claims", "--offline").returncode == 1


# Markdown that is deep, wide or endless. Each is made at a size at which a slow way of reading it takes minutes.
N = 3000
HOSTILE: dict[str, Callable[[], str]] = {
    "quotes": lambda: ">" * N,
    "quotes with a table": lambda: "> " * N + "| a |",
    "brackets": lambda: "[" * N,
    "open links": lambda: "[a](" * N,
    "images": lambda: "![[" * N,
    "stars": lambda: "**a " * N,
    "open bold lines": lambda: "**a: b\n" * N,
    "bold lines": lambda: "**Layers**: 32\n" * (N // 5),
    "backticks": lambda: "".join("`" * (i % 50 + 1) + " " for i in range(N // 10)) + "<!-- archcalc: gpt2 -->",
    "lists in lists": lambda: "- " * N,
    "numbered lists in lists": lambda: "1. " * N,
    "comments that do not end": lambda: "<!-- archcalc: " * N,
    "comments across lines": lambda: "<!-- archcalc:\n" * N,
    "markers that do not end": lambda: "<!-- archcalc:begin gpt2 " * N,
    "markers": lambda: "<!-- archcalc:begin gpt2 -->\n" * N,
    "tables in tables": lambda: "<table><tr><td>" * N,
    "tables": lambda: "\n\n<table>\n" * N,
    "rows": lambda: "<table>" + "<tr>" * N,
    "cells": lambda: "<table>" + "<td>" * N,
    "spans": lambda: "<table><tr>" + "<td colspan=1000 rowspan=1000>32</td>" * 200 + "</tr>" + "<tr></tr>" * N,
    "ends of tables": lambda: "</table>" * N,
    "headings": lambda: "<h1>" * N,
    "headings across lines": lambda: "<h1\n\n" * N,
    "pipes": lambda: "|a" * N + "\n" + "|-" * N + "\n" + "|b" * N,
    "front matter that does not end": lambda: "---\n" * N,
    "deep front matter": lambda: "---\n" + "[" * N + "\n---\n",
    "references": lambda: "[a]: b\n" * N,
    "heading of names": lambda: "# " + "Llama 3 8B " * N + "\n\n" + pairs("32"),
    "name of names": lambda: HEAD + "| " + "Llama 3 8B / " * N + "| 32 | 8k | GQA | - |\n",
    "label of labels": lambda: f"# Llama 3 8B\n\n| {'Layers ' * N} | v |\n| --- | --- |\n| {'Layers / ' * N} | 32 |\n",
    "carriage returns": lambda: "\r" * N,
    "marks of byte order": lambda: "\ufeff" * N,
    "open lists deep": lambda: "\n".join(" " * (2 * (i % 200)) + "- Layers: 1" for i in range(N // 20)),
}
# Cells that are as long.
CELLS = {
    "digits": "1", "groups of digits": "1,000", "groups by blanks": "111 ", "fractions": "1/", "ratios": "1:2 ", "products": "3 x (",
    "tops": "top-8 ", "active": "8 active ", "sharing": "GQA (32/8) ", "windows": "sliding window ", "sizes": "16 GB ", "brackets": "(a: ",
    "labels": "layers=1 ", "words": "a ", "letters": "a", "arrows": "8k → ", "dollars": "$", "backslashes": "\\", "LaTeX": "\\sim",
    "footnotes": "[^1]", "hidden": "<sup>", "entities": "&amp;", "struck": "~~1", "bold": "**1", "open": "[", "breaks": "<br>",
    "marks of direction": "\u202e1", "combining marks": "1\u0301", "wide digits": "１", "Arabic digits": "١", "every": "every 3rd ",
    "percents": "1%", "and": "1 and ", "dots": "1.", "escaped pipes": "\\|",
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_markdown(case: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(HOSTILE[case](), encoding="utf-8")
    done = cli("check", "card.md", "--offline")
    assert done.returncode in (0, 1)
    assert "internal error" not in done.stderr
    assert "claims" in done.stdout
    if "<!--" in HOSTILE[case]():
        update = cli("card", "--update", "card.md", "--offline")
        assert update.returncode == 2
        assert "generated section" in update.stderr


@pytest.mark.parametrize("case", CELLS)
def test_long_cells(case: str) -> None:
    for text, length in ((pairs, 400), (row, 20_001)):
        cell = (CELLS[case] * (length // len(CELLS[case]) + 1))[:length]
        results = check_text(text(cell), "card.md", Settings(), offline=True).results
        assert all(len(r.claimed) <= 1000 for r in results)


DEEP = {
    "list.json": "[" * N,
    "object.json": '{"a":' * N,
    "closed.json": "[" * N + "]" * N,
    "list.yaml": "[" * N,
    "closed.yaml": "[" * 200_000 + "]" * 200_000,
    "dashes.yaml": "- " * N,
    "maps.yaml": "a: {" * N,
    "keys.yaml": "? " * N,
    "bomb.yaml": "a0: &a0 {layers: 1}\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)),
    "itself.yaml": "&a [*a, *a]",
    "truncated.json": '{"model": "gpt2", ',
    "twice.json": '{"a": 1} {"b": 2}',
    "tabs.yaml": "a:\n\t- b\n  c",
    "unknown alias.yaml": "a: *b",
    "tag.yaml": '!!python/object/apply:os.system ["touch owned"]',
    "quote.yaml": '"' * N,
    "empty.json": "",
}


@pytest.mark.parametrize("name", DEEP)
def test_trees_that_cannot_be_read(name: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_text(DEEP[name], encoding="utf-8")
    done = cli("check", name, "--offline")
    assert "internal error" not in done.stderr
    assert not (tmp_path / "owned").exists()
    if done.returncode == 0:
        assert done.stdout == "1 file, no claims\n"
    else:
        assert done.returncode == 2
        assert name in done.stderr
        assert done.stderr.count("archcalc: ") == 1


def test_broken_front_matter_does_not_hide_the_tables(cli: Run, tmp_path: Path) -> None:
    for front in ("a: [", "a: b: c", "\t- x", "[" * N, "&a [*a, *a]", "x: *none", "\x01", "- " * N):
        table = "| Model | Layers |\n| --- | --- |\n| Llama 3 8B | 33 |\n"
        (tmp_path / "card.md").write_text(f"---\n{front}\n---\n\n{table}", encoding="utf-8")
        done = cli("check", "card.md", "--offline")
        assert done.returncode == 1
        assert "layers is '33' and should be '32'" in done.stdout


# Numbers that no int or float is made for.


NUMBERS = (
    "1" * 5000, "9" * 41, "1e400", "9e99999999", "1e-9999", "1" + ",000" * 2000, "0." + "0" * 5000 + "1", "Infinity", "NaN", "-1",
    "٣٢", "３２",
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
def test_numbers_without_bounds(number: str, cli: Run, tmp_path: Path) -> None:
    plain = number if number.isascii() else f'"{number}"'
    (tmp_path / "card.md").write_text(
        pairs(number) + "\n" + row(number) + f"\n| KV cache at {number} tokens | 1 GB |\n", encoding="utf-8"
    )
    (tmp_path / "card.yaml").write_text(
        f"model: llama-3-8b\nlayers: {plain}\nrope_theta: {plain}\ncontext: {plain}\n", encoding="utf-8"
    )
    (tmp_path / "card.json").write_text(f'{{"model": "llama-3-8b", "layers": {plain}, "rope_theta": {plain}}}', encoding="utf-8")
    for name in ("card.md", "card.yaml", "card.json"):
        done = cli("check", name, "--explain", "--offline")
        assert done.returncode in ((0, 1) if name != "card.json" else (0, 1, 2))
        assert "internal error" not in done.stderr
        if number in ("٣٢", "３２"):
            assert f"layers {number!r} is right" in done.stdout


LABELS_AT_THE_EDGE = (
    "KV cache at 0 tokens", "KV cache at 99999999999999999999 tokens", "FLOPs per token at 0 tokens", "Fits H100 at 0 tokens",
    "Fits 0xH100", "Fits 99999999999xH100", "Fits a toaster", "training activations, batch 0, seq 0, without checkpointing",
    "training activations, batch 99999999999, seq 99999999999, with checkpointing", "experts against Nothing 9B",
    "Layers; Layers; Layers", "Params (in )", "((((", "Weights in int3",
    "Layers", "Layer ratio", "Context", "Experts", "Share of experts active",
)  # fmt: skip
CELLS_AT_THE_EDGE = (
    "0", "1:0", "0:1", "0/0", "1 GB", "yes", "no", "every 0th", "0 times as many", "0%", "1000%", ">0", "<0", "0+", "0 → 0", "top-0",
)  # fmt: skip


@pytest.mark.parametrize("model", ["Llama 3 8B", "DeepSeek-V3", "Gemma 3", "nanochat"])
def test_labels_and_values_at_the_edge(model: str) -> None:
    marker = f"<!-- archcalc:begin {model.lower().replace(' ', '-')} -->"
    for label in LABELS_AT_THE_EDGE:
        lines = "".join(f"| {label} | {cell} |\n" for cell in CELLS_AT_THE_EDGE)
        rows = "".join(f"| {model} | {label} | {cell} |\n" for cell in CELLS_AT_THE_EDGE)
        for text in (
            f"# {model}\n\n| Field | Value |\n|---|---|\n{lines}",
            f"| Model | Claim | Value |\n|---|---|---|\n{rows}",
            f"{marker}\n| Field | Value |\n|---|---|\n{lines}<!-- archcalc:end -->\n",
        ):
            results = check_text(text, "card.md", Settings(), offline=True).results
            assert all(r.why for r in results)


# Tables that are not as they should be


TABLES = {
    "rows of uneven length": (
        "| Model | Layers | Heads |\n|--|--|--|\n| Llama 3 8B | 33 |\n| Llama 3 70B | 80 | 64 | more |\n|\n",
        ["33!", "80", "64"],
    ),
    "no outer pipes": ("Model | Layers\n--- | ---\nLlama 3 8B | 33\n", ["33!"]),
    "tabs": ("|\tModel\t|\tLayers\t|\n|---|---|\n|\tLlama 3 8B\t|\t33\t|\n", ["33!"]),
    "CRLF": ("| Model | Layers |\r\n|---|---|\r\n| Llama 3 8B | 33 |\r\n", ["33!"]),
    "lone CR": ("| Model | Layers |\r|---|---|\r| Llama 3 8B | 33 |\r", ["33!"]),
    "right to left": ("| Model | Layers |\n|---|---|\n| \u200fLlama 3 8B\u200f | \u200f33\u200e |\n| עברית 7B | 12 |\n", ["33!", "12?"]),
    "no-break blanks": ("| Model | Layers |\n|---|---|\n| Llama\u00a03\u00a08B | 33\u00a0layers |\n", ["33!"]),
    "escaped pipes": ("| Model | Layers |\n|---|---|\n| Llama 3 8B \\| x | 33 |\n| Llama 3 8B | 33 \\| 34 |\n", ["33?", "33!"]),
    "two models in a row": ("| Model | Base | Layers |\n|---|---|---|\n| Llama 3 8B | GPT-2 | 33 |\n", ["33!"]),
    "no head": ("| Llama 3 8B | 33 |\n| Llama 3 70B | 81 |\n", []),
    "a head and no row": ("| Model | Layers |\n|---|---|\n", []),
    "too few dashes": ("| Model | Layers |\n|---|\n| Llama 3 8B | 33 |\n", []),
    "the same column twice": ("| Model | Layers | Layers |\n|---|---|---|\n| Llama 3 8B | 32 | 33 |\n", ["32", "33!"]),
    "HTML that is cut off": ("<table><tr><th>Model</th><th>Layers</th></tr><tr><td>Llama 3 8B<td>33", ["33!"]),
    "HTML without ends": ("<table><tr><th>Model<th>Layers<tr><td>Llama 3 8B<td>33</table>", ["33!"]),
    "HTML with odd spans": ("<table><tr><th>Model<th>Layers<tr><td>Llama 3 8B</td><td colspan='-1' rowspan=x>33</table>", ["33!"]),
    "HTML in a row": ("| Model | Layers |\n|---|---|\n| <b>Llama 3 8B</b> | <table><tr><td>33</td></tr></table> |\n", ["33!"]),
    "quoted": ("> | Model | Layers |\n> |---|---|\n> | Llama 3 8B | 33 |\n", ["33!"]),
    "in a list": ("- x\n\n  | Model | Layers |\n  |---|---|\n  | Llama 3 8B | 33 |\n", ["33!"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_odd_tables(case: str, cli: Run, tmp_path: Path) -> None:
    text, claims = TABLES[case]
    results = check_text(text, "card.md", Settings(), offline=True).results
    marks = {"ok": "", "wrong": "!", "unverifiable": "?", "unknown-model": "?"}
    assert [f"{r.claimed.split()[0]}{marks[r.verdict]}" for r in results if r.field == "layers" or r.field == "heads"] == claims
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for r in results:
        assert lines[r.line - 1][r.column - 1 :].startswith(r.claimed.split()[0])
    (tmp_path / "card.md").write_bytes(text.encode())
    cli("check", "card.md", "--fix", "--offline")
    assert (tmp_path / "card.md").read_bytes() in (text.replace("33", "32").encode(), text.encode())


def test_a_broken_config_beside_the_card_is_told(cli: Run, tmp_path: Path) -> None:
    for config, named in (
        ("{", "config.json"),
        ("[]", "config.json"),
        (json.dumps({**zoo.config("llama-3-8b"), "hidden_size": -1}), "hidden_size"),
    ):
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
        (tmp_path / "card.md").write_text("| Field | Value |\n|---|---|\n| Layers | 32 |\n", encoding="utf-8")
        done = cli("check", "card.md", "--offline")
        assert done.returncode == 1
        assert named in done.stderr
        assert "internal error" not in done.stderr


def test_a_closed_pipe(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(HEAD + "| Llama 3 8B | 33 | 9k | MHA | 4 |\n" * 2000, encoding="utf-8")
    command = [sys.executable, "-m", "archcalc", "check", "card.md", "--format", "jsonl", "--offline"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"file": "card.md"')
        process.stdout.close()
        assert process.stderr.read() == ""


# Anything at all


PAGES = sorted(path for folder in ("cards", "claims") for path in (DATA / folder).glob("*.md"))
PIECES = [
    "|", "\n", "\r\n", "`", "**", "<table>", "</td>", "<td colspan=3>", "[", "](", "<!-- archcalc: ", "-->", "1:0", "GQA", "128k",
    "<!-- archcalc:begin gpt2 -->", "<!-- archcalc:end -->", "1e400", "0", "0.0", "/", ":", "%", "~", "\u200f", "\t", "\\", "$", "&amp;",
    "> ", "- ", "# ", "---\n", "Llama 3 8B", "Gemma 3", "DeepSeek (V3 / R1)", "8/256", "every 0th", "top-0", "²", "KV cache",
    "FLOPs per token at 0 tokens", "GiB", "→", "(", ")",
]  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    page=st.sampled_from(PAGES),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(PIECES)), min_size=1, max_size=10),
    name=st.sampled_from(["card.md", "card.md", "card.json", "card.yaml"]),
)
def test_a_spoilt_page_is_read_or_refused(page: Path, edits: list[tuple[float, int, str]], name: str) -> None:
    text = page.read_text(encoding="utf-8")
    for where, cut, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    try:
        checked = check_text(text, name, Settings(), offline=True)
        mended = fix.mend(checked, lambda new: check_text(new, name, Settings(), offline=True))
        list(write.regions(text))
    except ArchcalcError as error:
        assert error.message
        return
    assert mended.left <= sum(r.verdict == "wrong" for r in checked.results)
    assert all(r.line >= 1 and r.column >= 1 for r in checked.results)


@pytest.mark.parametrize("busy", ["a" + "- " * 100_000 + "x", "[" * 100_000, "a" + " " * 200_000 + "x"])
@pytest.mark.parametrize(
    "page",
    [
        "| Model | Layers |\n| --- | --- |\n| %s | 32 |\n",
        "# %s\n\n- Layers: 32\n",
        "<table><tr><td>Layers</td><td>%s</td></tr></table>\n",
    ],
)
def test_long_names_and_cells_of_html(page: str, busy: str) -> None:
    """Each took the square of its length."""
    results = check_text(page % busy, "card.md", Settings(), offline=True).results
    assert "wrong" not in {result.verdict for result in results}


@pytest.mark.parametrize(
    "text",
    [
        "# Llama 3 8B\n\n" + "- Layers: 33\n" * 20_000,
        "| Model | Layers |\n| --- | --- |\n" + "| Llama 3 8B | 33 |\n" * 20_000,
        "<table " * 30_000,
        "<table><tr><td>Layers</td></tr>" + "<td " * 50_000,
    ],
    ids=["items", "rows", "open tables", "open cells"],
)
def test_many_claims_and_open_tags(text: str) -> None:
    """Each took the square of their number."""
    done = check_text(text, "card.md", Settings(), offline=True)
    assert len(done.results) in (0, 20_000)
