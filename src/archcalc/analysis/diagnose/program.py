"""What differs from program to program where a log is explained: how its command is made again, which terms its lines state, and which
changes free what ran out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar

from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.fit import Ask, Fit, max_context
from archcalc.commands.change import changed, written
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Command, Engine, of_text
from archcalc.errors import ArchcalcError
from archcalc.loader import Loaded
from archcalc.records import NamedTuple


class Try(NamedTuple):
    """A change of the command to try, and what it costs."""

    changes: dict[str, Any]
    gives_up: str


class Program:
    """A program that writes logs.

    `engine` is the registry's, `executable` and `model_flag` how a command of it begins. `releases` says whether its releases are the
    engine's, `fills_share` whether its cache fills the share of the memory that it may take, whatever else is smaller, `share_of_all`
    whether that is a share of all memory and not of what is free, `serves_less`
    whether it starts with a cache smaller than one request, `combines` whether one change and a shorter context are tried together,
    `lists` whether it prints its command's arguments, and
    `sequences` which limits of sequences are tried with a shorter context (0 for the command's own). `causes` are what a stop is called
    here, where that is not `WORDS`'.
    """

    engine: ClassVar[Engine]
    executable: ClassVar[str]
    model_flag: ClassVar[str] = ""
    releases: ClassVar[bool] = True
    fills_share: ClassVar[bool] = True
    share_of_all: ClassVar[bool] = False
    serves_less: ClassVar[bool] = False
    combines: ClassVar[bool] = False
    lists: ClassVar[bool] = True
    sequences: ClassVar[tuple[int, ...]] = ()
    causes: ClassVar[Mapping[Kind, str]] = {}

    def name(self, log: Logged, model: str | None) -> str | None:
        """The model as the command names it. The log's own name stays: --model says where its config is."""
        return log.model or model

    def flags(self, log: Logged) -> tuple[str, ...]:
        """What the log says of the command beside the arguments that it lists."""
        return ()

    def settled(self, log: Logged, ask: Ask) -> Ask:
        """The question with what the log says of it."""
        return ask

    def stored(self, log: Logged, loaded: Loaded, ask: Ask) -> tuple[Ask, str]:
        """The question with how the weights are stored, where neither the log nor a name says it, and what to say of it.

        Raises `UnsupportedError` where nothing says it."""
        return ask, ""

    def terms(self, predicted: Predicted) -> dict[str, int]:
        """What is predicted of the terms that this program's lines state, in bytes."""
        raise NotImplementedError

    def slots(self, ask: Ask) -> int:
        """How many requests share the context that the command states."""
        return 1

    def short(self, log: Logged, best: Fit) -> bool:
        """Whether the log's own figures say that one request does not fit."""
        return False

    def lacks(self, log: Logged, predicted: Predicted, then: Predicted, lost: int) -> int:
        """What of `lost` in the tensors of a step is still lacking with a change: less, where they take less."""
        before, after = predicted.best.budget.activation_bytes, then.best.budget.activation_bytes
        return lost * min(before, after) // before if before else lost

    def whole_experts(self, said: str, ranks: int) -> int | bool:
        """What expert parallelism is given as, where what was said not to divide is the width of the experts; False where it is not."""
        return False

    def printed(self, log: Logged, command: Command, changes: Mapping[str, Any]) -> str | None:
        """The changed command; None where the program is not told so."""
        return changed(command, changes)

    def again(self, log: Logged, command: Command, changes: Mapping[str, Any]) -> Command | None:
        """The changed command as it is read from what is printed of it; None where the program is not told so. Raises `ArchcalcError`."""
        line = self.printed(log, command, changes)
        return None if line is None else of_text(line)._replace(version=command.version)

    def stands(self, log: Logged, command: Command) -> str:
        """The command of the log, as it is written."""
        return written(command)

    def tries(self, log: Logged, kind: Kind, predicted: Predicted, *, beyond: bool) -> Iterator[Try]:
        """Changes that free what ran out, the smallest first.

        Beside the pool (`beyond`), which fills the engine's share whatever else is smaller, only what is outside it and the share itself
        count; what ran out before the pool was made does not depend on the share."""
        raise NotImplementedError


_MODULES: Mapping[Engine, str] = {"vllm": "vllm", "sglang": "sglang", "llama.cpp": "llamacpp", "ollama": "ollama"}


def program(log: Logged) -> Program:
    """The program that wrote a log."""
    found: Program = import_module(f"archcalc.analysis.diagnose.{_MODULES[log.engine]}").PROGRAM
    return found


BEFORE: frozenset[Kind] = frozenset({"loading", "profiling"})
"""What ends before the pool of the cache is made."""


# What takes memory beside the pool of the cache, which fills the engine's share whatever else is smaller.
_BEYOND: frozenset[Kind] = frozenset({"capturing", "serving", "sampling", "cache"})


def missing(log: Logged, kind: Kind | None, predicted: Predicted) -> int:
    """How much less room the log shows than was predicted: what a change has to make up for besides."""
    room = log.term("room")
    best = predicted.best
    if room is not None:
        return max(0, best.budget.kv_room_bytes - room)
    tried = int(dict(log.figures).get("tried", 0))
    buffer = {"compute": best.budget.activation_bytes, "cache": best.kv_needed_bytes}.get(kind or "")
    if buffer is not None and not best.fits and not program(log).fills_share and not others_hold(log):
        # The buffer that was asked for is larger than predicted.
        return max(0, tried - buffer)
    if (kind is not None and beyond_pool(log, kind, predicted)) or others_hold(log):
        # The pool has the room that was predicted: what ran out lies beside it. Or others hold it, which is taken off the memory.
        return 0
    # It ran out although it was predicted to fit: all that was to spare was taken by something else, and what it tried beside.
    return best.headroom_bytes + tried if best.fits and log.failure not in (None, "one-request") else 0


NCCL_OOM = re.compile(r"Cuda failure \d+ 'out of memory'")
"""NCCL's own buffers, which stand beside the engine's share (NCCL 2.27, src/include/checks.h `CUDACHECK`)."""


def before_weights(log: Logged) -> bool:
    """Whether NCCL found no memory before the engine itself had taken any: other processes hold it."""
    return bool(NCCL_OOM.search(log.said)) and log.term("weights") is None and log.term("room") is None


def beyond_pool(log: Logged, kind: Kind, predicted: Predicted) -> bool:
    """Whether memory ran out beside a pool that was made. Where the log does not name the place, the process tells by what it holds: the
    engine's whole share, which weights and what a step takes do not fill by the prediction."""
    if not program(log).fills_share:
        return False
    if kind in _BEYOND or NCCL_OOM.search(log.said):
        return True
    if kind != "memory" or not log.memory_bytes:
        return False
    figures, budget = dict(log.figures), predicted.best.budget
    held = figures.get("in use", log.memory_bytes - figures.get("free", log.memory_bytes))
    return budget.kv_room_bytes > 0 and held >= budget.utilization * log.memory_bytes


def others_hold(log: Logged) -> int:
    """What others hold of a GPU, in bytes: by the message that names them, by what of the GPU is neither free nor the process's own, or by
    what was free before an engine that tells it began."""
    figures, free, size = dict(log.figures), log.term("free"), log.memory_bytes
    if "beside" in figures:
        return int(figures["beside"])
    if not size:
        return 0
    if "in use" in figures and "free" in figures:
        # Of a container's neighbours NVML tells the memory, and not whose it is.
        held = int(size - figures["in use"] - figures["free"])
    elif program(log).share_of_all or not free or (not program(log).fills_share and (log.gpus or 1) > 1):
        # Of cards of several sizes neither figure says whose it is.
        return 0
    else:
        held = size - free
    return held if held > size * _OWN_START else 0


# Of the memory, what a driver, a display and the process's own context may take before the engine looks.
_OWN_START = 1 / 8


def leaving_others(log: Logged, predicted: Predicted) -> dict[str, Any]:
    """The change that leaves what others hold of the GPU to them, where the engine's share is one of the whole memory."""
    held, memory = others_hold(log), predicted.best.budget.memory_bytes
    share = (memory - held) * 100 // memory / 100
    if not held or not program(log).share_of_all or share >= predicted.best.budget.utilization:
        return {}
    return {"utilization": share}


# Beside what was asked for, what an allocator needs to find it in one piece.
SLACK = 256 << 20


def lacking(log: Logged) -> int:
    """What was asked for and not there, in bytes."""
    figures = dict(log.figures)
    return max(0, int(figures.get("tried", 512 << 20)) - int(figures.get("free", 0))) + SLACK


def smaller_share(log: Logged, predicted: Predicted) -> Iterator[Try]:
    """A share of the memory that leaves what was asked for outside it, and one that leaves more."""
    budget = predicted.best.budget
    least = round((int(budget.utilization * 100 + 1e-6) - -(-lacking(log) * 100 // budget.memory_bytes)) / 100, 2)
    for share in (least, round(least - 0.05, 2)):
        if 0.2 <= share < budget.utilization:
            yield Try({"utilization": share}, "a part of the cache")


def shorter(log: Logged, predicted: Predicted, then: Predicted) -> Iterator[Try]:
    """A shorter context of a command as it is `then`: the longest that fits, by the log's own room where it has one."""
    ask, best = then.ask, then.best
    if lost := missing(log, log.failure, predicted):
        device = ask.gpus.device
        share = ask.utilization or best.budget.utilization or 1.0
        ask = ask._replace(gpus=ask.gpus._replace(device=device._replace(visible_bytes=int(device.visible_bytes - lost / share))))
    try:
        longest = max_context(then.found.model, best, ask)
    except ArchcalcError:
        return
    if (said := dict(log.figures).get("longest")) is not None:
        longest = min(longest, int(said) // 16 * 16)
    tokens = longest // 1024 * 1024 or longest
    if 0 < tokens < best.context_tokens:
        yield Try({"context_tokens": tokens * program(log).slots(ask)}, f"requests longer than {tokens:,} tokens")


def smaller_cache(dtype: str) -> Try:
    """The cache in fewer bits."""
    return Try({"kv_dtype": dtype}, f"some precision: the cache is kept in {dtype}")


def more_gpus(predicted: Predicted) -> Iterator[Try]:
    """The same over more ranks of tensor parallelism, among which attention in data parallelism counts too."""
    given = predicted.understood.given
    now = int(next((given[flag] for flag in ("--tensor-parallel-size", "--tp-size") if flag in given), 1))
    for tp in (2, 4, 8):
        if tp > now and tp % now == 0:
            yield Try({"tp": tp}, f"{TAKES}{tp // now} times the GPUs")


TAKES = "takes "
"""How what a change takes is told, where it gives up nothing."""
