"""Logs of vLLM: the pool of its cache fills the share of the memory that it may take, and holds one whole request or nothing starts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import ClassVar

from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.diagnose.program import (
    BEFORE,
    SLACK,
    Program,
    Try,
    lacking,
    more_gpus,
    shorter,
    smaller_cache,
    smaller_share,
)
from archcalc.analysis.fit import Ask, Fit
from archcalc.commands.flags import table
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Engine
from archcalc.errors import UsageError


class Vllm(Program):
    engine: ClassVar[Engine] = "vllm"
    executable = "vllm serve"
    combines = True
    sequences = (0, 64)

    def flags(self, log: Logged) -> tuple[str, ...]:
        stated = any(flag == "--max-model-len" for flag, _ in log.asked)
        return ("--max-model-len", str(log.context_tokens)) if log.context_tokens and not stated else ()

    def terms(self, predicted: Predicted) -> dict[str, int]:
        b = predicted.best.budget
        named = {t.name: t.bytes for t in (*b.activation_terms, *b.overhead_terms)}
        graphs = named.get("CUDA graphs", 0)
        return {
            "budget": b.budget_bytes,
            "activation": b.activation_bytes,
            # Releases that do not count them in their budget leave them to what is beside it.
            **({"graphs": graphs} if graphs else {}),
            "non-torch": b.overhead_bytes - graphs,
        }

    def short(self, log: Logged, best: Fit) -> bool:
        room, tokens = log.term("room"), log.tokens
        if tokens is not None:
            return tokens < best.context_tokens
        return room is not None and log.concurrency is None and room < best.kv_needed_bytes

    def whole_experts(self, said: str, ranks: int) -> int | bool:
        return re.search(r"(?:gate's and up's|down's) weight = ", said) is not None

    def tries(self, log: Logged, kind: Kind, predicted: Predicted, *, beyond: bool) -> Iterator[Try]:
        ask, budget = predicted.ask, predicted.best.budget
        own, before, figures = ask.own, kind in BEFORE, dict(log.figures)
        if beyond and own.cache_bytes is not None:
            yield from _smaller_pool(log, predicted)
        tried, free = figures.get("tried", 0), figures.get("free", 0)
        for n in (256, 64, 16) if kind not in ("loading", "cache", "serving") else ():
            if budget.sequences <= n or n < ask.concurrency or (kind == "sampling" and tried * n > free * budget.sequences > 0):
                continue
            fewer = ask._replace(own=own._replace(sequences=n))
            if kind == "capturing" and not _frees(log, predicted, fewer):
                continue
            yield Try({"sequences": n}, fewer, f"more than {n} sequences at once: others wait")
        for n in (8192, 2048) if kind not in ("loading", "capturing", "sampling", "cache") else ():
            if budget.batched_tokens > n:
                yield Try({"batched_tokens": n}, ask._replace(batched_tokens=n), "some speed of long prompts")
        if predicted.loaded.architecture.encoders and not own.text_alone and not beyond:
            yield _text_alone(log, ask)
        if budget.utilization < 0.95 and not beyond and not before and own.cache_bytes is None:
            yield Try({"utilization": 0.95}, ask._replace(utilization=0.95), "memory for anything else on the GPU")
        if beyond and own.cache_bytes is None:
            yield from smaller_share(log, predicted)
        if own.graphs and not before and kind not in ("cache", "serving"):
            eager = ask._replace(own=own._replace(graphs=False))
            yield Try({"eager": True}, eager, "CUDA graphs: decoding is slower")
        if beyond:
            return
        # What one token takes of a pool makes no difference where nothing is left for a pool.
        if not before and kind != "no-cache":
            if ask.kv_dtype is None:
                yield smaller_cache(predicted, "fp8")
            yield from shorter(log, predicted, ask)
        if ask.quant is None and predicted.loaded.architecture.quantization is None:
            yield Try({"quant": "fp8"}, ask._replace(quant="fp8"), "some precision: weights are quantized to FP8 as they load")
        yield from more_gpus(predicted)


# Every kind of input that models have: with none of those that it takes a model is its text's alone (0.10.2, multimodal/registry.py).
_INPUTS = ("image", "video", "audio")


def _text_alone(log: Logged, ask: Ask) -> Try:
    """Text alone, in the words of the release."""
    gives_up = "every input but text"
    try:
        known = "--language-model-only" in table("vllm").at(log.version)
    except UsageError:
        known = True
    if known:
        return Try({"text_alone": True}, ask._replace(own=ask.own._replace(text_alone=True)), gives_up)
    none = dict.fromkeys(_INPUTS, 0)
    return Try({"limits": json.dumps(none)}, ask._replace(own=ask.own._replace(limits=tuple(none.items()))), gives_up)


def _frees(log: Logged, predicted: Predicted, ask: Ask) -> bool:
    """Whether graphs of fewer sequences take less, by more than was missing. The pool fills its share either way."""
    from archcalc.engines.vllm.budget import graphs_bytes

    best = predicted.best
    before, after = (
        graphs_bytes(predicted.loaded.architecture, best.placement, sequences, best.budget.batched_tokens, ask.own)
        for sequences in (best.budget.sequences, ask.own.sequences)
    )
    figures = dict(log.figures)
    return before - after > max(0, int(figures.get("tried", 0)) - int(figures.get("free", 0)))


def _smaller_pool(log: Logged, predicted: Predicted) -> Iterator[Try]:
    """The pool that was given in bytes, as large as the rest leaves of the memory."""
    ask, budget = predicted.ask, predicted.best.budget
    taken = budget.weights_bytes + budget.activation_bytes + budget.overhead_bytes
    size = min(budget.memory_bytes - taken - 2 * SLACK, ask.own.cache_bytes - lacking(log)) // SLACK * SLACK
    if 0 < size < ask.own.cache_bytes:
        smaller = ask._replace(own=ask.own._replace(cache_bytes=size))
        yield Try({"cache_bytes": size}, smaller, "a part of the cache")


PROGRAM = Vllm()
