"""What all readers of logs share: decoding, lines without wrappings, and the pieces that lines are made of.

Source: PyTorch 2.9, c10/cuda/CUDACachingAllocator.cpp.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from archcalc.commands.words import Engine
from archcalc.records import NamedTuple

MOST_BYTES = 48 << 20
"""Of a longer log the start and the end are read: the start says what was asked for, the end how it went."""
# Arguments are listed on long lines; whatever else is longer than a message is no message.
_MOST_LINE, _MOST_ARGUMENTS = 1 << 11, 1 << 15
_LISTS = ("args: ", "ServerArgs(", "with config")

MIB, GIB = 1 << 20, 1 << 30

Kind = Literal[
    "loading",
    "profiling",
    "capturing",
    "sampling",
    "cache",
    "compute",
    "serving",
    "pool",
    "no-cache",
    "one-request",
    "states",
    "heads",
    "context",
    "share",
    "flag",
    "model",
    "memory",
    "ram",
    "batch",
    "gpus",
    "device",
    "kernel",
    "architecture",
    "code",
    "file",
    "quant",
    "port",
    "disk",
    "network",
    "shared-memory",
    "killed",
    "ended",
    "neighbour",
    "other",
]
WORDS: dict[Kind, str] = {
    "loading": "out of memory while loading the weights",
    "profiling": "out of memory in the profiling run, before the cache is made",
    "capturing": "out of memory while capturing graphs",
    "sampling": "out of memory while warming up the sampler",
    "cache": "out of memory while allocating the cache",
    "compute": "out of memory while allocating the compute buffer",
    "serving": "out of memory while serving",
    "pool": "the cache ran full while serving",
    "no-cache": "weights and activations leave no memory for the cache",
    "one-request": "one request of the longest length needs more cache than there is",
    "states": "more sequences may run than there are blocks of recurrent state",
    "heads": "the model does not divide among so many GPUs",
    "context": "the context asked for is longer than the model's",
    "share": "less memory is free than the engine's share of it",
    "flag": "the engine does not take one of its arguments",
    "model": "the model could not be had",
    "memory": "out of memory",
    "ram": "the machine has less RAM than is needed",
    "batch": "a batch is smaller than what one step must hold",
    "gpus": "more GPUs are asked for than there are",
    "device": "no GPU can be used: none is seen, or its driver is too old",
    "kernel": "the GPU cannot run this: its generation lacks the data type or the kernel",
    "architecture": "this release does not know the model's architecture",
    "code": "the model brings code of its own, which was not allowed",
    "file": "the model's file is incomplete or damaged",
    "quant": "the quantization asked for does not go with the checkpoint",
    "port": "its port is taken by another process",
    "disk": "the disk is full",
    "network": "communication between the GPUs failed",
    "shared-memory": "the container has too little shared memory",
    "killed": "the system ended the process, as it does where RAM runs out",
    "ended": "it was asked to end, by a signal or by what runs it",
    "neighbour": "another process took or freed memory of the GPU while it was measured",
    "other": "it stopped with an error that is not known here",
}
# What has nothing to do with memory of the GPU: no remedy of memory helps.
APART: frozenset[Kind] = frozenset(
    {
        "batch", "gpus", "device", "kernel", "architecture", "code", "file", "quant", "port", "disk", "network", "shared-memory",
        "killed", "ended", "neighbour", "other",
    }
)  # fmt: skip


class Logged(NamedTuple):
    """A log, read. Bytes are per GPU: of several ranks the fullest's weights and the smallest room.

    `figures` are numbers beside memory; `inferred` or `unsaid` is among them where no line says that it serves, `listed` where
    the log lists the arguments of its command. `unread` are arguments
    that the log lists in a form that is not read, `beside` those of a list of all arguments that are not among `asked`: most of them as
    the engine settled them. `terms` are memory lines by name,
    `asked` the arguments as flags of the engine (a flag without value holds True), `tokens` what the cache holds, `failure` what
    stopped it and `said` the line that says so,
    `file_type` how a GGUF file's weights are stored. `started` is true where the engine said that it serves.
    """

    engine: Engine
    version: str | None
    model: str | None
    gpu: str | None
    gpus: int | None
    memory_bytes: int | None
    asked: tuple[tuple[str, Any], ...]
    command: str | None
    terms: tuple[tuple[str, int], ...]
    tokens: int | None
    concurrency: float | None
    context_tokens: int | None
    started: bool
    failure: Kind | None
    said: str
    figures: tuple[tuple[str, float], ...] = ()
    file_type: str | None = None
    unread: tuple[str, ...] = ()
    other_flags: tuple[tuple[str, Any], ...] = ()

    def term(self, name: str) -> int | None:
        return next((size for n, size in self.terms if n == name), None)


def decoded(data: bytes) -> str:
    """The text of a log, whatever its encoding; of a very long one its start and its end."""
    if len(data) > MOST_BYTES:
        half = MOST_BYTES // 2
        data = data[:half] + b"\n" + data[-half:]
    for mark, name in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    if data[:200].count(0) > 20:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    return data.decode("utf-8", "replace")


_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# What Docker's json-file driver and collectors behind it make of a line (moby daemon/logger/jsonfilelog/jsonlog, `JSONLog`).
_JSON = re.compile(r'^\{.{0,400}?"log" ?: ?"((?:[^"\\]|\\.)*)')


def lines(text: str) -> Iterator[str]:
    """The lines, without colours and wrappings, each of bounded length."""
    for raw in re.split(r"[\r\n\u2028]+", _ANSI.sub("", text)):
        line = raw[: _MOST_ARGUMENTS if any(sign in raw[:400] for sign in _LISTS) else _MOST_LINE]
        if line.startswith("{") and (wrapped := _JSON.match(line)):
            line = _ANSI.sub("", _unwrapped(wrapped[1]))
        if line.strip():
            yield line.strip("\0 \t")


def _unwrapped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False)).strip("\r\n")
    except ValueError:
        # Cut within a character's code.
        return text.replace('\\"', '"').replace("\\n", "").replace("\\\\", "\\")


# Lines that say nothing of memory, of which a log of a day has millions, and words that lines to be read hold.
_NOISE = ("throughput", "HTTP/1.", "Decode batch", "Prefill batch", "slot update_slots", "slot launch_slot", "slot print_timing")
_TELLING = ("emory", "rror", "ailed")
_WORDS = (
    "version",
    "with config",
    "args",
    "Args",
    " took",
    " take",
    "emory",
    "locks",
    "KV",
    "oncurrency",
    "max model len",
    "raph",
    "startup complete",
    "Uvicorn",
    "NVIDIA",
    "AMD",
    "Tesla",
    "Intel",
    "Apple",
    "rror",
    "divisible",
    "vllm",
    "sglang",
    "llama",
    "seq len",
    "oading",
    "Starting",
    "Capturing",
    "tilization",
    "valid model",
    "weight",
    "tokens",
    "Mamba",
    "fired up",
    "avail mem",
    "Capture",
    "context_length",
    "buffer",
    "n_ctx",
    "n_seq",
    "n_batch",
    "n_ubatch",
    "flash_attn",
    "kv_unified",
    "cells",
    "device",
    "Device",
    "offloaded",
    "general.name",
    "build",
    "alloc",
    "ailed",
    "--model",
    "--ctx-size",
    "OLLAMA_CONTEXT_LENGTH",
    "KvSize",
    "listening",
    "started in",
    "slots are idle",
    "main loop",
    "inference compute",
    "mem usage",
    "cache",
    "model request",
    "GGUF",
    "max_num_reqs",
    "assert ",
    "file type",
    "file_type",
    "ftype",
    "[GIN]",
    "recommendedMax",
)


def serves(line: str, signs: tuple[str, ...]) -> bool:
    """Whether a line is one that a server prints of requests alone."""
    return any(sign in line for sign in signs) and not _SENT.search(line)


# What users sent, which servers log where they are asked to: it may say anything.
_SENT = re.compile(
    r"Received request|Generated response|Receive: obj=|Finish: obj=|log_server_request|log_server_r: |\bprompt: '|completion request\""
)


def telling(line: str) -> bool:
    """Whether a line may say something that is read."""
    if any(noise in line for noise in _NOISE) and not any(word in line for word in _TELLING):
        return False
    return any(word in line for word in _WORDS) and not _SENT.search(line)


# Pieces


def as_number(text: str) -> float:
    return float(text.replace(",", ""))


_UNITS = {"B": 1, "KIB": 1024, "MIB": MIB, "GIB": GIB, "TIB": GIB << 10, "KB": 1000, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def size_of(number: str, unit: str) -> int:
    return round(as_number(number) * _UNITS[unit.upper()])


class Terms:
    """Sizes by name. Of several ranks the largest counts, of rooms and tokens the smallest."""

    _LEAST = frozenset({"room", "free"})

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def put(self, name: str, size: int) -> None:
        held = self.sizes.get(name)
        better = min if name in self._LEAST else max
        self.sizes[name] = size if held is None else better(held, size)

    def __bool__(self) -> bool:
        return bool(self.sizes)

    def items(self) -> tuple[tuple[str, int], ...]:
        return tuple(self.sizes.items())


_EXCEPTION = re.compile(
    r"(?:^|[\s|\]>}])((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|OutOfResources|Timeout)|[Vv]alue error)[:,] \S"
)
_SHOWN = 400


def saying(line: str) -> str:
    """What a line says, without what loggers put before it, and no longer than a message."""
    found = _EXCEPTION.search(line)
    text = line[found.start(1) :] if found and found[1] and len(line) > _SHOWN else line
    return text if len(text) <= _SHOWN else text[:_SHOWN].rsplit(" ", 1)[0] + " …"


TORCH_OOM = re.compile(
    r"(?:CUDA|HIP|XPU) out of memory\.|OutOfMemoryError|torch\.(?:cuda\.)?OutOfMemory|hipErrorOutOfMemory|CUDA error: out of memory"
    r"|Cuda failure \d+ 'out of memory'"
)
NOT_HAD = re.compile(
    r"is not a valid model identifier|gated repo|couldn't connect to|Cannot find any model weights|LocalEntryNotFoundError|GatedRepoError"
    r"|RepositoryNotFoundError|401 Client Error|Invalid repository ID"
)
# What a model asserts of its own widths, as a traceback shows the line: the AssertionError after it says nothing.
DIVIDES = re.compile(r"^.{0,120}\bassert [\w.()\[\] ]*(?:heads?|size|experts?|channels|groups)[\w.()\[\] ]* % [\w.()\[\] ]+ == 0\b")
CAPACITY = re.compile(r"GPU \d+ has a total capac\w+ of ([\d.]+) ([KMGT]iB)")
_PROCESSES = re.compile(r"\bProcess (\d+) has ([\d.]+) ([KMGT]iB) memory in use")
_OWN = re.compile(r"this process has ([\d.]+) ([KMGT]iB) memory in use")
_ALLOCATED = re.compile(r"Of the allocated memory ([\d.]+) ([KMGT]iB) is allocated by PyTorch")


def others(line: str) -> dict[str, float]:
    """What other processes hold of the GPU that ran out, by PyTorch's message: all of it in bytes, and whose most of it is.

    A process that PyTorch cannot tell for its own, as in a container, is named as others are: of those that hold as much as PyTorch's
    allocator does, the smallest.
    """
    held = {int(m[1]): size_of(m[2], m[3]) for m in _PROCESSES.finditer(line)}
    if held and not _OWN.search(line):
        if (m := _ALLOCATED.search(line)) is None:
            return {}
        mine = [pid for pid, size in held.items() if size >= size_of(m[1], m[2])]
        if mine:
            del held[min(mine, key=lambda pid: held[pid])]
    if not held:
        return {}
    return {"beside": sum(held.values()), "beside pid": max(held, key=lambda pid: held[pid]), "beside count": len(held)}


_DEVICE = re.compile(
    r"(?:NVIDIA[ _](?:GeForce[ _])?|AMD[ _](?:Instinct[ _]|Radeon[ _])?|Tesla[ _]|Intel\(R\) Arc\(TM\) |Intel Arc )"
    r"((?:RTX|GTX|H|A|B|L|T|V|P|MI|GB|GH|RX|Pro|AI|Quadro)[ _]?[A-Z]?\d[\w .-]*?)(?=[,;()|/'\"\]]|\.json| +(?:and|with|has|on)\b|$|  )"
)
_APPLE = re.compile(r"(?:GPU name:|using device \w+ \(|Device 0: )\s*(Apple M\d(?: (?:Pro|Max|Ultra))?)")


_VENDORS = ("NVIDIA", "AMD", "Tesla", "Intel", "Apple")


def device_named(line: str) -> str | None:
    if not any(vendor in line for vendor in _VENDORS):
        return None
    apple = _APPLE.search(line)
    if apple:
        return apple[1]
    m = _DEVICE.search(line)
    return m[0].replace("_", " ").strip() if m else None


_COMMAND = re.compile(
    r"(?:^|[\s\"'$>])((?:[A-Z][A-Z0-9_]*=\S* +)*(?:vllm serve|python3? -m vllm\.\S+"
    r"|python3? -m sglang\.launch_server|sglang serve|\S*llama-(?:server|cli)|mlx_lm\.server) .+)$"
)


_STARTERS = ("vllm serve", "-m vllm", "sglang.launch_server", "sglang serve", "llama-server", "llama-cli", "mlx_lm.server")


def command_in(line: str) -> str | None:
    m = _COMMAND.search(line) if any(name in line for name in _STARTERS) else None
    if m is None or "\t" in m[1]:
        return None
    text = m[1].rstrip(" \"'`")
    return text if " -" in text or text.count(" ") == 2 else None


_OBJECT = re.compile(r"<(?P<name>[A-Za-z_][\w.]*)(?P<value>: .*)?>|<.*>", re.DOTALL)


class Unread:
    """What stands for a value that no literal is: a function, an object of a class that shows nothing of itself."""


UNREAD = Unread()


def literal(text: str) -> dict[str, Any] | None:
    """A Python dictionary or call as loggers print them, by its keys; None for what is neither.

    One value that cannot be read loses none of the others: it is `UNREAD`. A call in a value, as a dataclass shows itself, is a dictionary
    of its fields but for those that are None; a member of an enumeration (`<Mode.FULL: 2>`) is its name.
    """
    text = text.strip()
    opened = re.match(r"(?:[A-Za-z_][\w.]*)?[({]", text)
    if opened is None:
        return None
    found: dict[str, Any] = {}
    call = opened[0].endswith("(")
    for piece in _pieces(text[opened.end() : -1 if text[-1] in ")}" else None]):
        key, value = _parted(piece, "=" if call else ":")
        name: Any = key if call else _simple(key)
        if isinstance(name, str) and value:
            found[name] = _value(value, 0)
    return found


def _simple(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return UNREAD


def _value(text: str, depth: int) -> Any:
    """A value as Python shows it; `UNREAD` for what is no literal, nor made of readable parts."""
    text = text.strip()
    if (made := _simple(text)) is not UNREAD or depth > 20 or not text:
        return made
    if (shown := _OBJECT.fullmatch(text)) is not None:
        return shown["name"].rpartition(".")[2] if shown["value"] and "." in shown["name"] else UNREAD
    if (shown := re.fullmatch(r"torch\.(\w+)|(?:Posix|Windows|Pure\w*)Path\((.+)\)", text, re.DOTALL)) is not None:
        return shown[1] or _simple(shown[2])
    opened = re.match(r"(?P<name>[A-Za-z_][\w.]*)?(?P<bracket>[(\[{])", text)
    if opened is None or text[-1] not in ")]}":
        return UNREAD
    inner = text[opened.end() : -1]
    if opened["name"]:
        parts = [_parted(piece, "=") for piece in _pieces(inner)]
        if opened["bracket"] != "(" or not all(re.fullmatch(r"[A-Za-z_]\w*", key) and value for key, value in parts):
            return UNREAD
        fields = {key: _value(value, depth + 1) for key, value in parts}
        return UNREAD if UNREAD in fields.values() else {key: value for key, value in fields.items() if value is not None}
    if opened["bracket"] == "{":
        pairs = [_parted(piece, ":") for piece in _pieces(inner)]
        held = {str(_simple(key)): _value(value, depth + 1) for key, value in pairs if value}
        return UNREAD if UNREAD in held.values() or len(held) < len(pairs) else held
    items = [_value(piece, depth + 1) for piece in _pieces(inner)]
    return UNREAD if any(item is UNREAD for item in items) else items


def _pieces(text: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket and no quotes."""
    start = 0
    for i in _outside(text, ","):
        yield text[start:i].strip()
        start = i + 1
    if text[start:].strip():
        yield text[start:].strip()


