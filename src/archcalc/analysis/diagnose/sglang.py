"""Logs of SGLang: it fills its share with whatever there is, and starts with a cache smaller than one request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.diagnose.program import BEFORE, SLACK, Program, Try, more_gpus, shorter, smaller_cache, smaller_share
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Engine

_OF_POOL: frozenset[Kind] = frozenset({"pool", "one-request", "states"})


class Sglang(Program):
    engine: ClassVar[Engine] = "sglang"
    executable = "python -m sglang.launch_server"
    model_flag = "--model-path"
    serves_less = True
    sequences = (0,)
    causes: ClassVar[Mapping[Kind, str]] = {"states": "the cache of recurrent states does not hold one request"}

    def terms(self, predicted: Predicted) -> dict[str, int]:
        return {"cache": predicted.best.budget.kv_room_bytes}

    def whole_experts(self, said: str, ranks: int) -> int | bool:
        if not (found := re.search(r"moe_intermediate_size=(\d+) / moe_tp_size=\d+\) % weight_block_size_n=(\d+)", said)):
            return False
        width, block = int(found[1]), int(found[2])
        groups = (n for n in range(2, min(ranks, 4096) + 1) if ranks % n == 0 and width * n % ranks == 0)
        return next((n for n in groups if block and width * n // ranks % block == 0), False)

    def tries(self, log: Logged, kind: Kind, predicted: Predicted, *, beyond: bool) -> Iterator[Try]:
        ask, best = predicted.ask, predicted.best
        own, before, share_now = ask.own, kind in BEFORE, best.budget.utilization
        if kind == "pool" and (log.tokens or 0) >= best.context_tokens:
            n = (log.tokens or 0) // best.context_tokens
            yield Try({"running": n}, f"more than {n} requests at once: others wait")
        if kind in _OF_POOL or kind == "no-cache":
            least = dict(log.figures).get("least share", 0)
            for share in (round(least + 0.03, 2), 0.9, 0.95) if share_now < 0.95 else ():
                if share_now < share and least < share < 1:
                    yield Try({"utilization": share}, "memory for activations and graphs")
        elif not before:
            if kind == "serving":
                yield from _smaller_chunks(log, predicted)
            yield from smaller_share(log, predicted)
            if kind == "capturing":
                if (own.graph_batch or 256) > 16:
                    yield Try({"graph_batch": 16}, "CUDA graphs of more than 16 sequences")
                yield Try({"eager": True}, "CUDA graphs: decoding is slower")
        if beyond:
            return
        # What one request takes of a pool makes a difference where the pool itself runs out.
        if kind in _OF_POOL:
            if ask.kv_dtype is None:
                yield smaller_cache("fp8_e4m3")
            yield from shorter(log, predicted, predicted)
        yield from more_gpus(predicted)


def _smaller_chunks(log: Logged, predicted: Predicted) -> Iterator[Try]:
    """Fewer tokens of a prompt at once, where a prompt was read as memory ran out: what it asked for is in proportion to them. The share
    stays, which the engine would else set by them (arg_groups/memory_hook.py)."""
    figures, share = dict(log.figures), predicted.best.budget.utilization
    now, tried, free = int(figures.get("prefill", 0)), figures.get("tried", 0), figures.get("free", 0)
    kept = {} if "--mem-fraction-static" in predicted.understood.given else {"utilization": round(share, 3)}
    for n in (4096, 2048, 1024, 512):
        if n < now and tried * n / now + SLACK <= free:
            yield Try({"chunk": n, **kept}, "some speed of long prompts")
            return


PROGRAM = Sglang()
