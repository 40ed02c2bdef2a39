"""Logs of llama.cpp: no share is taken in advance, and what the GPU does not hold can run from the CPU's memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from archcalc import units
from archcalc.analysis.diagnose.predicted import Predicted
from archcalc.analysis.diagnose.program import BEFORE, Program, Try, missing, shorter, smaller_cache
from archcalc.analysis.fit import Ask, plans
from archcalc.commands.logs import Kind, Logged
from archcalc.commands.words import Engine
from archcalc.errors import ArchcalcError, UnsupportedError
from archcalc.loader import Loaded


class LlamaCpp(Program):
    engine: ClassVar[Engine] = "llama.cpp"
    executable = "llama-server"
    model_flag = "-m"
    fills_share = False
    lists = False
    usual: ClassVar[str] = ""
    """The file type of what is named without one."""

    def settled(self, log: Logged, ask: Ask) -> Ask:
        kind = log.file_type or _file_type(log.model or "")
        # What the engine set by itself stands in its log.
        return ask._replace(quant=ask.quant if ask.quant is not None else kind, own=ask.own._replace(fits=False))

    def stored(self, log: Logged, loaded: Loaded, ask: Ask) -> tuple[Ask, str]:
        if ask.quant is not None or loaded.architecture.quantization is not None:
            return ask, ""
        said = "the log does not say how the weights are stored"
        on_gpu, in_ram = log.term("weights"), log.term("weights in RAM")
        if on_gpu:
            # A file that the GPU maps is there whole; elsewhere the input embedding is the CPU's, whose buffer not every release tells.
            apart = in_ram is None and ask.gpus.device.vendor != "apple"
            kind, size = _nearest(loaded, ask, on_gpu + (in_ram or 0), without_embedding=apart)
            if kind:
                return ask._replace(
                    quant=kind
                ), f"{said}: {kind} is taken, whose {units.format_bytes(size)} are nearest to its weights"
        elif self.usual:
            return ask._replace(quant=self.usual), f"{said}: {self.usual} is taken, in which most tags of the library are published"
        raise UnsupportedError(f"{said}, so nothing is predicted", "--quant q4_k_m, or as it is, says it")

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


# The types of files that are published most, the first of those that are alike in size.
_KINDS = (
    "q4_k_m q8_0 q6_k q5_k_m q3_k_m q2_k q4_0 q4_k_s q5_k_s q3_k_s q3_k_l q5_0 q4_1 q5_1 iq4_xs iq4_nl iq3_m iq3_xxs iq2_m iq2_xxs bf16 f32"
).split()
_FAR = 1 / 25


def _nearest(loaded: Loaded, ask: Ask, logged: int, *, without_embedding: bool) -> tuple[str, int]:
    """The file type whose weights come nearest to those of the log, and their bytes; an empty one where none is near."""
    from archcalc.engines.engine import server
    from archcalc.figures.checkpoint import summary

    best, least, size = "", _FAR * logged, 0
    counted = {"embedding": 0, "head": 0, "": 0}
    towers = 0
    for part, tensor, copies in loaded.architecture.each_tensor():
        if part in ("vision", "audio"):
            # A tower has a file of its own, in 16 bits.
            towers += tensor.elements * copies * 2
        elif tensor.counted:
            counted[tensor.role if tensor.role in counted else ""] += tensor.elements * copies
    # A tied head is the embedding again, on the GPU.
    share = counted["embedding"] / (sum(counted.values()) or 1) if without_embedding and counted["head"] else 0
    for kind in _KINDS:
        try:
            whole = summary(server(ask.engine).load(loaded.architecture, kind, ask.gpus.device)[0]).bytes
        except ArchcalcError:
            continue
        held = round((whole - towers) * (1 - share))
        if abs(held - logged) < least:
            best, least, size = kind, abs(held - logged), held
    return best, size


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
