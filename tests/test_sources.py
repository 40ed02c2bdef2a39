"""How a SOURCE is told apart, and what becomes of input that is not a config."""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc import sources, zoo
from archcalc.errors import (
    ArchcalcError,
    FormatError,
    OfflineError,
    SourceError,
    SourceNotFoundError,
    UnsupportedError,
    UsageError,
)

CONFIG = {"model_type": "llama", "hidden_size": 64}
REAL = (Path(zoo.__file__).parent / "configs" / "llama-3.1-8b.json").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a Hub cache of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, content: Any = CONFIG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# Which source is meant


@pytest.mark.parametrize(
    "text", ["llama-3.1-8b", "Llama-3.1-8B", "Llama 3.1 8B", "llama3.1:8b", "meta-llama/Llama-3.1-8B", "META-LLAMA/llama-3.1-8b"]
)
def test_bundled_names_aliases_and_repositories(text: str) -> None:
    got = sources.resolve(text, offline=True)
    assert (got.name, got.kind, got.format, got.revision) == ("llama-3.1-8b", "bundled", "hf-config", None)
    assert got.repo == "meta-llama/Llama-3.1-8B"
    assert got.config["hidden_size"] == 4096
    assert "bundled" in got.note


def test_files_and_folders(folder: Path) -> None:
    write(folder / "some" / "model" / "config.json")
    write(folder / "other.txt", {"model_type": "gpt2"})
    for text in ("some/model", "some/model/", "some/model/config.json", "./some/model", str(folder / "some" / "model")):
        got = sources.resolve(text)
        assert (got.name, got.kind, got.config) == (text, "file", CONFIG)
        assert got.path
        assert Path(got.path).samefile(folder / "some" / "model" / "config.json")
    assert sources.resolve("other.txt").config == {"model_type": "gpt2"}


def test_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    write(folder / "m" / "config.json")
    assert sources.resolve("~/m").config == CONFIG


def test_a_bundled_name_means_the_same_everywhere_and_a_path_is_the_way_around_it(folder: Path) -> None:
    write(folder / "gpt2" / "config.json")
    bundled = sources.resolve("gpt2")
    assert bundled.kind == "bundled"
    assert "./gpt2" in bundled.note
    assert sources.resolve("./gpt2").config == CONFIG
    assert sources.resolve("gpt2/").kind == "file"


def test_what_is_on_disk_wins_over_a_repository(folder: Path) -> None:
    write(folder / "Qwen" / "Qwen3-8B" / "config.json")
    assert sources.resolve("Qwen/Qwen3-8B").kind == "file"
    assert sources.resolve("hf://Qwen/Qwen3-8B").kind == "bundled"
    (folder / "Qwen" / "Qwen3-4B").mkdir()
    with pytest.raises(SourceNotFoundError, match=r"folder without a config\.json") as caught:
        sources.resolve("Qwen/Qwen3-4B")
    assert "hf://Qwen/Qwen3-4B" in caught.value.hint


def test_standard_input() -> None:
    got = sources.resolve("-", stdin=io.BytesIO(json.dumps(CONFIG).encode()))
    assert (got.name, got.kind, got.config) == ("-", "stdin", CONFIG)
    with pytest.raises(FormatError, match="standard input is empty"):
        sources.resolve("-", stdin=io.BytesIO(b""))
    with pytest.raises(FormatError, match="standard input has more than 16 MiB"):
        sources.resolve("-", stdin=io.BytesIO(b" " * (sources.MAX_BYTES + 1)))


@pytest.mark.parametrize(
    ("text", "repo", "revision"),
    [
        ("https://huggingface.co/org/name", "org/name", None),
        ("huggingface.co/org/name/", "org/name", None),
        ("https://hf.co/org/name?x=1", "org/name", None),
        ("https://huggingface.co/org/name/tree/v2", "org/name", "v2"),
        ("https://huggingface.co/org/name/blob/abc/config.json", "org/name", "abc"),
        ("hf://org/name@v3", "org/name", "v3"),
        ("org/name@refs/pr/1", "org/name", "refs/pr/1"),
        ("gpt2@v1", "openai-community/gpt2", "v1"),
        ("openai-community/gpt2@v1", "openai-community/gpt2", "v1"),
    ],
)
def test_what_the_hub_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, repo: str, revision: str | None
) -> None:
    from archcalc import hub

    asked: list[Any] = []

    def fetch(*args: Any, **options: Any) -> hub.Fetched:
        asked.append((args, options))
        return hub.Fetched(str(write(folder / "c.json")), "c0ffee", False, "")

    monkeypatch.setattr(hub, "fetch", fetch)
    got = sources.resolve(text)
    assert asked == [((repo, revision), {"offline": False, "refresh": False})]
    assert (got.name, got.repo, got.kind, got.revision, got.config) == (repo, repo, "hub", "c0ffee", CONFIG)


