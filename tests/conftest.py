"""Running the command line as a user does: a process of its own, in a pipe."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, so that a run tells something of the change and not of its luck; `--hypothesis-profile=default`
# looks further.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
settings.load_profile("same")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `run`, in this process: for tests that call it many times."""
    from huggingface_hub import constants

    from archcalc.cli import main

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def call(
        *arguments: str, stdin: bytes | str | None = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        status = 0
        given = stdin.encode() if isinstance(stdin, str) else stdin or b""
        with (
            mock.patch.dict(os.environ, env or {}),
            mock.patch.object(sys, "argv", ["archcalc", *arguments]),
            mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as exit_:
                status = exit_.code if isinstance(exit_.code, int) else 1 if exit_.code else 0
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run archcalc with these arguments in an empty folder, without any cache or token of the user's."""

    def call(*arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING", "COLUMNS", "NO_COLOR"))}
        return subprocess.run(
            [sys.executable, "-m", "archcalc", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**clean, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", **(env or {})},
        )

    return call


def imported(*arguments: str) -> set[str]:
    """The modules a run of the command line loads."""
    code = (
        "import sys, atexit\n"
        f"sys.argv = ['archcalc', *{list(arguments)!r}]\n"
        "atexit.register(lambda: print('\\n'.join(sys.modules), file=sys.stderr))\n"
        "from archcalc.cli import main\nmain()\n"
    )
    # Workers of pytest-xdist are told the width of a terminal.
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**env, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def listen() -> None:
    """Let a child process hear Ctrl-C, which a shell's background jobs inherit as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
