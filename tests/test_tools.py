"""`archcalc mcp`, asked by the client of the package `mcp`, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import anyio
import pytest
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, get_default_environment, stdio_client

import archcalc
from archcalc import tools
from archcalc.errors import ArchcalcError, UsageError

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("inspect", {"source": "llama-3.1-8b", "ctx": "8k", "offline": True}),
    ("kv", {"source": "llama-3.1-8b", "engine": "vllm", "ctx": 8192, "offline": True}),
    ("fit", {"source": "llama-3.1-8b", "gpu": "h100", "ctx": "16k", "offline": True}),
    ("train", {"source": "llama-3.1-8b", "seq": "4k", "gpu": "h100", "lora": 16, "offline": True}),
    ("compare", {"sources": ["llama-3.1-8b", "qwen3-8b"], "rows": ["total"], "offline": True}),
    ("sweep", {"source": ["gpt2"], "ctx": ["512", "1k"]}),
    ("fit", {"source": "llama-3.1-8b", "gpu": "h1000", "offline": True}),
    ("fit", {"source": "llama-3.1-8b", "gpus": "h100"}),
    ("nothing", {}),
    # What the client says comes on standard input: a model that would be read from there must not take it.
    ("inspect", {"source": "-"}),
    ("inspect", {"source": "/dev/stdin"}),
    ("sweep", {"source": [{"model_type": "gpt2", "n_layer": 2}], "ctx": "512,1k", "offline": True}),
]


@pytest.fixture(scope="module")
def answers() -> tuple[list[Any], list[Any]]:
    """The list of tools, and the answer to each call, of one server."""

    async def ask() -> tuple[list[Any], list[Any]]:
        environment = {**get_default_environment(), "PYTHONPATH": str(next(iter(archcalc.__path__))) + "/.."}
        started = StdioServerParameters(command=sys.executable, args=["-m", "archcalc", "mcp"], env=environment)
        async with stdio_client(started) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            listed = (await session.list_tools()).tools
            return listed, [await session.call_tool(name, arguments) for name, arguments in CALLS]

    return anyio.run(ask)


def test_every_question_is_a_tool_with_schemas(answers: Any) -> None:
    listed = {tool.name: tool for tool in answers[0]}
    assert set(listed) == {"inspect", "kv", "fit", "train", "compare", "check", "sweep"}
    fit = listed["fit"]
    assert fit.input_schema["required"] == ["source"]
    assert fit.input_schema["properties"]["tp"]["description"] == "Tensor parallelism."
    assert {"fits", "per_gpu", "plan"} <= set(fit.output_schema["properties"])
    assert all(tool.description and "_:" not in tool.description for tool in listed.values())


def test_an_answer_is_the_report(answers: Any) -> None:
    got = {name: answer for (name, _), answer in zip(CALLS[:6], answers[1][:6], strict=True)}
    assert not any(answer.is_error for answer in got.values())
    asked = dict(CALLS[:6])
    for name in ("inspect", "kv", "fit", "train"):
        assert got[name].structured_content == getattr(archcalc, name)(**asked[name]).to_dict()
    assert json.loads(got["fit"].content[0].text) == got["fit"].structured_content
    assert got["compare"].structured_content["rows"][0]["exact"] == [8030261248, 8190735360]
    assert [row["context_tokens"] for row in got["sweep"].structured_content["rows"]] == [512, 1024]


def test_a_refusal_says_what_to_do(answers: Any) -> None:
    device, argument, tool = answers[1][6:9]
    assert all(answer.is_error for answer in (device, argument, tool))
    assert "h1000" in device.content[0].text
    assert "'gpus' is no argument of fit" in argument.content[0].text and "gpu," in argument.content[0].text
    assert "one of inspect, kv, fit" in tool.content[0].text


def test_standard_input_is_the_client_s_own(answers: Any) -> None:
    *read, swept = answers[1][9:]
    assert all(answer.is_error and "empty" in answer.content[0].text for answer in read)
    assert [row["context_tokens"] for row in swept.structured_content["rows"]] == [512, 1024]


def test_a_client_that_leaves_is_no_error() -> None:
    environment = {**get_default_environment(), "PYTHONPATH": str(next(iter(archcalc.__path__))) + "/.."}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode() + b"\n"
    server = subprocess.Popen(
        [sys.executable, "-m", "archcalc", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert server.stdin and server.stdout and server.stderr
    # It listens no more before anything is answered.
    server.stdout.close()
    server.stdin.write(asked)
    server.stdin.close()
    assert server.wait(60) == 0
    assert server.stderr.read() == b""
    server.stderr.close()


def test_a_sweep_of_too_many_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="1,001 rows"):
        tools.call("sweep", {"source": ["gpt2"], "ctx": [str(n) for n in range(1, 1002)]})
    with pytest.raises(UsageError, match="source is missing"):
        tools.call("inspect", {})


def test_without_the_package_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setitem(sys.modules, "mcp.types", None)
    with pytest.raises(UsageError, match=r"mcp, which is not installed") as caught:
        tools.server()
    assert "archcalc[mcp]" in caught.value.hint


@pytest.mark.parametrize("name", sorted(tools.tools()))
def test_what_a_tool_asks_for_is_what_it_takes(name: str) -> None:
    """The help of the command says that no SOURCE lists models, which a tool does not do."""
    tool = tools.tools()[name]
    schema = tools.input_schema(name, tool)
    said = schema["properties"][tool.subject]["description"]
    assert "none:" not in said and "inspect" not in said
    with pytest.raises(ArchcalcError) as missing:
        tools.call(name, {})
    if tool.subject in schema["required"]:
        assert missing.value.message == f"{tool.subject} is missing" and missing.value.hint == said


def test_a_hint_is_of_the_tool_that_was_called() -> None:
    with pytest.raises(ArchcalcError) as refused:
        tools.call("check", {"file": "README.md"})
    assert "README.md" in refused.value.hint and "llama" not in refused.value.hint


def test_the_host_memory_has_a_bandwidth_in_every_way_of_asking() -> None:
    asked = {"source": "gpt-oss-120b", "gpu": "3090", "ctx": "32k", "ram": "64GiB"}
    slow, fast = (tools.call("fit", {**asked, "ram_bandwidth": size})["speed"]["bound_tokens_per_s"] for size in ("40GB", "80GB"))
    assert slow < fast < tools.call("fit", asked)["speed"]["bound_tokens_per_s"]
