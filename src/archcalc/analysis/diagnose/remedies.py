"""The smallest changes with which a command starts, by what is predicted of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archcalc import report
from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.diagnose.program import BEFORE, Program, Try, beyond_pool, missing, program, shorter
from archcalc.analysis.fit import Fit, max_context, plans
from archcalc.commands.change import FLAGS, changed
from archcalc.commands.flags import read, table
from archcalc.commands.logs import APART, Kind, Logged
from archcalc.commands.words import Command
from archcalc.errors import ArchcalcError

Judge = Callable[[str], "Predicted | None"]
"""The prediction of a changed command."""
MOST = 5
# Changes that free memory at once, not of the cache.
_FREEING = frozenset({"sequences", "batched_tokens", "text_alone", "limits", "eager", "quant"})


def remedies(
    log: Logged, kind: Kind, command: Command | None, predicted: Predicted | None, judged: Judge
) -> Iterator[report.Remedy]:
    """Changes that start by what was predicted, the smallest first."""
    of = program(log)
    if command is not None and kind == "flag" and (rank := re.search(r"LoRA rank (\d+) is greater than max_lora_rank", log.said)):
        # Ranks that may be set: config/lora.py.
        most = next((n for n in (8, 16, 32, 64, 128, 256, 320, 512) if n >= int(rank[1])), 0)
        if most:
            yield from _lifted(of, command, {"lora_rank": most}, "the memory that adapters of that rank take", judged)
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
        yield from _lifted(of, command, {"context_tokens": longest}, f"requests longer than {longest:,} tokens", judged)
        return
    if kind == "share" and (free := log.term("free")) and log.memory_bytes:
        share = free * 100 // log.memory_bytes / 100
        yield from _lifted(of, command, {"utilization": share}, "the cache that the larger share would have held", judged)
        return
    if kind == "states" and "state blocks" in figures:
        n = int(figures["state blocks"])
        yield report.Remedy(changed(command, {"sequences": n}), None, f"more than {n} sequences at once: others wait")
        return
    estimated = False
    if kind == "one-request" and (longest := int(figures.get("longest", 0)) // 16 * 16) > 0:
        # The engine's own estimate, of the room that it found.
        estimated = True
        yield report.Remedy(changed(command, {"context_tokens": longest}), None, f"requests longer than {longest:,} tokens")
    if kind == "heads":
        yield from _divisors(of, log, command, predicted, judged)
        return
    if predicted is None:
        return
    lost = missing(log, kind, predicted)
    beyond = beyond_pool(log, kind, predicted)

    def starts(each: Try) -> Fit | None:
        try:
            best = plans(predicted.loaded.architecture, each.ask, alternatives=0).best
        except ArchcalcError:
            return None
        if of.serves_less and (beyond or kind in BEFORE):
            # It serves with a cache smaller than the context, and what is left outside the pool is what a smaller share is for.
            return best if best.start.starts and best.budget.kv_room_bytes > 0 else None
        return best if best.fits and best.headroom_bytes >= lost else None

    small, short, more = list[report.Remedy](), list[Try](), list[report.Remedy]()
    for tried in of.tries(log, kind, predicted, beyond=beyond):
        if estimated and set(tried.changes) == {"context_tokens"}:
            continue
        each, best = tried, starts(tried)
        if best is not None and best.headroom_bytes < lost:
            # The engine starts, and its cache is smaller than the context: one that it holds is the one to ask for.
            for less in shorter(log, predicted, each.ask):
                both = Try({**each.changes, **less.changes}, less.ask, f"{each.gives_up}; {less.gives_up}")
                if (held := starts(both)) is not None and held.headroom_bytes >= lost:
                    each, best = both, held
            if best.headroom_bytes < 0 < best.kv_tokens:
                each = each._replace(
                    gives_up=f"{each.gives_up}; requests longer than the {best.kv_tokens:,} tokens of its cache then"
                )
        if best is not None and (line := of.printed(log, command, each.changes)) is not None:
            spare = best.headroom_bytes - lost
            (more if "tp" in each.changes else small).append(report.Remedy(line, spare if spare >= 0 else None, each.gives_up))
        elif best is None and (set(each.changes) & _FREEING or (beyond and "utilization" in each.changes)):
            short.append(each)
    if of.combines and not estimated and not any("weights are quantized" not in each.gives_up for each in small):
        # What one change does not make up for, it may with a shorter context.
        for each in short:
            for less in shorter(log, predicted, each.ask):
                both = Try({**each.changes, **less.changes}, less.ask, f"{each.gives_up}; {less.gives_up}")
                if (best := starts(both)) is not None:
                    small.append(report.Remedy(changed(command, both.changes), best.headroom_bytes - lost, both.gives_up))
    yield from (*small[: MOST - min(len(more), 2)], *more)


def _lifted(of: Program, command: Command, changes: Mapping[str, Any], gives_up: str, judged: Judge) -> Iterator[report.Remedy]:
    """A change that lifts a refusal, and what memory needs beside it; nothing where it is predicted not to start even so."""
    line = changed(command, changes)
    then = judged(line)
    if then is None:
        yield report.Remedy(line, None, gives_up)
    elif then.best.fits:
        yield report.Remedy(line, then.best.headroom_bytes, gives_up)
    else:
        for n in of.sequences:
            ask = then.ask._replace(own=then.ask.own._replace(sequences=n)) if n else then.ask
            try:
                longest = max_context(then.found.model, then.best, ask) // 1024 * 1024
            except ArchcalcError:
                return
            if 0 < longest < then.best.context_tokens:
                shorter = changed(command, {**changes, "context_tokens": longest, **({"sequences": n} if n else {})})
                less = judged(shorter)
                if less is not None and less.best.fits:
                    more = f"requests longer than {longest:,} tokens"
                    more = more if "context_tokens" in changes else f"{gives_up}; {more}"
                    yield report.Remedy(shorter, less.best.headroom_bytes, more)
                    return


def _settled(of: Program, log: Logged, kind: Kind, command: Command, judged: Judge) -> Iterator[report.Remedy]:
    """What lifts a refusal that has nothing to do with memory, where a flag does."""
    figures, known = dict(log.figures), FLAGS.get(of.engine, {})
    first, second = int(figures.get("apart 0", 0)), int(figures.get("apart 1", 0))
    if kind == "batch" and second:
        if "max_model_len" in log.said:
            if (then := judged(changed(command, {"batched_tokens": second}))) is None or then.best.fits:
                yield from _lifted(of, command, {"batched_tokens": second}, "the memory that the larger batch takes", judged)
            yield from _lifted(of, command, {"context_tokens": first}, f"requests longer than {first:,} tokens", judged)
        else:
            yield from _lifted(of, command, {"sequences": first}, f"more than {first:,} sequences at once: others wait", judged)
    elif kind == "gpus" and 0 < second < first:
        yield from _lifted(of, command, {"tp": second}, f"{first - second} ranks, whose GPUs are not there", judged)
    elif kind == "quant" and "quant" in known and "does not match" in log.said:
        yield from _lifted(of, command, {"quant": False}, "nothing: the checkpoint says how it is stored", judged)
    elif kind == "quant" and "flash" in known and re.search(r"(?i)V cache", log.said):
        given = read(command)
        if "block size" not in log.said and given.text("--flash-attn") == "off":
            yield from _lifted(of, command, {"flash": "on"}, "nothing, where the GPU can run it", judged)
        yield from _lifted(of, command, {"kv_dtype": "f16"}, "the memory that a cache in f16 takes", judged)
    elif kind == "code" and "trusts" in known:
        yield from _lifted(of, command, {"trusts": True}, "the safety of code that somebody has read", judged)
    elif kind == "kernel" and "dtype" in known and re.search(r"[Bb]float16 is only supported", log.said):
        yield from _lifted(of, command, {"dtype": "half"}, "the range of bfloat16: some models overflow in float16", judged)


def _divisors(of: Program, log: Logged, command: Command, predicted: Predicted | None, judged: Judge) -> Iterator[report.Remedy]:
    given = read(command)
    ranks = given.get("--tensor-parallel-size", "--tp-size") or 1
    if ep := of.whole_experts(log.said, int(ranks)):
        yield from _lifted(
            of, command, {"ep": ep}, "an even load: each GPU has whole experts, of which some are asked more", judged
        )
    heads = predicted.loaded.architecture.facts.heads if predicted else 0
    # A log may name any number; no more ranks than heads divide them.
    for tp in range(min(int(ranks) - 1, heads or 4096), 0, -1):
        if (heads and heads % tp == 0) or (not heads and tp & (tp - 1) == 0):
            lifted = list(_lifted(of, command, {"tp": tp}, f"{int(ranks) - tp} of the GPUs", judged))
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
