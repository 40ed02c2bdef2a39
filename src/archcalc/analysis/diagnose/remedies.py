"""The smallest changes with which a command starts, by what is predicted of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archcalc import report
from archcalc.analysis.diagnose.predicted import Judged, Predicted
from archcalc.analysis.diagnose.program import (
    BEFORE,
    Program,
    Try,
    before_weights,
    beyond_pool,
    leaving_others,
    missing,
    program,
    shorter,
)
from archcalc.analysis.fit import max_context
from archcalc.commands.change import FLAGS
from archcalc.commands.flags import read, table
from archcalc.commands.logs import APART, Kind, Logged
from archcalc.commands.words import Command
from archcalc.errors import ArchcalcError

Judge = Callable[[Mapping[str, Any]], Judged]
"""What becomes of the command with some changes, read back as it is printed."""
MOST = 5
# Changes that free memory at once, not of the cache.
_FREEING = frozenset({"sequences", "batched_tokens", "text_alone", "limits", "utilization", "eager", "quant"})
# What ran out in the tensors of a step.
_OF_STEPS: frozenset[Kind] = frozenset({"profiling", "compute"})


def remedies(
    log: Logged, kind: Kind, command: Command | None, predicted: Predicted | None, judged: Judge
) -> Iterator[report.Remedy]:
    """Changes that start by what was predicted, the smallest first."""
    of = program(log)
    if command is not None and kind == "flag" and (rank := re.search(r"LoRA rank (\d+) is greater than max_lora_rank", log.said)):
        # Ranks that may be set: config/lora.py.
        most = next((n for n in (8, 16, 32, 64, 128, 256, 320, 512) if n >= int(rank[1])), 0)
        if most:
            yield from _lifted(of, log, command, {"lora_rank": most}, "the memory that adapters of that rank take", judged)
        return
    if command is None or kind in ("model", "flag"):
        if command is not None and kind == "flag" and (hint := _nearest(of, log)):
            yield report.Remedy(hint, None, "nothing: the flag was misspelled, or is of another release")
        return
    figures = dict(log.figures)
    if kind in APART or kind == "ram":
        yield from _settled(of, log, kind, command, judged)
        return
    if kind == "context" and "longest" in figures:
        longest = int(figures["longest"])
        yield from _lifted(of, log, command, {"context_tokens": longest}, f"requests longer than {longest:,} tokens", judged)
        return
    if kind == "share" and (free := log.term("free")) and log.memory_bytes:
        share = free * 100 // log.memory_bytes / 100
        yield from _lifted(of, log, command, {"utilization": share}, "the cache that the larger share would have held", judged)
        return
    if kind == "states" and "state blocks" in figures:
        n = int(figures["state blocks"])
        if not judged({"sequences": n}).refused:
            yield _made(of, log, command, {"sequences": n}, None, f"more than {n} sequences at once: others wait")
        return
    estimated = False
    if (
        kind == "one-request"
        and (longest := int(figures.get("longest", 0)) // 16 * 16) > 0
        and not judged({"context_tokens": longest}).refused
    ):
        # The engine's own estimate, of the room that it found.
        estimated = True
        what = f"requests longer than {longest:,} tokens, by the engine's own estimate"
        yield _made(of, log, command, {"context_tokens": longest}, None, what)
    if kind == "heads":
        yield from _divisors(of, log, command, predicted, judged)
        return
    if predicted is not None and not before_weights(log):
        yield from _freeing(log, kind, command, predicted, judged, estimated)


def _freeing(
    log: Logged, kind: Kind, command: Command, predicted: Predicted, judged: Judge, estimated: bool
) -> Iterator[report.Remedy]:
    """Changes that free memory, alone where one does and together where none does by itself."""
    of, lost, beyond = program(log), missing(log, kind, predicted), beyond_pool(log, kind, predicted)
    base = leaving_others(log, predicted)

    def spare(then: Predicted) -> int:
        """What is left beside what the prediction lacks."""
        return then.best.headroom_bytes - (of.lacks(log, predicted, then, lost) if kind in _OF_STEPS else lost)

    def tried(changes: Mapping[str, Any]) -> Predicted | None:
        """The prediction of a change with which it starts."""
        then = judged(changes).predicted
        if then is None:
            return None
        best = then.best
        if of.serves_less and (beyond or kind in BEFORE):
            # It serves with a cache smaller than the context, and what is left outside the pool is what a smaller share is for.
            return then if best.start.starts and best.budget.kv_room_bytes > 0 else None
        return then if best.fits and spare(then) >= 0 else None

    small, short, more = list[tuple[Try, int]](), list[Try](), list[tuple[Try, int]]()
    alone = (Try({}, "a part of the cache: what other processes hold"),) if base else ()
    for made in (*alone, *of.tries(log, kind, predicted, beyond=beyond)):
        if (estimated and set(made.changes) == {"context_tokens"}) or (base and "utilization" in made.changes):
            continue
        each = Try({**base, **made.changes}, made.gives_up)
        then = tried(each.changes)
        if then is None:
            if set(each.changes) & _FREEING or (beyond and "utilization" in each.changes):
                short.append(each)
            continue
        if spare(then) < 0 and (kind not in BEFORE or then.best.headroom_bytes < 0):
            # The engine starts, and its cache is smaller than the context: one that it holds is the one to ask for.
            if any(set(each.changes) < set(other.changes) for other, _ in small):
                continue
            each, then = _held(log, predicted, each, then, tried, spare)
        (more if "tp" in each.changes else small).append((each, spare(then)))
    if of.combines and not estimated and all("quant" in each.changes for each, _ in small):
        small += _combined(log, predicted, judged, tried, spare, short, beyond=beyond)
    kept = [each for n, each in enumerate(small) if not any(_no_more(other, each) for other in small[:n])]
    for each, left in (*kept[: MOST - min(len(more), 2)], *more):
        yield _made(of, log, command, each.changes, left if left >= 0 else None, each.gives_up)


def _held(
    log: Logged, predicted: Predicted, each: Try, then: Predicted, tried: Callable[[Mapping[str, Any]], Predicted | None],
    spare: Callable[[Predicted], int],
) -> tuple[Try, Predicted]:  # fmt: skip
    """The change with a context that its cache holds; where none is known, with what the cache holds then."""
    for less in shorter(log, predicted, then):
        both = _together(each, less)
        if (held := tried(both.changes)) is not None and spare(held) >= 0:
            return both, held
    if then.best.headroom_bytes < 0 < then.best.kv_tokens:
        what = f"requests longer than the {then.best.kv_tokens:,} tokens of its cache then"
        return each._replace(gives_up=f"{each.gives_up}; {what}"), then
    return each, then


def _no_more(other: tuple[Try, int], each: tuple[Try, int]) -> bool:
    """Whether a change frees no more than another that gives up less of the same."""
    one, two = other[0].changes, each[0].changes
    return set(one) == set(two) and one.get("utilization") == two.get("utilization") and other[1] >= each[1] >= 0


def _together(one: Try, other: Try) -> Try:
    return Try({**one.changes, **other.changes}, f"{one.gives_up}; {other.gives_up}")


def _combined(
    log: Logged, predicted: Predicted, judged: Judge, tried: Callable[[Mapping[str, Any]], Predicted | None],
    spare: Callable[[Predicted], int], short: list[Try], *, beyond: bool,
) -> Iterator[tuple[Try, int]]:  # fmt: skip
    """What one change does not make up for, two may, or one and a shorter context."""
    shares = [each for each in short if "utilization" in each.changes] if not beyond else []
    made, seen = 0, set[frozenset[str]]()
    for share in shares:
        for each in short:
            keys = frozenset(each.changes)
            if "utilization" in keys or "quant" in keys or keys in seen:
                continue
            both = _together(each, share)
            if (then := tried(both.changes)) is not None:
                seen.add(keys)
                made += 1
                yield both, spare(then)
    if made:
        return
    for each in (*short, *(_together(each, share) for share in shares for each in short if each is not share)):
        then = judged(each.changes).predicted
        for less in shorter(log, predicted, then) if then is not None else ():
            both = _together(each, less)
            if (held := tried(both.changes)) is not None:
                yield both, spare(held)


def _made(of: Program, log: Logged, command: Command, changes: Mapping[str, Any], left: int | None, gives_up: str) -> report.Remedy:
    return report.Remedy(of.printed(log, command, changes) or "", left, gives_up)


def _lifted(
    of: Program, log: Logged, command: Command, changes: Mapping[str, Any], gives_up: str, judged: Judge
) -> Iterator[report.Remedy]:
    """A change that lifts a refusal, and what memory needs beside it; nothing where it is refused, or predicted not to start even so."""
    found = judged(changes)
    if found.refused:
        return
    then = found.predicted
    if then is None:
        yield _made(of, log, command, changes, None, gives_up)
    elif then.best.fits:
        yield _made(of, log, command, changes, then.best.headroom_bytes, gives_up)
    else:
        for n in of.sequences:
            ask = then.ask._replace(own=then.ask.own._replace(sequences=n)) if n else then.ask
            try:
                longest = max_context(then.found.model, then.best, ask) // 1024 * 1024
            except ArchcalcError:
                return
            if 0 < longest < then.best.context_tokens:
                both = {**changes, "context_tokens": longest, **({"sequences": n} if n else {})}
                less = judged(both).predicted
                if less is not None and less.best.fits:
                    more = f"requests longer than {longest:,} tokens"
                    more = more if "context_tokens" in changes else f"{gives_up}; {more}"
                    yield _made(of, log, command, both, less.best.headroom_bytes, more)
                    return


def _settled(of: Program, log: Logged, kind: Kind, command: Command, judged: Judge) -> Iterator[report.Remedy]:
    """What lifts a refusal that has nothing to do with memory, where a flag does."""
    figures, known = dict(log.figures), FLAGS.get(of.engine, {})
    first, second = int(figures.get("apart 0", 0)), int(figures.get("apart 1", 0))
    if kind == "batch" and second:
        if "max_model_len" in log.said:
            if (then := judged({"batched_tokens": second}).predicted) is None or then.best.fits:
                yield from _lifted(of, log, command, {"batched_tokens": second}, "the memory that the larger batch takes", judged)
            yield from _lifted(of, log, command, {"context_tokens": first}, f"requests longer than {first:,} tokens", judged)
        else:
            yield from _lifted(
                of, log, command, {"sequences": first}, f"more than {first:,} sequences at once: others wait", judged
            )
    elif kind == "gpus" and 0 < second < first:
        yield from _lifted(of, log, command, {"tp": second}, f"{first - second} ranks, whose GPUs are not there", judged)
    elif kind == "quant" and "quant" in known and "does not match" in log.said:
        yield from _lifted(of, log, command, {"quant": False}, "nothing: the checkpoint says how it is stored", judged)
    elif kind == "quant" and "flash" in known and re.search(r"(?i)V cache", log.said):
        given = read(command)
        if "block size" not in log.said and given.text("--flash-attn") == "off":
            yield from _lifted(of, log, command, {"flash": "on"}, "nothing, where the GPU can run it", judged)
        yield from _lifted(of, log, command, {"kv_dtype": "f16"}, "the memory that a cache in f16 takes", judged)
    elif kind == "code" and "trusts" in known:
        yield from _lifted(of, log, command, {"trusts": True}, "the safety of code that somebody has read", judged)
    elif kind == "kernel" and "dtype" in known and re.search(r"[Bb]float16 is only supported", log.said):
        yield from _lifted(of, log, command, {"dtype": "half"}, "the range of bfloat16: some models overflow in float16", judged)


def _divisors(of: Program, log: Logged, command: Command, predicted: Predicted | None, judged: Judge) -> Iterator[report.Remedy]:
    given = read(command)
    ranks = given.get("--tensor-parallel-size", "--tp-size") or 1
    if ep := of.whole_experts(log.said, int(ranks)):
        yield from _lifted(
            of, log, command, {"ep": ep}, "an even load: each GPU has whole experts, of which some are asked more", judged
        )
    heads = predicted.loaded.architecture.facts.heads if predicted else 0
    # A log may name any number; no more ranks than heads divide them.
    for tp in range(min(int(ranks) - 1, heads or 4096), 0, -1):
        if (heads and heads % tp == 0) or (not heads and tp & (tp - 1) == 0):
            lifted = list(_lifted(of, log, command, {"tp": tp}, f"{int(ranks) - tp} of the GPUs", judged))
            if lifted:
                yield from lifted
                return


def _nearest(of: Program, log: Logged) -> str:
    """The command with the flag that was meant."""
    from difflib import get_close_matches

    found = re.search(r"(--?[A-Za-z][\w.-]*)", log.said.partition("rguments")[2] or log.said.partition(":")[2])
    if not found:
        return ""
    near = get_close_matches(found[1], list(table(of.engine).at(None)), 1, 0.6)
    return f"{near[0]} in place of {found[1]}" if near else ""
