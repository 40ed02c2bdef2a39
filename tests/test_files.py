"""What is written is whole or not there, what is read is a file, and what is printed holds no codes."""

from __future__ import annotations

import csv
import io
import os
import socket
from pathlib import Path

import pytest

from archcalc import files
from archcalc.cards import fix
from archcalc.errors import SourceError, UsageError
from archcalc.render.plain import plain
from archcalc.render.rows import Column, markdown_cell, write_csv


def test_an_edit_made_meanwhile_is_kept(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("before", encoding="utf-8")
    fix.write(str(card), "mended", before="before")
    assert card.read_text(encoding="utf-8") == "mended"
    card.write_text("edited", encoding="utf-8")
    with pytest.raises(SourceError, match="was changed in the meantime"):
        fix.write(str(card), "mended again", before="mended")
    assert card.read_text(encoding="utf-8") == "edited"
    assert os.listdir(tmp_path) == ["card.md"]


def test_an_edit_in_the_moment_of_replacing_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = tmp_path / "card.md"
    card.write_text("before", encoding="utf-8")
    replace = os.replace

    def late(source: str, target: str) -> None:
        if not source.endswith("-old"):
            with card.open("a", encoding="utf-8") as file:
                file.write(" and edited")
        replace(source, target)

    monkeypatch.setattr(os, "replace", late)
    with pytest.raises(SourceError, match="was changed in the meantime"):
        fix.write(str(card), "mended", before="before")
    assert card.read_text(encoding="utf-8") == "before and edited"
    assert os.listdir(tmp_path) == ["card.md"]


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old", encoding="utf-8")
    page.chmod(0o640)

    def breaks() -> None:
        with files.replacing(str(page)) as temporary:
            Path(temporary).write_text("ha", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaks()
    assert page.read_text(encoding="utf-8") == "old"
    files.write_text(str(page), "new")
    assert (page.read_text(encoding="utf-8"), page.stat().st_mode & 0o777) == ("new", 0o640)
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_outputs_that_are_no_files_or_sources(tmp_path: Path) -> None:
    pipe, config = tmp_path / "pipe", tmp_path / "config.json"
    os.mkfifo(pipe)
    config.write_text("{}", encoding="utf-8")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    for name, kind in ((str(pipe), "a pipe"), (str(tmp_path / "socket"), "a socket"), ("/dev/null", "a device")):
        with pytest.raises(UsageError, match=f"is {kind}, not a file"):
            files.check_output(name)
    os.link(config, tmp_path / "other.json")
    for out, source in ((config, config), (tmp_path / "other.json", config), (config, tmp_path)):
        with pytest.raises(UsageError, match="is read as a source"):
            files.check_output(str(out), [str(source)])
    # A link from elsewhere into a folder that is a source.
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "out.html").symlink_to(folder / "config.json")
    os.link(folder / "config.json", tmp_path / "rows.jsonl")
    for name in ("out.html", "rows.jsonl"):
        with pytest.raises(UsageError, match="is read as a source"):
            files.check_output(str(tmp_path / name), [str(folder)])
    files.check_output(str(tmp_path / "page.html"), [str(tmp_path), str(config), "llama-3.1-8b"])


@pytest.mark.parametrize("text", ["\x1b]0;pwned\x07", "\x9b31m", "a\rb", "\u202etxt", "\x7f", "\x00"])
def test_codes_are_written_out(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert plain(shown) == shown


@pytest.mark.parametrize("text", ["caf\u00e9 \u4e2d\u6587", "a\tb\n", "line\r\n", "\u2588"])
def test_other_text_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("-1.5", "-1.5"),
        (-3, "-3"),
        (None, ""),
        ("x=1", "x=1"),
    ],
)
def test_no_cell_is_a_formula(value: object, cell: str) -> None:
    out = io.StringIO()
    write_csv([Column("a", "a")], [{"a": value}], out)
    assert next(iter(list(csv.reader(io.StringIO(out.getvalue())))[1:])) == ([cell] if cell else [""])


def test_a_cell_of_markdown_opens_no_tag() -> None:
    assert markdown_cell("<script>|a\nb < 3") == "&lt;script>\\|a b < 3"
