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


OF_A_MACHINE = {"fit", "pick", "compare", "sweep", "plot", "train", "diagnose", "calibrate"}
"""The commands that ask about a machine."""
LACKS = {
    "--offline": {"schema": "prints what is built in", "new-adapter": "writes a file from an installed package"},
    "--format": {
        "report": "is a page", "serve": "serves pages", "mcp": "is a server", "card": "is Markdown", "schema": "is JSON",
        "new-adapter": "is a file of Python",
    },
    "--vram": {},
    "--ram": {
        "sweep": "its rows are of GPUs alone",
        "plot": "its plans are of GPUs alone",
        "train": "has --offload, which says what leaves the GPUs",
        "diagnose": "a log says what lies in the CPU's memory",
        "calibrate": "measurements are of what lies on the GPUs",
    },
    "--set": {"pick": "no model is named whose config could be changed"},
    "--family": dict.fromkeys(
        ("compare", "sweep", "plot", "train", "diagnose", "calibrate"), "models are named, and no list is made of all"
    ),
    "--engine-version": {
        "sweep": "its rows are of the newest release that is known",
        "plot": "its plans are of the newest release that is known",
        "train": "has --framework-version",
        "diagnose": "a log says its release",
        "calibrate": "measurements say what they are of",
    },
    "--calibration": {
        "sweep": "rows mean the same on every machine",
        "plot": "charts are of no host",
        "train": "no forecast of an engine is made",
        "diagnose": "makes it",
        "calibrate": "makes it",
    },
}  # fmt: skip
"""Why a command that could take an option does not: of machines, but for the first two."""


@pytest.mark.parametrize("option", list(LACKS))
def test_an_option_is_taken_wherever_it_means_something(option: str) -> None:
    could = set(OPTIONS) if option in ("--offline", "--format") else OF_A_MACHINE
    assert could - takers(option) == set(LACKS[option])


@pytest.mark.parametrize(
    "call",
    [
        "pick --gpu 3090 --family gpt-oss --ram 64GiB",
        "pick --gpu h100 --family gpt-oss --engine-version 0.11.0",
        "compare gpt-oss-120b --gpu 3090 --ram 64GiB --ctx 8k",
        "compare llama-3.1-8b --gpu h100 --engine-version 0.11.0 --ctx 8k",
    ],
)
def test_an_option_means_what_it_means_in_fit(call: str, cli: Run) -> None:
    command, *words = call.split()
    got = json.loads(cli(command, *words, "--format", "json").stdout)
    if command == "pick":
        lines = {r["source"]: r for r in json.loads(cli("fit", *words, "--format", "json").stdout)}
        best = got["best"]
        assert (best["command"], best["context_tokens"]) == tuple(lines[best["name"]][key] for key in ("command", "context_tokens"))
        assert best["ram_bytes"] == lines[best["name"]]["ram_bytes"]
    else:
        fit = json.loads(cli("fit", *words, "--format", "json").stdout)
        rows = {r["key"]: r["values"][0] for r in got["rows"]}
        assert rows["fits"].startswith("yes" if fit["fits"] else "no"), rows
