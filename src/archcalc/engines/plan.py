"""A question about a machine, and the parts of its answer that engines give: records alone.

Bytes are those of one GPU, the fullest, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from archcalc.engines.budget import FITTED, Budget
from archcalc.engines.engine import DEFAULT, server
from archcalc.engines.placement import Placement, RankWeights
from archcalc.engines.weights import Kept, WeightOptions
from archcalc.errors import ContextError, UsageError
from archcalc.hardware import Device, GpuSpec
from archcalc.model import Architecture
from archcalc.records import NamedTuple


class Ask(NamedTuple):
    """What is wanted: constraints where given, chosen where None.

    `quant` names how the weights are stored (`quant.quantize_as`); None is the checkpoint's own way. `utilization` is the engine's share of
    the memory, `batched_tokens` the tokens of one step. `sequences` is how many run at once at most, where the engine has a default that
    may be too many; None is that default, and fewer where only that makes the model fit. `own` is the engine's own settings record where
    a command of its was given: nothing is chosen beside it then, and what it says is judged as it stands. `ram_bytes` is the CPU's memory
    where that is a budget too, `host_bytes` what a log of this host showed beyond the terms that are known.
    """

    gpus: GpuSpec
    engine: str = DEFAULT
    context_tokens: int | None = None
    concurrency: int = 1
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    dp: int | None = None
    dcp: int = 1
    quant: str | None = None
    kv_dtype: str | None = None
    utilization: float | None = None
    batched_tokens: int | None = None
    version: str | None = None
    sequences: int | None = None
    own: Any = None
    ram_bytes: int | None = None
    host_bytes: int = 0


class Start(NamedTuple):
    """Whether the engine starts as the printed command says; if not, the limit that stops it, and the flag that lifts that, or `without`
    and the flag that is too many.

    `serves` is False of one that starts and then holds no sequence of the context, `refused` true of a limit that no memory lifts.
    """

    starts: bool = True
    limit: str | None = None
    flag: str | None = None
    serves: bool = True
    refused: bool = False


class Taken(NamedTuple):
    """What a plan sets so that the engine starts: values for the budget, the flags that say them, and why."""

    utilization: float | None = None
    sequences: int | None = None
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_flag(self, flag: str, note: str) -> Taken:
        """With a flag, in place of one of the same name, and why."""
        name = flag.partition(" ")[0] + " "
        flags = tuple(f for f in self.flags if not f.startswith(name))
        notes = tuple(n for n in self.notes if not n.startswith(name))
        return self._replace(flags=(*flags, flag), notes=(*notes, note))


class Pool(NamedTuple):
    """A pool of equal blocks: sequences need `(blocks x sequences + null_blocks) x block_bytes`.

    `groups` are functions from the context to the blocks of one sequence, which add up. `tokens_per_block` is how many tokens a block
    stands for in what the engine reports, None where it reports the sequences that fit times the context. `states`: a sequence needs a
    block of recurrent state.
    """

    block_bytes: int
    null_blocks: int
    groups: tuple[Callable[[int], int], ...]
    tokens_per_block: int | None
    states: bool = False

    @property
    def lasting(self) -> bool:
        """Whether a sequence holds one block of recurrent state, and nothing that grows."""
        return self.states and sum(blocks(1) for blocks in self.groups) == 1


class Pooled(NamedTuple):
    """What sequences take under an engine, and what a room holds, as functions of the context.

    `pool` is the same in linear form, where the engine has one. `divided` makes it anew for so many sequences, where an engine divides the
    room among kinds of caches before it knows how many there will be: with the value of the flag that says so. `whole`: an input is read
    in one step, whatever its length. `asked_bytes` is the size that a command gives the pool, whatever room there is.
    """

    needed: Callable[[int, int], int]
    held: Callable[[int, int], tuple[float, int]]
    dtype: str
    rule: str
    pool: Pool | None = None
    divided: Callable[[int], tuple[Pooled, int]] | None = None
    whole: bool = False
    asked_bytes: int | None = None


class Candidate(NamedTuple):
    """A model with weights as they would be stored, and all that does not depend on the placement.

    `weights`, `caches` and `refused` keep what was made for placements already judged, and why others cannot be: many contexts and
    concurrencies share them. `works` keeps what a step asks of a rank, by placement and type of the cache, `lacking` why the engine does
    not start by itself with such weights, `budgets` those of placements already judged.
    """

    architecture: Architecture
    options: WeightOptions
    tensors: list[Kept]
    quant: str
    weights: dict[Placement, RankWeights]
    caches: dict[tuple[Placement, str | None, int, int, int], Pooled]
    refused: dict[Placement, str]
    works: dict[tuple[Placement, str], tuple[RankWeights, Any]]
    lacking: dict[tuple[str | None, str | None], Start | None]
    budgets: dict[tuple[Any, ...], Budget]


class Fit(NamedTuple):
    """One placement, judged. Bytes are those of the fullest GPU.

    `kv_needed_bytes` is what `concurrency` sequences of the context take; `headroom_bytes` what is left beside them (negative: missing).
    `max_concurrency` is how many sequences of the context the room holds, `kv_tokens` the tokens that the engine reports for it. `start`
    is whether the engine starts, `taken` what the plan sets for that, `ram_bytes` what one machine's CPU keeps
    of weights and cache, and `assumed_ram_bytes` the same where nobody says how much it has, 0 where it does or keeps nothing but tables
    that are read by row, as every such machine can.
    """

    placement: Placement
    weights: RankWeights
    budget: Budget
    context_tokens: int
    concurrency: int
    kv_needed_bytes: int
    max_concurrency: float
    kv_tokens: int
    kv_dtype: str
    kv_rule: str
    start: Start = Start()
    taken: Taken = Taken()
    ram_bytes: int = 0
    assumed_ram_bytes: int = 0

    @property
    def headroom_bytes(self) -> int:
        return self.budget.kv_room_bytes - self.kv_needed_bytes

    @property
    def loadable_bytes(self) -> int:
        """What the GPU takes of weights before anything else is on it."""
        return self.budget.memory_bytes - FITTED.context

    @property
    def loads(self) -> bool:
        """Whether the weights fit as they are before the engine quantizes them."""
        return self.weights.loading_bytes <= self.loadable_bytes

    @property
    def fits(self) -> bool:
        return self.headroom_bytes >= 0 and self.start.starts and self.start.serves


class Setting(NamedTuple):
    """A setting that leaves more to the cache: what it is, the options of `archcalc fit` that say it, and the same of an `Ask`, or of its
    `own` settings beside a command, where None takes a flag out."""

    what: str
    options: str
    values: dict[str, Any]


class Named(NamedTuple):
    """What an engine is told to load. `ready` is false of a placeholder.

    `how` are the words that make of it what was judged, `stated` the dtype that the checkpoint's config states. `overrides` are the keys
    set in that config.
    """

    name: str
    revision: str | None = None
    ready: bool = True
    how: tuple[str, ...] = ()
    stated: str | None = None
    overrides: tuple[tuple[str, Any], ...] = ()


class Command(NamedTuple):
    """A command on one line, and what to know before it is run."""

    command: str
    notes: tuple[str, ...] = ()


def largest(holds: Callable[[int], bool], limit: int, least: int = 1) -> int:
    """The largest number up to `limit` for which `holds` is true, if it is true from `least` up to some number and false beyond; 0 where
    it is not true of `least`."""
    if not holds(least):
        return 0
    low, high = least, 2 * least
    while high <= limit and holds(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def largest_left(left: Callable[[int], int], limit: int, least: int = 1) -> int:
    """As `largest` where `left` is not negative, in fewer steps: what is left falls about evenly, so a straight line leads near the end.

    >>> largest_left(lambda n: 1000 - 7 * n, 4096), largest_left(lambda n: -n, 10), largest_left(lambda n: n, 10)
    (142, 0, 10)
    """
    above = left(least)
    if above < 0 or least >= limit:
        return 0 if above < 0 else least
    below = left(limit)
    if below >= 0:
        return limit
    low, high, beside = least, limit, False
    for step in count():
        if high - low <= 1:
            return low
        # At the end of the line; every third time in the middle, for what bends. Caches grow in steps: at the end of one, and beside it.
        at = (low + high) // 2 if step % 3 == 2 else low + (high - low) * above // (above - below)
        whole = at - at % _PAGE
        at = whole if whole > low else at if beside else low + 1
        beside = at == low + 1
        at = min(max(at, low + 1), high - 1)
        found = left(at)
        if found >= 0:
            low, above = at, found
        else:
            high, below = at, found
    raise AssertionError


_PAGE = 256


class Length(NamedTuple):
    """The sequences that an engine takes of a model, in tokens: `usual` of a command that names none, `longest` the most, each None where
    there is none. `lifts` is the variable that lifts the most, `allowed` whether a command sets it."""

    usual: int | None
    longest: int | None
    lifts: str = ""
    allowed: bool = False


def length_of(architecture: Architecture, ask: Ask) -> Length:
    """What the engine makes of the config's length in the release asked about."""
    return server(ask.engine).length(architecture, ask.version, ask.own)


