"""An interrupt ends the program with 130 and one line, also while it imports."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, runpy, signal, sys

class Interrupts:
    def find_spec(self, name, *_):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
sys.argv = ["archcalc", "inspect", "gpt2", "--set", "n_layer=2"]
runpy.run_module("archcalc", run_name="__main__")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("name", ["typer", "archcalc.cli.inspect", "pydantic", "archcalc.arch.gpt2", "archcalc.render.page"])
def test_while_importing(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(name=name)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "archcalc: interrupted\n")