def _parted(text: str, sign: str) -> tuple[str, str]:
    at = next(_outside(text, sign), None)
    return (text.strip(), "") if at is None else (text[:at].strip(), text[at + 1 :].strip())


def _outside(text: str, sign: str) -> Iterator[int]:
    """Where a sign stands in no bracket and no quotes. `<` opens one where a name follows it, as an object is shown."""
    depth, quote, i = 0, "", 0
    while i < len(text):
        c = text[i]
        if quote:
            if c == "\\":
                i += 1
            elif c == quote:
                quote = ""
        elif c in "'\"":
            quote = c
        elif c in "([{" or (c == "<" and text[i + 1 : i + 2].isalpha()):
            depth += 1
        elif c in ")]}" or (c == ">" and text[i - 1 : i] not in "-="):
            depth = max(0, depth - 1)
        elif c == sign and not depth:
            yield i
        i += 1


def balanced(found: list[str], at: int, start: int) -> tuple[str, bool]:
    """The text from an opening bracket of a line to the one that closes it, over lines that a terminal broke it into; and whether one
    does. Where the log goes on with other lines first, it is what is there."""
    pieces, size, n = list[str](), 0, at
    depth, quote, escaped = 0, "", False
    piece = found[at][start:]
    while True:
        for i, c in enumerate(piece):
            if quote:
                quote = "" if c == quote and not escaped else quote
                escaped = c == "\\" and not escaped
            elif c in "'\"":
                quote = c
            elif c in "([{":
                depth += 1
            elif c in ")]}":
                depth -= 1
                if not depth:
                    return "".join(pieces) + piece[: i + 1], True
        pieces.append(piece)
        size, n = size + len(piece), n + 1
        if n >= len(found) or size > _MOST_ARGUMENTS or _FRESH.match(found[n]) or any(sign in found[n] for sign in _LISTS):
            return "".join(pieces), False
        piece = found[n]


