"""`archcalc check` where it runs: the GitHub Action and the pre-commit hooks, as their files say, in a repository made for the test."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Run

ROOT = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
BASH = shutil.which("bash")
WRONG = "# Card\n\n| Model | Context | Layers |\n| --- | --- | --- |\n| Llama 3 8B | 128k | 32 |\n"
RIGHT = WRONG.replace("128k", "8k")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with cards, and a folder for programs."""
    folder = tmp_path / "work"
    for name, text in (("README.md", WRONG), ("docs/right.md", RIGHT), ("docs/with blank.md", RIGHT), ("docs/text.md", "# Text\n")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    # What the step before has installed.
    (programs / "archcalc").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m archcalc "$@"\n', encoding="utf-8")
    (programs / "archcalc").chmod(0o755)
    return folder


def run_step(name: str, repository: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """One step of the action as the runner runs it (GitHub Docs, "Workflow syntax", defaults.run.shell)."""
    step = STEPS[name]
    assert step["shell"] == "bash"
    given = {key: str(spec.get("default", "")) for key, spec in ACTION["inputs"].items()} | inputs
    env = {key: value for key, value in os.environ.items() if not key.startswith(("FILES", "ARGS", "SARIF"))}
    env |= {
        "PATH": f"{repository.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "GITHUB_ACTION_PATH": str(ROOT),
    }
    for key, value in step.get("env", {}).items():
        env[key] = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
    assert BASH is not None
    script = repository.parent / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    return subprocess.run(
        [BASH, "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=repository, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_action_is_a_composite_one_whose_inputs_are_used() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for key in ("name", "description", "author"):
        assert ACTION[key]
    used = set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])
    assert all(spec["description"] and "default" in spec for spec in ACTION["inputs"].values())
    for step in STEPS.values():
        # An expression inside a script would be code of whoever writes the input.
        assert "${{" not in step.get("run", "")
        assert "run" in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


needs_bash = pytest.mark.skipif(BASH is None, reason="no bash here")


@needs_bash
def test_the_action_installs_itself(repository: Path) -> None:
    python = repository.parent / "bin" / "python"
    python.write_text('#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n', encoding="utf-8")
    python.chmod(0o755)
    done = run_step("Install", repository)
    assert done.returncode == 0
    arguments = done.stdout.splitlines()
    assert arguments[:3] == ["-m", "pip", "install"]
    assert Path(arguments[-1]) == ROOT
    assert (ROOT / "pyproject.toml").exists()


@needs_bash
@pytest.mark.parametrize(
    ("inputs", "status", "annotated", "summary"),
    [
        ({}, 1, ["README.md"], "1 file, 2 claims"),
        ({"files": "docs/*.md"}, 0, [], "3 files, 4 claims"),
        ({"files": "docs\nREADME.md\n"}, 1, ["README.md"], "4 files, 6 claims"),
        ({"files": "docs/text.md", "args": "--require-claims\n--tolerance=0.5%\n\n"}, 1, ["docs/text.md"], "1 file, no claims"),
        ({"files": "absent.md"}, 2, ["absent.md"], "0 files, no claims"),
        ({"files": "$(touch owned) `touch owned` ; touch owned"}, 1, None, "0 files"),
        ({"args": "--nonsense"}, 2, None, ""),
    ],
)
def test_the_action_annotates_and_fails(
    inputs: dict[str, str], status: int, annotated: list[str] | None, summary: str, repository: Path
) -> None:
    done = run_step("Check", repository, **inputs)
    assert done.returncode == status, done.stderr
    assert summary in done.stdout
    assert not (repository / "owned").exists()
    assert "Traceback" not in done.stderr
    if annotated is not None:
        assert re.findall(r"(?m)^::error file=([^,]+),line=\d+", done.stdout) == annotated
    if annotated == ["README.md"]:
        assert (
            "::error file=README.md,line=5,col=16,title=archcalc%3A context::Llama 3 8B: context is '128k' and should be '8k'"
            in done.stdout
        )


@needs_bash
def test_the_action_writes_sarif_beside_its_annotations(repository: Path) -> None:
    done = run_step("Check", repository, sarif="out put.sarif")
    assert done.returncode == 1
    log = json.loads((repository / "out put.sarif").read_text(encoding="utf-8"))
    assert len(log["runs"][0]["results"]) == done.stdout.count("::error") == 1


@needs_bash
def test_the_action_checks_the_files_of_the_settings(repository: Path) -> None:
    (repository / "archcalc.toml").write_text('files = ["**/*.md"]\nexclude = ["README.md"]\n', encoding="utf-8")
    done = run_step("Check", repository, files="")
    assert done.returncode == 0
    assert "3 files, 4 claims" in done.stdout


# The hooks


def run_hook(hook: dict[str, Any], repository: Path, *files: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{repository.parent / 'bin'}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    arguments = [*shlex.split(hook["entry"]), *hook.get("args", []), *(files if hook.get("pass_filenames", True) else ())]
    return subprocess.run(arguments, cwd=repository, env=env, capture_output=True, text=True, check=False)


def test_the_hooks_are_as_pre_commit_wants_them() -> None:
    """The keys that its schema requires (pre-commit.com, "Creating new hooks")."""
    assert [hook["id"] for hook in HOOKS] == ["archcalc-check", "archcalc-check-all"]
    for hook in HOOKS:
        assert {"id", "name", "entry", "language"} <= hook.keys()
        assert hook["language"] == "python"
    each, every = HOOKS
    assert each["types"] == ["markdown"]
    pattern = re.compile(every["files"])
    assert all(pattern.search(name) for name in ("README.md", "docs/a.markdown", "model/config.json", "archcalc.toml"))
    assert not any(pattern.search(name) for name in ("src/a.py", "a.json", "notes.txt"))


def test_the_hook_checks_the_files_of_a_commit(repository: Path) -> None:
    done = run_hook(HOOKS[0], repository, "README.md", "docs/right.md", "docs/with blank.md", "docs/text.md")
    assert done.returncode == 1
    assert "context is '128k' and should be '8k'" in done.stdout
    assert "4 files" in done.stdout
    assert run_hook(HOOKS[0], repository, "docs/right.md", "docs/text.md").returncode == 0


def test_the_hook_for_all_cards_takes_its_files_from_the_settings(repository: Path) -> None:
    (repository / "archcalc.toml").write_text('files = ["*.md"]\n', encoding="utf-8")
    assert run_hook(HOOKS[1], repository, "docs/right.md").returncode == 1
    (repository / "archcalc.toml").write_text('files = ["docs"]\n', encoding="utf-8")
    done = run_hook(HOOKS[1], repository, "README.md")
    assert (done.returncode, "3 files" in done.stdout) == (0, True)


def test_pre_commit_runs_the_hook(repository: Path) -> None:
    """With pre-commit itself, which installs this repository into an environment of its own."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    for files, status in ((["README.md"], 1), (["docs/right.md"], 0)):
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", "try-repo", str(ROOT), "archcalc-check", "--verbose", "--files", *files],
            cwd=repository, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert "1 file, 2 claims" in done.stdout


@pytest.mark.parametrize("spelt", ["docs/history.md", "./docs/history.md", "docs", ".", "docs/../docs/history.md"])
@pytest.mark.parametrize("setting", ['[[ignore]]\nfile = "docs/history.md"\nfield = "layers"\n', 'exclude = ["docs/history.md"]\n'])
def test_patterns_of_settings_hold_however_a_file_is_spelt(cli: Run, tmp_path: Path, setting: str, spelt: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "history.md").write_text("| Model | Layers |\n| --- | --- |\n| Qwen3-8B | 35 |\n", encoding="utf-8")
    (tmp_path / "archcalc.toml").write_text(setting, encoding="utf-8")
    assert cli("check", spelt, "--offline").returncode == 0
