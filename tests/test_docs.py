"""README and docs say what the program does: examples are real output, commands and links exist, the commands are those of CI."""

from __future__ import annotations

import ast
import doctest
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from archcalc.cli import COMMANDS, build

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import build_docs  # noqa: E402

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_generated_documents_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/build_docs.py", "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_example_that_ends_otherwise_is_a_problem() -> None:
    problems: list[str] = []
    with build_docs.workplace():
        made = build_docs.with_examples("<!-- example: archcalc inspect no-such-model -->\n<!-- end -->", problems)
    assert len(problems) == 1
    assert "exit 2, not 0" in problems[0]
    assert "'no-such-model' is neither" in made


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if ">>> " in p.read_text(encoding="utf-8")], ids=name)
def test_python_examples_run(path: Path) -> None:
    failed, tried = doctest.testfile(str(path), module_relative=False)
    assert (failed, tried > 2) == (0, True)


def shell_lines() -> list[tuple[str, list[str]]]:
    """Every command line of archcalc in a block that is not generated."""
    found = []
    for path in DOCUMENTS:
        text = build_docs._EXAMPLE.sub("", path.read_text(encoding="utf-8"))
        for _, language, block in _FENCE.findall(text):
            lines = block.replace("\\\n", " ").splitlines() if language in ("console", "sh", "bash") else []
            for line in lines:
                at = re.match(r"(?:\$ )?archcalc (?!:)(.*)", line.strip())
                if at:
                    found.append((name(path), build_docs.pipeline(f"archcalc {at[1]}")[0]))
    return found


def test_commands_that_cannot_be_run_here_are_parsed() -> None:
    """Those that need a network, a checkpoint or a browser: commands, options and values exist all the same."""
    lines = shell_lines()
    assert len(lines) > 5
    for path, line in lines:
        assert line[1] in COMMANDS, (path, line)
        group = typer.main.get_command(build(line[1]))
        group.commands[line[1]].make_context(line[1], line[2:])  # type: ignore[attr-defined]


JQ = [
    (["-c", ".a"], '{"a": {"b": [1, 2]}}'),
    ([".a.b[]"], '{"a": {"b": [1, {"x": "y"}]}}'),
    (["-r", ".[] | .name"], '[{"name": "x"}, {"name": "y"}]'),
    (["-c", ".a[1] | {b, d: .c.d}"], '{"a": [0, {"b": null, "c": {"d": 2.5}}]}'),
    (["-c", 'select(.x == "y") | {x}'], '{"x": "y"}\n{"x": "z"}'),
    (["-c", "select(.fits) | {n}"], '{"fits": true, "n": 1}\n{"fits": null, "n": 2}'),
    (["-c", ".[] | select(.n < 3) | {n}"], '[{"n": 1}, {"n": 5}]'),
]


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize(("arguments", "text"), JQ, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_filters_print_what_jq_prints(arguments: list[str], text: str) -> None:
    real = subprocess.run(["jq", *arguments], input=text, capture_output=True, text=True, check=True).stdout
    assert build_docs.jq(arguments, text) == real


def test_every_filter_of_the_documents_is_one_that_jq_has() -> None:
    stages = [stage for path in DOCUMENTS for match in build_docs._EXAMPLE.finditer(path.read_text(encoding="utf-8"))
              for stage in build_docs.pipeline(match["command"])[1:]]  # fmt: skip
    assert {stage[0] for stage in stages} <= {"jq", "head"}
    if jq := shutil.which("jq"):
        for stage in stages:
            if stage[0] == "jq":
                # 3 is jq's status for a filter that does not compile.
                done = subprocess.run([jq, *stage[1:]], input="", capture_output=True, text=True, check=False)
                assert done.returncode == 0, (stage, done.stderr)


SECTIONS = ("## Examples", "## Options", "## Exit status")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page(command: str) -> None:
    text = (ROOT / "docs" / "commands" / f"{command}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# archcalc {command}\n")
    places = [text.index(f"{section}\n") for section in SECTIONS]
    assert places == sorted(places)
    assert f"$ archcalc {command} --help\n" in text
    # What waits for a client has one way to be started.
    assert text.count(f"$ archcalc {command}") >= (2 if command == "mcp" else 3)
    assert f"({command}.md)" in (ROOT / "docs" / "commands" / "index.md").read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as Python-Markdown makes them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", head.replace("`", "")).strip().lower()) for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_site_has_every_page() -> None:
    def pages(entries: object) -> list[str]:
        if isinstance(entries, str):
            return [entries]
        values = entries.values() if isinstance(entries, dict) else entries
        return [page for value in values for page in pages(value)]  # type: ignore[attr-defined]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(pages(nav)) == sorted(there)


def test_examples_hold_what_they_show() -> None:
    config = json.loads((ROOT / "examples" / "tiny" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "llama"
    assert (ROOT / "examples" / "tiny" / "model.safetensors").stat().st_size < 4096


def test_ci_runs_the_command_of_the_readme() -> None:
    command = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/python -m pytest -n auto"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith(command)


def test_places_in_the_code_that_the_documents_name_are_there() -> None:
    """`file: name` below src/archcalc, where name is defined or assigned at the top of the file."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py): (\w+)`", text)
    assert len(named) > 15
    for file, what in named:
        tree = ast.parse((ROOT / "src" / "archcalc" / file).read_text(encoding="utf-8"))
        found = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        found |= {
            n.id
            for node in tree.body
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            for n in ast.walk(node)
            if isinstance(n, ast.Name)
        }
        assert what in found, f"{file}: {what}"
    # Files and folders that stand alone.
    for path in re.findall(r"`((?:tests|scripts)/[\w.]+|[a-z]+/[\w/.]*)`", text):
        assert (ROOT / path).exists() or (ROOT / "src" / "archcalc" / path).exists(), path


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells in order, in one namespace, the last value of each shown as a notebook shows it."""
    import ast

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cells = [
        c for c in json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"
    ]
    space: dict[str, object] = {}
    shown = []
    for cell in cells:
        assert cell["outputs"] == [] and cell["execution_count"] is None
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "notebook", "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "notebook", "eval"), space)
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
    assert len(shown) == len(cells)
    assert "<pre" in shown[0] and shown[1] == "8030261248" and "<table" in shown[3] and "<svg" in shown[4]