# How a line begins that is no part of the one before it.
_FRESH = re.compile(r"\(\w+[ _]?\w* pid=|(?:INFO|WARNING|ERROR|DEBUG)\b|\[?\d{4}-\d\d-\d\d|\S+ \| |Traceback")


def as_flags(values: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(("--" + k.replace("_", "-"), v) for k, v in values.items() if v is not None and v is not UNREAD)


class Ranks:
    """Which ranks of each kind a log shows, by the names of its workers: `TP` and the numbers seen."""

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = {}

    def put(self, names: Iterable[tuple[str, str]]) -> None:
        for kind, number in names:
            self.seen.setdefault(kind, set()).add(int(number))

    def size(self, kind: str) -> int | None:
        """How many there are. Workers are named so where there are several: where some are missing, so many that a number of GPUs is."""
        seen = self.seen.get(kind)
        if not seen:
            return None
        last = max(*seen, 1)
        return last + 1 if len(seen) == last + 1 else 1 << last.bit_length()


def named(value: Any) -> str | None:
    """A name among such values."""
    return value if isinstance(value, str) and value else None


def unread(values: dict[str, Any]) -> tuple[str, ...]:
    """The flags of values that could not be read."""
    return tuple("--" + k.replace("_", "-") for k, v in values.items() if v is UNREAD)
