"""Logs of vLLM: the pool of its cache fills the share of the memory that it may take, and holds one whole request or nothing starts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

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
from archcalc.analysis.fit import Fit
from archcalc.commands.flags import table
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Engine
from archcalc.errors import UsageError


class Vllm(Program):
    engine: ClassVar[Engine] = "vllm"
    executable = "vllm serve"
    combines = True
    share_of_all = True
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

    def lacks(self, log: Logged, predicted: Predicted, then: Predicted, lost: int) -> int:
        before, after = predicted.best.budget, then.best.budget
        own = then.ask.own
        if any(name.startswith("encoder ") for name, _ in log.figures) and (
            own.text_alone or (own.limits and not any(n for _, n in own.limits))
        ):
            return 0
        # The steps that were profiled, of text and of encoders, have as many tokens as a step may have.
        tokens = min(after.batched_tokens, before.batched_tokens)
        return min(super().lacks(log, predicted, then, lost), lost * tokens // max(1, before.batched_tokens))

    def whole_experts(self, said: str, ranks: int) -> int | bool:
        return re.search(r"(?:gate's and up's|down's) weight = ", said) is not None

    def tries(self, log: Logged, kind: Kind, predicted: Predicted, *, beyond: bool) -> Iterator[Try]:
        ask, best = predicted.ask, predicted.best
        own, budget, before, figures = ask.own, best.budget, kind in BEFORE, dict(log.figures)
        if beyond and own.cache_bytes is not None:
            yield from _smaller_pool(log, predicted)
        elif own.cache_bytes is not None and kind in ("one-request", "no-cache"):
            # The pool that was given in bytes is itself what is too small.
            if (size := -(-best.kv_needed_bytes // SLACK) * SLACK) > own.cache_bytes:
                yield Try({"cache_bytes": size}, "memory for anything else on the GPU")
            yield Try({"cache_bytes": False}, "memory for anything else on the GPU: the cache fills the engine's share")
        tried, free = figures.get("tried", 0), figures.get("free", 0)
        for n in (256, 64, 16) if kind not in ("loading", "cache", "serving") else ():
            if budget.sequences <= n or n < ask.concurrency or (kind == "sampling" and tried * n > free * budget.sequences > 0):
                continue
            if kind == "capturing" and not _frees(log, predicted, n):
                continue
            yield Try({"sequences": n}, f"more than {n} sequences at once: others wait")
        for n in (32768, 8192, 2048) if kind not in ("loading", "capturing", "sampling", "cache") else ():
            if budget.batched_tokens > n:
                yield Try({"batched_tokens": n}, "some speed of long prompts")
        if predicted.loaded.architecture.encoders and not own.text_alone and not beyond:
            yield from (_without(each, own) for name in figures if (each := name.partition("encoder ")[2]))
            yield _text_alone(log)
        if budget.utilization < 0.95 and not beyond and not before and own.cache_bytes is None:
            yield Try({"utilization": 0.95}, "memory for anything else on the GPU")
        if beyond and own.cache_bytes is None:
            yield from smaller_share(log, predicted)
        if own.graphs and not before and kind not in ("cache", "serving"):
            yield Try({"eager": True}, "CUDA graphs: decoding is slower")
        if beyond:
            return
        # What one token takes of a pool makes no difference where nothing is left for a pool.
        if not before and kind != "no-cache":
            if ask.kv_dtype is None:
                yield smaller_cache("fp8")
            yield from shorter(log, predicted, predicted)
        if ask.quant is None and predicted.loaded.architecture.quantization is None:
            yield Try({"quant": "fp8"}, "some precision: weights are quantized to FP8 as they load")
        yield from more_gpus(predicted)


# Every kind of input that models have: with none of those that it takes a model is its text's alone (0.10.2, multimodal/registry.py).
_INPUTS = ("image", "video", "audio")


def _text_alone(log: Logged) -> Try:
    """Text alone, in the words of the release."""
    gives_up = "every input but text"
    try:
        known = "--language-model-only" in table("vllm").at(log.version)
    except UsageError:
        known = True
    return Try({"text_alone": True} if known else {"limits": json.dumps(dict.fromkeys(_INPUTS, 0))}, gives_up)


def _without(modality: str, own: Any) -> Try:
    """None of the inputs that the encoder was profiled with."""
    return Try({"limits": json.dumps({**dict(own.limits), modality: 0})}, f"{modality} inputs")


def _frees(log: Logged, predicted: Predicted, sequences: int) -> bool:
    """Whether graphs of fewer sequences take less, by more than was missing. The pool fills its share either way."""
    from archcalc.engines.vllm.budget import graphs_bytes

    best, own = predicted.best, predicted.ask.own
    before, after = (
        graphs_bytes(predicted.loaded.architecture, best.placement, n, best.budget.batched_tokens, own._replace(sequences=of))
        for n, of in ((best.budget.sequences, sequences), (sequences, sequences))
    )
    figures = dict(log.figures)
    return before - after > max(0, int(figures.get("tried", 0)) - int(figures.get("free", 0)))


def _smaller_pool(log: Logged, predicted: Predicted) -> Iterator[Try]:
    """The pool that was given in bytes, as large as the rest leaves of the memory."""
    ask, budget = predicted.ask, predicted.best.budget
    taken = budget.weights_bytes + budget.activation_bytes + budget.overhead_bytes
    size = min(budget.memory_bytes - taken - 2 * SLACK, ask.own.cache_bytes - lacking(log)) // SLACK * SLACK
    if 0 < size < ask.own.cache_bytes:
        yield Try({"cache_bytes": size}, "a part of the cache")


PROGRAM = Vllm()
