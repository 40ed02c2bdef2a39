"""Cards that archcalc writes: check accepts them, finds any number in them that is changed, and updating one touches nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import zoo
from archcalc.analysis.inspect import kv_cache
from archcalc.cards import write
from archcalc.cards.check import check_text
from archcalc.cards.fix import write as replace_file
from archcalc.cards.models import load
from archcalc.cards.settings import Settings
from archcalc.errors import FormatError, SourceError
from archcalc.report import CheckResult
from conftest import Run

ROOT = Path(__file__).resolve().parent.parent
NAMES = tuple(entry.name for entry in zoo.entries() if entry.card)
ROW = re.compile(r"\| (?P<label>[^|]+) \| (?P<value>[^|]+) \|")


@cache
def card(name: str) -> str:
    return write.section(load(name, True), name)


def results(text: str) -> list[CheckResult]:
    checked = check_text(text, "card.md", Settings(), offline=True)
    assert checked.errors == []
    return checked.results


class Cell(NamedTuple):
    """A value of a card: its line, its label, and where it begins in the line."""

    line: int
    label: str
    start: int
    text: str


@cache
def cells(name: str) -> tuple[Cell, ...]:
    found = []
    for i, line in enumerate(card(name).splitlines()):
        match = ROW.fullmatch(line)
        if match and match["label"] not in ("Field", "---"):
            found.append(Cell(i, match["label"], match.start("value"), match["value"]))
    return tuple(found)


def changed(name: str, edits: dict[int, tuple[int, int, str]]) -> str:
    """The card with a stretch of some lines replaced."""
    lines = card(name).splitlines(keepends=True)
    for i, (start, end, text) in edits.items():
        lines[i] = lines[i][:start] + text + lines[i][end:]
    return "".join(lines)


def other_digits(digits: str, at: int) -> str:
    """The digits that make another number in a place."""
    return "".join(d for d in "0123456789" if d != digits[at])


# Every card


@pytest.mark.parametrize("name", NAMES)
def test_check_accepts_a_card_and_reads_all_of_it(name: str) -> None:
    found = results(card(name))
    assert {(r.field, r.claimed, r.verdict) for r in found if r.verdict != "ok"} == set()
    assert {r.line - 1 for r in found} == {cell.line for cell in cells(name)}
    # Each digit of each value stands in a claim: there is no number that nobody checks.
    checked = {(r.line - 1, at) for r in found for at in range(r.column - 1, r.column - 1 + len(r.claimed))}
    digits = {(cell.line, cell.start + i) for cell in cells(name) for i, c in enumerate(cell.text) if c.isdigit()}
    assert digits <= checked


@pytest.mark.parametrize("name", NAMES)
def test_the_card_of_a_bundled_model_is_in_model_cards(name: str) -> None:
    files = list((ROOT / "model_cards").glob(f"*/{name}.md"))
    assert len(files) == 1
    assert {r.verdict for r in results(files[0].read_text(encoding="utf-8"))} == {"ok"}


@pytest.mark.parametrize("name", NAMES)
def test_any_number_changed_in_one_digit_is_found(name: str) -> None:
    """All numbers of a card at once, each in another digit, over several rounds: each line must be called wrong where it was changed."""
    chance = random.Random(name)
    numbers = [[(cell.start + m.start(), m[0]) for m in re.finditer(r"\d[\d,]*(?:\.\d+)?", cell.text)] for cell in cells(name)]
    rounds = max(map(len, numbers))
    for turn in range(max(2, rounds)):
        edits: dict[int, tuple[int, int, str]] = {}
        for cell, found in zip(cells(name), numbers, strict=True):
            if found:
                start, number = found[turn % len(found)]
                at = chance.choice([i for i, c in enumerate(number) if c.isdigit()])
                new = number[:at] + chance.choice(other_digits(number, at)) + number[at + 1 :]
                assert float(new.replace(",", "")) != float(number.replace(",", ""))
                edits[cell.line] = (start, start + len(number), new)
        wrong = {
            (r.line - 1, at)
            for r in results(changed(name, edits))
            if r.verdict == "wrong"
            for at in range(r.column - 1, r.column - 1 + len(r.claimed))
        }
        assert {line: edit for line, edit in edits.items() if (line, edit[0]) not in wrong} == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_cache_of_a_token_is_that_of_inspect(name: str) -> None:
    stated = re.search(r"\| KV cache per token( \(before windows are full\))? \| ([\d,]+) bytes", card(name))
    model = load(name, True)
    longest = model.report.architecture.context_tokens or 1 << 20
    grows = kv_cache(model.architecture, longest, 1, "bf16").bytes_per_token
    assert (int(stated[2].replace(",", "")) if stated and not stated[1] else 0) == grows


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_changed_digit_makes_one_row_wrong(data: st.DataObject) -> None:
    """A single change is found, and what is around it stays right."""
    name = data.draw(st.sampled_from(NAMES))
    cell = data.draw(st.sampled_from([cell for cell in cells(name) if re.search(r"\d", cell.text)]))
    at = data.draw(st.sampled_from([m.start() for m in re.finditer(r"\d", cell.text)]))
    digit = data.draw(st.sampled_from(other_digits(cell.text, at)))
    start = cell.start + at
    found = results(changed(name, {cell.line: (start, start + 1, digit)}))
    wrong = [r for r in found if r.verdict == "wrong"]
    assert {r.line - 1 for r in wrong} == {cell.line}
    assert len(wrong) == 1
    assert wrong[0].column - 1 <= start < wrong[0].column - 1 + len(wrong[0].claimed)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_digit_more_or_less_is_found(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    numbers = [
        (cell, match.start(), match.end()) for cell in cells(name) for match in re.finditer(r"(?<![\d,.])\d+(?![\d,.])", cell.text)
    ]
    cell, start, end = data.draw(st.sampled_from(numbers))
    number = cell.text[start:end]
    longer = number + data.draw(st.sampled_from("0123456789"))
    new = data.draw(st.sampled_from([longer, number[:-1]] if len(number) > 1 else [longer]))
    found = results(changed(name, {cell.line: (cell.start + start, cell.start + end, new)}))
    assert {r.line - 1 for r in found if r.verdict == "wrong"} == {cell.line}


# A word of a card, and one that says something else.
WORDS = (
    ("GQA", "MHA"), ("MHA", "GQA"), ("MQA", "MLA"), ("MLA", "GQA"), ("RMSNorm", "LayerNorm"), ("LayerNorm", "RMSNorm"), ("SwiGLU", "GeGLU"),
    ("GeGLU", "SwiGLU"), ("GELU", "SwiGLU"), ("MoE", "Dense"), ("Dense", "MoE"), ("yes", "no"), ("no", "yes"), ("RoPE", "ALiBi"),
    ("YaRN", "LongRoPE"), ("pre", "post"), ("learned", "sinusoidal"), ("sliding", "chunked"),
)  # fmt: skip
WORD_ROWS = {"Type", "Attention", "Norm", "Activation", "Position", "QK-norm", "Attention bias", "Tied embeddings"}


def word_changes(name: str) -> Iterator[tuple[Cell, int, str, str]]:
    for cell in cells(name):
        if cell.label in WORD_ROWS or cell.label.startswith("Fits "):
            for old, new in WORDS:
                if (match := re.search(rf"(?<![\w]){old}(?![\w])", cell.text)) and not re.search(rf"\b{new}\b", cell.text):
                    yield cell, match.start(), old, new


def test_any_word_changed_is_found() -> None:
    tried: set[tuple[str, str]] = set()
    for name in NAMES:
        changes = list(word_changes(name))
        for turn in range(max(sum(c[0].line == x[0].line for c in changes) for x in changes)):
            by_line: dict[int, list[tuple[Cell, int, str, str]]] = {}
            for change in changes:
                by_line.setdefault(change[0].line, []).append(change)
            chosen = {line: found[turn % len(found)] for line, found in by_line.items()}
            edits = {line: (c.start + at, c.start + at + len(old), new) for line, (c, at, old, new) in chosen.items()}
            wrong = {r.line - 1 for r in results(changed(name, edits)) if r.verdict == "wrong"}
            assert {line: chosen[line] for line in edits if line not in wrong} == {}, name
            tried |= {(cell.label.partition(" on ")[0], old) for cell, _, old, _ in chosen.values()}
    assert {label for label, _ in tried} >= WORD_ROWS
    assert {old for _, old in tried} >= {old for old, _ in WORDS}


# The command


@pytest.mark.parametrize("source", ["gpt2", "deepseek-v3", "openai/gpt-oss-20b"])
def test_the_command_prints_a_section_that_check_accepts(source: str, cli: Run, tmp_path: Path) -> None:
    done = cli("card", source, "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"<!-- archcalc:begin {source} -->\n")
    assert done.stdout.endswith("<!-- archcalc:end -->\n")
    (tmp_path / "card.md").write_text(f"# Some model\n\n{done.stdout}", encoding="utf-8")
    checked = cli("check", "card.md", "--require-claims", "--offline")
    assert checked.returncode == 0
    assert " 0 wrong, 0 not verifiable" in checked.stdout


def test_a_card_of_a_local_config(cli: Run, tmp_path: Path) -> None:
    """The marker's path is one from the card's folder, wherever the command is called."""
    (tmp_path / "model").mkdir()
    config = {**zoo.config("llama-3-8b"), "num_hidden_layers": 31}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert cli("card", "./config.json", "--update", "model/README.md", "--offline").returncode == 0
    text = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "| Layers | 31 |" in text
    assert cli("check", "model/README.md", "--offline").returncode == 0
    (tmp_path / "model" / "config.json").write_text(json.dumps(zoo.config("llama-3-8b")), encoding="utf-8")
    assert cli("check", "model/README.md", "--offline").returncode == 1
    assert cli("card", "--update", "model/README.md", "--offline").returncode == 0
    assert "| Layers | 32 |" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert cli("check", "model/README.md", "--offline").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["card"], "no model"),
        (["card", "no-such-model"], "no-such-model"),
        (["card", "-"], "no source"),
        (["card", "--update", "absent.md"], "absent.md"),
        (["card", "a b/config.json"], "a b/config.json"),
    ],
    ids=" ".join,
)
def test_wrong_calls(arguments: list[str], said: str, cli: Run) -> None:
    done = cli(*arguments, "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "internal" not in done.stderr


def test_no_card_states_guesses(cli: Run, tmp_path: Path) -> None:
    config = {**zoo.config("llama-3-8b"), "model_type": "zorblax"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = cli("card", "./config.json", "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert "zorblax" in done.stderr


# Updating


STALE = "<!-- archcalc:begin gpt2 -->\nold\n<!-- archcalc:end -->"
AROUND = [
    ("# Title\n\n", "\n\nafter\n"),
    ("# Title\n\n", ""),
    ("", "\n"),
    ("---\nlicense: mit\n---\n\n# T\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n", "\n\ntrailing blanks   \n\n\n\t\nno end of line"),
    ("\ufeff# With a mark\n\n", "\n"),
    ("über — 模型\n\n", "\n\n\u200fעברית\n"),
]


@pytest.mark.parametrize(("before", "after"), AROUND)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_update_touches_nothing_outside_of_the_markers(
    before: str, after: str, newline: str, encoding: str, cli: Run, tmp_path: Path
) -> None:
    if encoding != "utf-8" and not before.startswith("\ufeff"):
        before = f"\ufeff{before}"
    file = tmp_path / "card.md"
    file.write_bytes(f"{before}{STALE}{after}".replace("\n", newline).encode(encoding))
    done = cli("card", "--update", "card.md", "--offline")
    assert (done.returncode, done.stdout) == (0, "")
    assert "card.md written" in done.stderr
    written = file.read_bytes().decode(encoding)
    expected = f"{before}{card('gpt2').rstrip()}{after}".replace("\n", newline)
    assert written == expected
    assert cli("check", "card.md", "--require-claims", "--offline").returncode == 0
    stamp = file.stat().st_mtime_ns, file.stat().st_ino
    again = cli("card", "--update", "card.md", "--offline")
    assert again.returncode == 0
    assert "up to date" in again.stderr
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == stamp


@settings(max_examples=50, deadline=None)
@given(
    before=st.text(alphabet="ab #|-\n\t`<>ü模", max_size=60),
    after=st.text(alphabet="ab #|-\n\t`<>ü模", max_size=60),
)
def test_update_is_idempotent(before: str, after: str) -> None:
    """Whatever stands around a section, a second update changes nothing, or both refuse the file."""
    text = f"{before}\n\n{STALE}\n\n{after}"
    try:
        once = write.update(text, card, None)
    except FormatError:
        return
    assert once == text.replace(STALE, card("gpt2").rstrip())
    assert write.update(once, card, None) == once


def test_sections_of_several_models(cli: Run, tmp_path: Path) -> None:
    """Each is written from its own source; naming one leaves the other as it is, and a new one goes to the end."""
    old = STALE.replace("gpt2", "qwen3-0.6b")
    file = tmp_path / "card.md"
    file.write_text(f"{STALE}\n\n{old}\n", encoding="utf-8")
    assert cli("card", "gpt2", "--update", "card.md", "--offline").returncode == 0
    assert file.read_text(encoding="utf-8") == f"{card('gpt2')}\n{old}\n"
    assert cli("card", "--update", "card.md", "--offline").returncode == 0
    both = f"{card('gpt2')}\n{card('qwen3-0.6b')}"
    assert file.read_text(encoding="utf-8") == both
    assert cli("card", "gpt2-medium", "--update", "card.md", "--offline").returncode == 0
    assert file.read_text(encoding="utf-8") == f"{both}\n{card('gpt2-medium')}"
    assert cli("check", "card.md", "--offline").returncode == 0


def test_a_new_file_is_made_for_a_named_model(cli: Run, tmp_path: Path) -> None:
    assert cli("card", "gpt2", "--update", "new.md", "--offline").returncode == 0
    assert (tmp_path / "new.md").read_text(encoding="utf-8") == f"# gpt2\n\n{card('gpt2')}"


BEGIN, END = "<!-- archcalc:begin gpt2 -->", "<!-- archcalc:end -->"
NO_PAIRS = {
    "no markers": ("# Title\n", "no generated section"),
    "empty": ("", "no generated section"),
    "no end": (f"# T\n\n{BEGIN}\n\ntext\n", "line 3: a generated section never ends"),
    "no begin": (f"# T\n\ntext\n\n{END}\n", "line 5: a generated section ends that never began"),
    "reversed": (f"{END}\n\ntext\n\n{BEGIN}\n", "line 1: a generated section ends that never began"),
    "begin twice": (f"{BEGIN}\n\n{BEGIN}\n\n{END}\n", "line 3: a generated section begins inside another"),
    "end twice": (f"{BEGIN}\n{END}\n\n{END}\n", "line 4: a generated section ends that never began"),
    "no source": (f"<!-- archcalc:begin -->\n{END}\n", "names no source"),
    "unknown source": (f"<!-- archcalc:begin nosuch -->\n{END}\n", "nosuch"),
    "shown as code": (f"```\n{BEGIN}\n{END}\n```\n", "no generated section"),
    "in a code span": (f"Between `{BEGIN}` and `{END}`.\n", "no generated section"),
    "indented as code": (f"text\n\n    {BEGIN}\n    {END}\n", "no generated section"),
}


@pytest.mark.parametrize("case", NO_PAIRS)
def test_markers_that_are_no_pairs_are_one_message(case: str, cli: Run, tmp_path: Path) -> None:
    text, said = NO_PAIRS[case]
    file = tmp_path / "card.md"
    file.write_text(text, encoding="utf-8")
    done = cli("card", "--update", "card.md", "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("archcalc: ") == 1
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("page", ["model/config.json", "config.md"])
def test_a_config_is_not_taken_for_a_page(page: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    text = json.dumps(zoo.config("llama-3.1-8b"))
    (tmp_path / "model" / "config.json").write_text(text, encoding="utf-8")
    (tmp_path / page).write_text(text, encoding="utf-8")
    done = cli("card", "model", "--update", page, "--offline")
    assert done.returncode == 2
    assert page in done.stderr
    assert (tmp_path / page).read_text(encoding="utf-8") == text


def test_what_is_no_text_is_refused(cli: Run, tmp_path: Path) -> None:
    for name, data in (("x.png", b"\x89PNG\r\n\x1a\n\0\0"), ("latin.md", "für\n".encode("latin-1")), ("odd.md", b"\xff\xfe#")):
        (tmp_path / name).write_bytes(data)
        for arguments in (["card", "--update", name], ["card", "gpt2", "--update", name]):
            done = cli(*arguments, "--offline")
            assert (done.returncode, done.stdout) == (2, "")
            assert name in done.stderr
            assert (tmp_path / name).read_bytes() == data


# Writing


def test_a_failed_write_leaves_the_file_and_nothing_else(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "card.md"
    file.write_text(f"{STALE}\n", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("replace", "fsync"):
        with monkeypatch.context() as patched:
            patched.setattr(os, call, full)
            done = cli("card", "--update", "card.md", "--offline")
        assert (done.returncode, done.stdout) == (2, "")
        assert "card.md cannot be written: No space left on device" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["card.md"]
        assert file.read_text(encoding="utf-8") == f"{STALE}\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(cli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "card.md").write_text(f"{STALE}\n", encoding="utf-8")
    folder.chmod(0o500)
    try:
        done = cli("card", "--update", "locked/card.md", "--offline")
    finally:
        folder.chmod(0o700)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert (folder / "card.md").read_text(encoding="utf-8") == f"{STALE}\n"


def test_writing_keeps_permissions_and_links(tmp_path: Path) -> None:
    file, link = tmp_path / "real.md", tmp_path / "link.md"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o640)
    link.symlink_to(file)
    replace_file(str(link), "new")
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    with pytest.raises(SourceError, match="absent"):
        replace_file(str(tmp_path / "absent" / "card.md"), "new")


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    "name",
    [
        "bert",
        "clip",
        "deepseek_v4",
        "falcon_h1",
        "glm5_next",
        "jamba",
        "lfm2",
        "mamba2",
        "musicgen",
        "rwkv",
        "t5",
        "wav2vec2",
        "whisper",
    ],
)
def test_what_a_card_says_of_any_kind_of_model_holds(name: str, cli: Run, tmp_path: Path) -> None:
    row = json.loads((GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (tmp_path / "config.json").write_text(json.dumps(row["config"]), encoding="utf-8")
    written = cli("card", "config.json", "--offline")
    assert written.returncode == 0, written.stderr
    (tmp_path / "card.md").write_text(written.stdout, encoding="utf-8")
    done = cli("check", "card.md", "--offline", "--require-claims")
    assert done.returncode == 0, done.stdout
    # One digit more is found as anywhere else.
    text = re.sub(r"(\| Total parameters \| \d[\d,]*)", r"\g<1>9", written.stdout)
    (tmp_path / "card.md").write_text(text, encoding="utf-8")
    assert text == written.stdout or cli("check", "card.md", "--offline").returncode == 1


def test_a_byte_order_mark_is_no_part_of_a_table(cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(b"\xef\xbb\xbf| Model | Layers |\n|--|--|\n| Llama 3.1 8B | 31 |\n")
    assert cli("check", "page.md", "--offline").returncode == 1
    cli("check", "page.md", "--offline", "--fix")
    assert page.read_bytes() == b"\xef\xbb\xbf| Model | Layers |\n|--|--|\n| Llama 3.1 8B | 32 |\n"
