"""One name of an option is one thing in every command that has a use for it."""

from __future__ import annotations

import json

import pytest
import typer

from archcalc import cli, tools
from archcalc.cli.schema import reports
from conftest import Run

COMMANDS = typer.main.get_command(cli.build()).commands  # type: ignore[attr-defined]
OPTIONS = {
    name: {option for p in command.params for option in p.opts if option.startswith("--")} for name, command in COMMANDS.items()
}


def takers(option: str) -> set[str]:
    return {name for name, options in OPTIONS.items() if option in options}


def test_what_may_ask_the_network_can_be_kept_off_it() -> None:
    """Schema prints what is built in, and new-adapter writes a file from an installed package."""
    assert set(OPTIONS) - takers("--offline") == {"schema", "new-adapter"}


def test_an_agent_can_be_kept_off_the_network() -> None:
    for name, tool in tools.tools().items():
        given = tools.kept_offline(name, {"offline": False})
        assert given["offline"] is True
        assert set(given) <= set(tools.input_schema(name, tool)["properties"])
    assert tools.kept_offline("no tool", {"a": 1}) == {"a": 1}


def test_a_machine_that_is_named_may_be_named_by_its_memory() -> None:
    assert takers("--gpu") - takers("--vram") <= {"sweep"}


def test_a_command_on_sources_overrides_their_keys() -> None:
    sourced = {
        name
        for name, command in COMMANDS.items()
        if any(p.metavar in ("SOURCE", "SOURCE...", "[SOURCE...]") for p in command.params)
    }
    # Check has a SOURCE for what a page leaves out, and no config that could be changed.
    assert sourced - takers("--set") <= {"check"}
    assert {"inspect", "fit", "diagnose", "report"} <= sourced


def test_what_prints_figures_prints_them_in_every_format() -> None:
    """Without: a page, a server, a section of Markdown, a schema, a file of Python."""
    assert set(OPTIONS) - takers("--format") == {"report", "serve", "mcp", "card", "schema", "new-adapter"}


@pytest.mark.parametrize(
    "arguments", ["kv gpt2 --ctx 4k", "memory llama-3.1-8b --gpu h100 --ctx 8k", "params gpt2", "pareto llama-3.1-8b --gpu h100"]
)
def test_the_numbers_of_a_chart(arguments: str, cli: Run) -> None:
    kind = arguments.split(maxsplit=1)[0]
    got = json.loads(cli("plot", *arguments.split(), "--format", "json").stdout)
    keys = set(reports()["plot"].__annotations__)
    assert got
    assert all(set(point) == keys and point["chart"] == kind for point in got)
    lines = cli("plot", *arguments.split(), "--format", "csv").stdout.splitlines()
    assert len(lines) == len(got) + 1


def test_the_numbers_of_a_chart_are_those_of_its_question(cli: Run) -> None:
    # GPT-2: 12 layers x 2 x 768 x 2 bytes a token.
    got = json.loads(cli("plot", "kv", "gpt2", "--format", "json").stdout)
    assert {p["at"]: p["value"] * 2**30 for p in got}["1k"] == 1024 * 36864
    done = cli("plot", "kv", "gpt2", "--format", "json", "--out", "x.svg")
    assert (done.returncode, done.stdout) == (2, "")