@pytest.mark.parametrize(
    ("text", "error", "message", "hint"),
    [
        ("llama-3.1-8c", SourceNotFoundError, "neither a bundled model nor a file", "did you mean llama-3.1-8b"),
        ("deepseekv33", SourceNotFoundError, "deepseekv33", "deepseek-v3"),
        ("xyzzy", SourceNotFoundError, "xyzzy", "archcalc models"),
        ("a/b/c", SourceNotFoundError, "not a Hub repository id", "org/name"),
        ("./nothing", SourceNotFoundError, r"\./nothing: no such file or folder", "config.json"),
        ("some/where/config.json", SourceNotFoundError, "no such file or folder", "config.json"),
        ("", UsageError, "not a SOURCE", "bundled name"),
        ("  ", UsageError, "not a SOURCE", "bundled name"),
        ("a\0b", UsageError, "not a SOURCE", "bundled name"),
        ("x" * 5000 + ".json", SourceNotFoundError, "no such file", "config.json"),
        ("https://huggingface.co/datasets/a/b", UsageError, "hold no model", "repository"),
        ("hf://nobody", UsageError, "not the address of a model", "org/name"),
    ],
)
def test_sources_that_are_not_there(folder: Path, text: str, error: type[ArchcalcError], message: str, hint: str) -> None:
    with pytest.raises(error, match=message) as caught:
        sources.resolve(text)
    assert hint in caught.value.hint


def test_offline_and_refresh_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        sources.resolve("gpt2", offline=True, refresh=True)


def test_offline_never_opens_a_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OfflineError):
        sources.resolve("nobody/has-this-in-their-cache", offline=True)


def test_a_link_to_nowhere(folder: Path) -> None:
    (folder / "dangling").symlink_to(folder / "gone")
    with pytest.raises(SourceNotFoundError, match="a link to a file that is not there"):
        sources.resolve("./dangling")
    (folder / "m").mkdir()
    (folder / "m" / "config.json").symlink_to(folder / "gone")
    with pytest.raises(SourceNotFoundError, match="no such file"):
        sources.resolve("./m")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("model_index.json", UnsupportedError, "a diffusers pipeline"),
        ("adapter_config.json", UnsupportedError, "an adapter, not a model"),
        ("model.txt", SourceNotFoundError, "without a config.json"),
    ],
)
def test_folders_that_hold_something_else(folder: Path, name: str, error: type[ArchcalcError], message: str) -> None:
    write(folder / "m" / name)
    with pytest.raises(error, match=message):
        sources.resolve("m")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30.0"}, UnsupportedError, "diffusers"),
        ({"metadata": {}, "weight_map": {}}, FormatError, "a checkpoint's index"),
        ({"peft_type": "LORA", "base_model_name_or_path": "x"}, UnsupportedError, "an adapter"),
    ],
)
def test_json_that_is_something_else(folder: Path, content: Any, error: type[ArchcalcError], message: str) -> None:
    write(folder / "c.json", content)
    with pytest.raises(error, match=message):
        sources.resolve("c.json")


def test_a_pickle_is_not_read(folder: Path) -> None:
    write(folder / "pytorch_model.bin", b"PK\3\4")
    with pytest.raises(UnsupportedError, match="is a pickle"):
        sources.resolve("pytorch_model.bin")


# Reading


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", FormatError, "is empty"),
        (b" \n\t ", FormatError, "is empty"),
        (b"hello", FormatError, "not JSON: expecting value at line 1, column 1"),
        (b'{"a": 1,}', FormatError, "not JSON: .* at line 1, column"),
        (b'{"a": 1}\n{"b": 2}', FormatError, "not JSON: extra data at line 2, column 1"),
        (b"{'a': 1}", FormatError, "not JSON"),
        (b'{\n  "a": 1,\n  "b": [1, 2', FormatError, "truncated: .* at line 3, column 13"),
        (b'{"a": "unfini', FormatError, "truncated: .* at line 1, column 7"),
        (b'{"a": 1, "b"', FormatError, "truncated"),
        (b"{", FormatError, "truncated"),
        (b"[1, 2]", FormatError, "holds a list: a config is a JSON object"),
        (b"3", FormatError, "holds a number"),
        (b"null", FormatError, "holds null"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', FormatError, "the key 'c' twice"),
        (b"[" * 200_000, FormatError, "nested too deeply"),
        (b'{"a":' * 200_000, FormatError, "nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", FormatError, "a number of thousands of digits"),
        (b"\xff\xfe{\x00\x00\xd8", FormatError, "begins as UTF-16 and is not"),
        (b"\xef\xbb\xbf", FormatError, "truncated"),
        ('{"a": 1}'.encode("utf-16-le"), FormatError, "is not text"),
        ('{"a": 1}'.encode("utf-32"), FormatError, "UTF-16|not text"),
        (b'{\n"a": "caf\xe9"}', FormatError, "not UTF-8: byte 0xe9 in line 2"),
        (b'{"a": "\\ud800"}', FormatError, "lone surrogate"),
        (b"GGUF\x03\0\0\0", FormatError, "is not text"),
    ],
)
def test_what_is_not_a_config_is_named_and_explained(tmp_path: Path, data: bytes, error: type[ArchcalcError], message: str) -> None:
    path = write(tmp_path / "config.json", data)
    for source in (data, path):
        with pytest.raises(error, match=message) as caught:
            sources.read_json(source, "" if source is path else "the label")
        assert (str(path) if source is path else "the label") in caught.value.message
        assert caught.value.hint
        assert "\n" not in caught.value.message


