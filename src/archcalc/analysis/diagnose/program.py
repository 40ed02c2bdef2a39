"""What differs from program to program where a log is explained: how its command is made again, which terms its lines state, and which
changes free what ran out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar

from archcalc.analysis.ask import Understood
from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.fit import Ask, Fit, max_context, plans
from archcalc.commands.change import changed, written
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Command, Engine
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture
from archcalc.records import NamedTuple


class Try(NamedTuple):
    """A change to try: what the command says, the same of the question, and what it costs."""

    changes: dict[str, Any]
    ask: Ask
    gives_up: str


class Program:
    """A program that writes logs.

    `engine` is the registry's, `executable` and `model_flag` how a command of it begins. `releases` says whether its releases are the
    engine's, `fills_share` whether its cache fills the share of the memory that it may take, whatever else is smaller, `serves_less`
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

    def settled(self, log: Logged, understood: Understood, architecture: Architecture) -> tuple[dict[str, Any], Any]:
        """The values of the question and the engine's settings, with what the log says of them."""
        return dict(understood.asked.values), understood.asked.own

    def terms(self, predicted: Predicted) -> dict[str, int]:
        """What is predicted of the terms that this program's lines state, in bytes."""
        raise NotImplementedError

    def slots(self, ask: Ask) -> int:
        """How many requests share the context that the command states."""
        return 1

    def short(self, log: Logged, best: Fit) -> bool:
        """Whether the log's own figures say that one request does not fit."""
        return False

    def whole_experts(self, said: str, ranks: int) -> int | bool:
        """What expert parallelism is given as, where what was said not to divide is the width of the experts; False where it is not."""
        return False

    def printed(self, log: Logged, command: Command, changes: Mapping[str, Any]) -> str | None:
        """The changed command; None where the program is not told so."""
        return changed(command, changes)

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
    if kind is not None and beyond_pool(log, kind, predicted):
        # The pool has the room that was predicted: what ran out lies beside it.
        return 0
    tried = int(dict(log.figures).get("tried", 0))
    # It ran out although it was predicted to fit: all that was to spare was taken by something else, and what it tried beside.
    return best.headroom_bytes + tried if best.fits and log.failure not in (None, "one-request") else 0


def beyond_pool(log: Logged, kind: Kind, predicted: Predicted) -> bool:
    """Whether memory ran out beside a pool that was made. Where the log does not name the place, the process tells by what it holds: the
    engine's whole share, which weights and what a step takes do not fill by the prediction."""
    if kind in _BEYOND:
        return True
    if kind != "memory" or not program(log).fills_share or not log.memory_bytes:
        return False
    figures, budget = dict(log.figures), predicted.best.budget
    held = figures.get("in use", log.memory_bytes - figures.get("free", log.memory_bytes))
    return budget.kv_room_bytes > 0 and held >= budget.utilization * log.memory_bytes


# Beside what was asked for, what an allocator needs to find it in one piece.
SLACK = 256 << 20


def lacking(log: Logged) -> int:
    """What was asked for and not there, in bytes."""
    figures = dict(log.figures)
    return max(0, int(figures.get("tried", 512 << 20)) - int(figures.get("free", 0))) + SLACK


def smaller_share(log: Logged, predicted: Predicted) -> Iterator[Try]:
    """A share of the memory that leaves what was asked for outside it, and one that leaves more."""
    ask, budget = predicted.ask, predicted.best.budget
    least = round((int(budget.utilization * 100 + 1e-6) - -(-lacking(log) * 100 // budget.memory_bytes)) / 100, 2)
    for share in (least, round(least - 0.05, 2)):
        if 0.2 <= share < budget.utilization:
            yield Try({"utilization": share}, ask._replace(utilization=share), "a part of the cache")


def shorter(log: Logged, predicted: Predicted, ask: Ask) -> Iterator[Try]:
    """A shorter context: the longest that fits, by the log's own room where it has one."""
    best = predicted.best
    lost = missing(log, log.failure, predicted)
    smaller = ask
    if lost:
        device = ask.gpus.device
        share = ask.utilization or best.budget.utilization or 1.0
        smaller = ask._replace(
            gpus=ask.gpus._replace(device=device._replace(visible_bytes=int(device.visible_bytes - lost / share)))
        )
    try:
        model, of = predicted.found.model, best
        if (ask.quant, ask.tp) != (predicted.ask.quant, predicted.ask.tp):
            # Other weights on each GPU: a plan of its own.
            changed_plan = plans(predicted.loaded.architecture, ask, alternatives=0)
            model, of = changed_plan.model, changed_plan.best
        longest = max_context(model, of, smaller)
    except ArchcalcError:
        return
    if (said := dict(log.figures).get("longest")) is not None:
        longest = min(longest, int(said) // 16 * 16)
    tokens = longest // 1024 * 1024 or longest
    if not 0 < tokens < best.context_tokens:
        return
    slots = program(log).slots(ask)
    yield Try({"context_tokens": tokens * slots}, ask._replace(context_tokens=tokens), f"requests longer than {tokens:,} tokens")


def smaller_cache(predicted: Predicted, dtype: str) -> Try:
    """The cache in fewer bits."""
    return Try({"kv_dtype": dtype}, predicted.ask._replace(kv_dtype=dtype), f"some precision: the cache is kept in {dtype}")


def more_gpus(predicted: Predicted) -> Iterator[Try]:
    """The same over more ranks of tensor parallelism."""
    ask, tp_now = predicted.ask, predicted.best.placement.tp
    for tp in (2, 4, 8):
        if tp > tp_now:
            more = ask._replace(
                tp=tp, gpus=ask.gpus._replace(count=ask.gpus.count // tp_now * tp), ep=None if ask.ep in (None, 1) else tp
            )
            yield Try({"tp": tp}, more, f"{tp // tp_now} times the GPUs")
