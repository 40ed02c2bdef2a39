"""The questions as tools of the Model Context Protocol, over standard input and output: `archcalc mcp`.

A tool is a function of `archcalc.questions`; its input schema is made of that function's signature and the help of the command's options,
its output schema is what `archcalc schema` prints. Nothing is written: tools read configs, cards and the Hub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archcalc import __version__, questions, report
from archcalc.errors import ArchcalcError, UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

MOST_ROWS = 1000
"""Rows of a sweep that one call computes: what an agent can still read."""
_MODEL: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "object"}],
    "description": "A bundled name, a Hub repository (org/name), a path of a config, or the config itself as an object.",
}
_FILE = {"type": "string", "description": "A Markdown, JSON or YAML file, a folder, or a glob pattern."}


class Tool(NamedTuple):
    """One question: the function, the report it gives (None for rows), and the name of what is asked about."""

    call: Callable[..., Any]
    report: type[report.Report] | None
    subject: str = "source"
    many: bool = False


def tools() -> dict[str, Tool]:
    """Every tool by its name."""
    from archcalc import sweep

    return {
        "inspect": Tool(questions.inspect, report.Inspection),
        "kv": Tool(questions.kv, report.KvReport),
        "fit": Tool(questions.fit, report.FitReport),
        "train": Tool(questions.train, report.TrainReport),
        "compare": Tool(questions.compare, report.Comparison, "sources", many=True),
        "check": Tool(questions.check, report.CheckReport, "file", many=True),
        "sweep": Tool(sweep, None),
    }


def input_schema(name: str, tool: Tool) -> dict[str, Any]:
    """The JSON schema of a tool's arguments: the function's parameters, described by the help of the command's options."""
    from importlib import import_module
    from inspect import Parameter, signature
    from typing import get_type_hints

    from pydantic import TypeAdapter

    helps = {
        option: getattr(hint, "__metadata__", (None,))[0]
        for option, (_, hint) in questions._options(import_module(f"archcalc.cli.{name}").command).items()
    }
    function = tool.call if tool.report else type(tool.call).__call__
    hints = get_type_hints(function)
    properties: dict[str, Any] = {}
    required = []
    for key, parameter in signature(tool.call).parameters.items():
        if key in ("context", "overrides"):
            continue
        if key == tool.subject:
            one = _FILE if name == "check" else _MODEL
            made: dict[str, Any] = {**one}
            if tool.many or name == "sweep":
                made = {"type": "array", "items": one, "minItems": 1, "description": "Several of them, or one in a list."}
            if parameter.default is Parameter.empty:
                required.append(key)
        elif key == "baseline" and name == "compare":
            made = {**_MODEL}
        else:
            made = TypeAdapter(hints[key]).json_schema()
            if parameter.default is not None:
                made["default"] = parameter.default
        said = getattr(helps.get("set_" if key == "set" else key), "help", None)
        if said and "description" not in made and key != tool.subject:
            made["description"] = said
        properties[key] = made
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def output_schema(tool: Tool) -> dict[str, Any]:
    """The JSON schema of a tool's answer."""
    from archcalc.api import schema_model

    if tool.report is not None:
        return schema_model(tool.report).model_json_schema()
    return {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "object"}}}, "required": ["rows"]}


def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a tool as plain data. Raises `archcalc.errors.ArchcalcError`."""
    known = tools()
    if name not in known:
        raise UsageError(f"{name!r} is no tool", f"one of {', '.join(known)}")
    tool = known[name]
    schema = input_schema(name, tool)
    given = dict(arguments)
    for key in given:
        if key not in schema["properties"]:
            raise UsageError(f"{key!r} is no argument of {name}", f"one of {', '.join(schema['properties'])}")
    for key in schema["required"]:
        if given.get(key) is None:
            raise UsageError(f"{key} is missing", str(schema["properties"][key].get("description", "")))
    if name == "sweep":
        return {"rows": _rows(given)}
    if tool.many:
        subjects = given.pop(tool.subject, [])
        if not isinstance(subjects, list):
            raise UsageError(
                f"{tool.subject} is a list", 'such as ["README.md"]' if name == "check" else 'such as ["llama-3.1-8b"]'
            )
        made = tool.call(*subjects, **given)
    else:
        made = tool.call(**given)
    plain: dict[str, Any] = made.to_dict()
    return plain


def kept_offline(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a tool, off the network."""
    tool = tools().get(name)
    takes = input_schema(name, tool)["properties"] if tool is not None else {}
    return {**arguments, **{key: value for key, value in (("offline", True), ("refresh", False)) if key in takes}}