def test_every_cut_of_a_real_config_is_truncated_or_not_json() -> None:
    text = REAL.rstrip()
    for end in range(1, len(text)):
        with pytest.raises(FormatError, match=r"truncated|not JSON"):
            sources.read_json(text[:end], "cut")


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u0dNaInfty-1e9 \n', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        assert isinstance(sources.read_json(data, "x"), dict)
    except FormatError as error:
        assert error.message.startswith("x ")


@given(st.integers(0, len(REAL) - 1), st.binary(max_size=4), st.integers(0, 3))
def test_a_damaged_config_is_read_or_refused(at: int, new: bytes, gone: int) -> None:
    try:
        assert isinstance(sources.read_json(REAL[:at] + new + REAL[at + gone :], "x"), dict)
    except FormatError as error:
        assert error.hint


def test_size_is_refused_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(100 * 10**6)  # takes no room on disk
    with pytest.raises(FormatError, match="has 95 MiB: no config is that large"):
        sources.read_json(path)
    with pytest.raises(FormatError, match="16 MiB"):
        sources.read_json(b" " * (sources.MAX_BYTES + 1), "bytes")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_a_device_is_no_file() -> None:
    with pytest.raises(SourceError, match="/dev/zero is a device, not a file"):
        sources.resolve("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(SourceError, match="is a pipe, not a file"):
        sources.resolve(str(pipe))
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "config.json")
    with pytest.raises(SourceError, match="is a pipe, not a file"):
        sources.resolve(str(folder))


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs /dev/fd")
def test_what_the_shell_opened_is_read() -> None:
    inner, outer = os.pipe()
    os.write(outer, json.dumps(CONFIG).encode())
    os.close(outer)
    assert sources.resolve(f"/dev/fd/{inner}").config == CONFIG
    os.close(inner)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_are_passed_over(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    data = mark + json.dumps({"a": "caf\u00e9", **CONFIG}, ensure_ascii=False).encode(encoding)
    assert sources.read_json(data, "x") == {"a": "caf\u00e9", **CONFIG}
    assert sources.resolve(str(write(tmp_path / "config.json", data))).config["a"] == "caf\u00e9"


def test_floats_beyond_json_are_read_as_real_configs_write_them() -> None:
    got = sources.read_json(
        b'{"a": Infinity, "b": -Infinity, "c": NaN, "d": {"__float__": "Infinity"}, "e": [0.0, {"__float__": "-Infinity"}],'
        b' "f": {"__float__": "NaN"}, "g": {"__float__": "one"}}',
        "x",
    )
    assert (got["a"], got["b"], got["d"], got["e"]) == (math.inf, -math.inf, math.inf, [0.0, -math.inf])
    assert math.isnan(got["c"])
    assert math.isnan(got["f"])
    assert got["g"] == {"__float__": "one"}


def test_text_beyond_ascii_is_kept() -> None:
    assert sources.read_json('{"a": "名", "b": "\\ud83d\\ude00"}'.encode(), "x") == {"a": "名", "b": "😀"}


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, which may read everything."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs permissions as POSIX has them")
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    path = write(tmp_path / "config.json")
    path.chmod(0)
    closed = tmp_path / "closed"
    write(closed / "config.json")
    closed.chmod(0)
    monkeypatch.chdir(tmp_path)
    try:
        with nobody():
            for text, message in (
                ("./config.json", "permission"),
                ("./closed", "permission|cannot be read"),
                ("./closed/config.json", "permission"),
            ):
                with pytest.raises(SourceError, match=message) as caught:
                    sources.resolve(text)
                assert text in caught.value.message
    finally:
        closed.chmod(0o755)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="is a folder, not a file"):
        sources.read_json(tmp_path)