def longest_of(architecture: Architecture, ask: Ask) -> int | None:
    """The most tokens that may be asked for, None where nothing is known to limit them."""
    length = length_of(architecture, ask)
    return None if length.allowed else length.longest


def context_of(architecture: Architecture, ask: Ask) -> int:
    """The context asked for, else what the engine takes where a command leaves it open, else the model's own.

    Raises `UsageError` beyond what the engine takes."""
    length = length_of(architecture, ask)
    longest = None if length.allowed else length.longest
    stated = architecture.facts.context_tokens
    own = length.usual if ask.own is not None else stated and min(stated, longest or stated)
    tokens = ask.context_tokens or own
    if tokens is None:
        named = server(ask.engine).context_flag if ask.own is not None else ""
        raise UsageError("the config states no context", f"give {named or '--ctx'}")
    if longest is not None and tokens > longest:
        engine = server(ask.engine)
        release = f"{engine.title} {ask.version}" if ask.version else engine.title
        told = "" if longest in (architecture.facts.context_tokens, architecture.stretched) else f" as {release} reads its config"
        hint = f"ask for --ctx {longest} or less, or set its key with --set"
        if ask.own is not None:
            flag = engine.context_flag or "--ctx"
            hint = f"{flag} {longest} or less" + (f", or {length.lifts} in front of the command" if length.lifts else "")
        how = stretching(architecture)
        raise ContextError(
            f"a context of {tokens:,} tokens is beyond the model's {longest:,}{told}"
            + (f": {how}" if how and longest == architecture.stretched else ""),
            hint,
            tokens,
            longest,
        )
    return tokens


def stretching(architecture: Architecture) -> str:
    """How a model comes by more positions than its config states; empty where it has no more."""
    stated, reached = architecture.facts.context_tokens, architecture.stretched
    if not stated or not reached:
        return ""
    factor = f"{reached / stated:g} times"
    return f"its config states {stated:,} positions, and its rope scaling reaches {factor} as many, which engines take"


def capability(device: Device) -> tuple[int, int] | None:
    """The CUDA compute capability, None for other GPUs."""
    if device.vendor != "nvidia" or not device.compute:
        return None
    major, _, minor = device.compute.partition(".")
    return int(major), int(minor)


def machines(gpus: GpuSpec) -> int:
    return gpus.nodes
