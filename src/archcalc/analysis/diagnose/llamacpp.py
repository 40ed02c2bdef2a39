"""Logs of llama.cpp: no share is taken in advance, and what the GPU does not hold can run from the CPU's memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.diagnose.program import BEFORE, Program, Try, missing, shorter, smaller_cache
from archcalc.analysis.fit import Ask, plans
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Engine
from archcalc.errors import ArchcalcError


class LlamaCpp(Program):
    engine: ClassVar[Engine] = "llama.cpp"
    executable = "llama-server"
    model_flag = "-m"
    fills_share = False
    lists = False

    def settled(self, log: Logged, ask: Ask) -> Ask:
        kind = log.file_type or _file_type(log.model or "")
        # What the engine set by itself stands in its log.
        return ask._replace(quant=ask.quant if ask.quant is not None else kind, own=ask.own._replace(fits=False))

    def terms(self, predicted: Predicted) -> dict[str, int]:
        best, states = predicted.best, _states(predicted)
        return {
            "cache": best.kv_needed_bytes - states,
            "states": states,
            "compute": best.budget.activation_bytes,
            "weights in RAM": best.weights.cpu_bytes,
        }

    def slots(self, ask: Ask) -> int:
        return 1 if ask.own.unified else int(ask.own.slots)

    def tries(self, log: Logged, kind: Kind, predicted: Predicted, *, beyond: bool) -> Iterator[Try]:
        ask = predicted.ask
        if kind not in BEFORE and kind != "no-cache":
            now = predicted.understood.given.get("--ubatch-size", "512")
            for n in (512, 128) if kind == "compute" and now.isdecimal() else ():
                if n < int(now):
                    yield Try({"ubatch": n}, "some speed of long prompts")
            if ask.kv_dtype is None:
                yield smaller_cache("q8_0")
            yield from shorter(log, predicted, predicted)
        yield from _to_cpu(predicted, missing(log, kind, predicted))


def _file_type(name: str) -> str | None:
    """The storage that a GGUF file's name states."""
    found = re.search(r"(?i)[-._]((?:i?q\d(?:_[a-z0-9]+)*)|mxfp4(?:_moe)?|bf16|f16|f32)(?:-\d+-of-\d+)?\.gguf$", name)
    return found[1].lower() if found else None


def _states(predicted: Predicted) -> int:
    from archcalc.engines.engine import server

    ask = predicted.ask
    try:
        from archcalc.engines._allocation import Workload

        made = server(ask.engine).cache(
            predicted.loaded.architecture, Workload(predicted.best.context_tokens, predicted.best.concurrency), {}
        )
    except ArchcalcError:
        return 0
    slots = ask.own.slots if ask.own is not None and ask.own.unified else predicted.best.concurrency
    return made.state_bytes // max(1, predicted.best.concurrency) * slots


def _to_cpu(predicted: Predicted, lost: int) -> Iterator[Try]:
    """Experts first, which few tokens visit, then whole layers: the fewest that make it fit, with what is `lost` besides."""
    ask, layers = predicted.ask, predicted.loaded.architecture.layers
    from archcalc.engines.plan import largest

    def fits(own: Any) -> bool:
        try:
            best = plans(predicted.loaded.architecture, ask._replace(own=own), alternatives=0).best
        except ArchcalcError:
            return False
        return best.fits and best.headroom_bytes >= lost

    if predicted.loaded.architecture.facts.moe is not None:
        stay = largest(lambda n: fits(ask.own._replace(cpu_experts=layers - n)), layers)
        if stay or fits(ask.own._replace(cpu_experts=layers)):
            n = layers - stay
            yield Try({"cpu_experts": n}, f"speed: the experts of {n} layer{'s' if n > 1 else ''} run from RAM")
    held = largest(lambda n: fits(ask.own._replace(gpu_layers=n)), layers)
    if held:
        yield Try({"gpu_layers": held}, f"speed: {_layers(layers + 1 - held)} from RAM")


def _layers(n: int) -> str:
    return f"{n} layer runs" if n == 1 else f"{n} layers run"


PROGRAM = LlamaCpp()