def _rows(given: dict[str, Any]) -> list[dict[str, Any]]:
    from archcalc import sweep
    from archcalc.analysis import grid

    made = sweep.asked(**given)
    size = grid.size(*made)
    if size > MOST_ROWS:
        raise UsageError(
            f"{size:,} rows are more than the {MOST_ROWS:,} of one call", "ask for fewer values, or use archcalc sweep"
        )
    return [{**row, "source": str(row["source"])} for row in sweep.run_all(grid.grid(*made))]


def server(offline: bool = False) -> Server[Any]:
    """The server, not started yet; `offline` keeps every tool off the network, whatever a call asks for.

    Raises `UsageError` where the package `mcp` is missing.
    """
    try:
        from mcp import types
        from mcp.server.lowlevel import Server
    except ImportError:
        raise UsageError("this needs the package mcp, which is not installed", "pip install 'archcalc[mcp]'") from None
    import json

    from anyio import to_thread

    listed = [
        types.Tool(
            name=name,
            description=((tool.call if tool.report else type(tool.call).__call__).__doc__ or "").partition(">>>")[0].strip(),
            input_schema=input_schema(name, tool),
            output_schema=output_schema(tool),
            annotations=types.ToolAnnotations(read_only_hint=True, idempotent_hint=True),
        )
        for name, tool in tools().items()
    ]

    async def on_list(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def on_call(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            given = asked.arguments or {}
            made = await to_thread.run_sync(call, asked.name, kept_offline(asked.name, given) if offline else given)
        except ArchcalcError as error:
            said = f"{error.message}\n{error.hint}".strip()
            return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=True)
        text = json.dumps(made, ensure_ascii=False)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=made)

    return Server(
        "archcalc",
        version=__version__,
        instructions="Exact parameters, caches, memory and fit of language models from their configs. Values are written as on archcalc's "
        "command line: ctx 128k, gpu 8xH100.",
        on_list_tools=on_list,
        on_call_tool=on_call,
    )


def serve(offline: bool = False) -> None:
    """Answer on standard input and output until the client leaves."""
    made = server(offline)
    import io
    import os

    import anyio
    from mcp.server.stdio import stdio_server

    # Streams of its own: those of the command line write for people, and a SOURCE of `-` must not read what the client says.
    heard, said = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)

    async def run() -> None:
        incoming = anyio.wrap_file(io.TextIOWrapper(os.fdopen(heard, "rb", closefd=False), encoding="utf-8", errors="replace"))
        outgoing = anyio.wrap_file(io.TextIOWrapper(os.fdopen(said, "wb", closefd=False), encoding="utf-8", newline="\n"))
        async with stdio_server(incoming, outgoing) as (read, write):
            await made.run(read, write, made.create_initialization_options())

    try:
        anyio.run(run)
    except BaseException as error:
        if not all(
            isinstance(one, (ConnectionError, anyio.BrokenResourceError, anyio.ClosedResourceError)) for one in _single(error)
        ):
            raise
        # The client has left, and nobody reads what is still to be written.
        os.dup2(nothing, said)


def _single(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, of tasks that ran beside one another."""
    grouped = getattr(error, "exceptions", None)
    if grouped is None:
        yield error
    else:
        for one in grouped:
            yield from _single(one)