# Overrides


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("a=1", "a", 1),
        ("a=1.5", "a", 1.5),
        ("a=silu", "a", "silu"),
        ('a="1"', "a", "1"),
        ("a=true", "a", True),
        ("a=null", "a", None),
        ("a=", "a", ""),
        ("a=x=y", "a", "x=y"),
        (" a = 2 ", "a", 2),
        ('a={"b": [1, {"c": 2}]}', "a", {"b": [1, {"c": 2}]}),
        ("a=[1, 2]", "a", [1, 2]),
        ('a={"__float__": "Infinity"}', "a", math.inf),
        ("nested.x=5", "nested", {"x": 5, "list": [1, 2, 3]}),
        ("nested.list.1=9", "nested", {"x": 1, "list": [1, 9, 3]}),
        ("nested.new.deep=1", "nested", {"x": 1, "list": [1, 2, 3], "new": {"deep": 1}}),
        ("nothing.x=1", "nothing", {"x": 1}),
    ],
)
def test_overrides(override: str, key: str, value: Any) -> None:
    config = {"a": 0, "nested": {"x": 1, "list": [1, 2, 3]}, "nothing": None}
    before = json.dumps(config)
    assert sources.apply_overrides(config, [override])[key] == value
    assert json.dumps(config) == before


def test_overrides_apply_in_order_and_share_nothing_that_changed() -> None:
    config = {"nested": {"list": [1, 2]}}
    got = sources.apply_overrides(config, ["nested.list.0=7", "nested.list.1=8", "b=1", "b=2"])
    assert got == {"nested": {"list": [7, 8]}, "b": 2}
    assert config == {"nested": {"list": [1, 2]}}
    assert sources.apply_overrides(config, []) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a", "KEY=VALUE was expected"),
        ("=1", "KEY=VALUE was expected"),
        ("a..b=1", "KEY=VALUE was expected"),
        ("a.b=1", "nothing below 0"),
        ("nested.list.3=1", "3 is no place in a list of 3"),
        ("nested.list.x=1", "x is no place in a list of 3"),
        ("nested.list.-1=1", "-1 is no place"),
        ('a={"b": 1, "b": 2}', "'b' stands twice"),
        ("a=" + "[" * 200_000, "nested too deeply"),
    ],
)
def test_overrides_that_cannot_be(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        sources.apply_overrides({"a": 0, "nested": {"list": [1, 2, 3]}}, [override])
    assert caught.value.hint


def test_a_bundled_source_needs_neither_pydantic_nor_the_hub() -> None:
    code = (
        "import sys; from archcalc import sources, zoo; sources.resolve('deepseek-v3'); zoo.spec('deepseek-v3');"
        " print([m for m in ('pydantic', 'huggingface_hub', 'difflib', 'importlib.resources', 'pathlib', 'urllib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


NEAR = [
    # What pages and Ollama's library call them, and what each could mean.
    ("deepseek-v4", {"deepseek-v4-pro", "deepseek-v4-flash"}),
    ("llama3.1", {"llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"}),
    ("qwen2.5", {"qwen2.5-7b"}),
    ("gemma3", {"gemma-3-4b", "gemma-3-12b"}),
    ("deepseek-r1:32b", {"deepseek-r1-distill-qwen-32b"}),
    ("deepseek-r1:70b", {"deepseek-r1-distill-llama-70b"}),
    ("gpt-oss", {"gpt-oss-20b", "gpt-oss-120b"}),
    ("llama3.3", {"llama-3.3-70b"}),
    ("phi", {"phi-4"}),
]


@pytest.mark.parametrize(("text", "meant"), NEAR, ids=[text for text, _ in NEAR])
def test_a_name_that_several_begin_with_finds_them_and_no_others(text: str, meant: set[str]) -> None:
    with pytest.raises(SourceNotFoundError) as found:
        sources.resolve(text, offline=True)
    named = set(re.findall(r"[\w.]+-[\w.-]+", found.value.hint.partition("?")[0]))
    assert meant <= named
    # Each of them has all of the words that were given.
    words = [word for word in re.split(r"[-: ]", text) if word]
    assert all(all(word in name.replace("-", "") for word in words) for name in named), named


def test_every_family_finds_some_of_it() -> None:
    for family in ("GLM", "Kimi", "Mistral", "MiniMax", "Granite"):
        with pytest.raises(SourceNotFoundError) as found:
            sources.resolve(family, offline=True)
        assert found.value.hint.count(family.lower()) >= 2


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("qwen3-coder", {"qwen3-coder-30b-a3b", "qwen3-coder-next"}),
        ("qwen3-coder-480b", set()),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct", set()),
        ("kimi-k2", set()),
        ("gemma-3-4b-it", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_short_name_was_taken_for_is_said(text: str, others: set[str]) -> None:
    source = sources.resolve(text, offline=True)
    assert source.taken is bool(others)
    assert all(name in source.note for name in others) and ("taken for" in source.note) is bool(others)
