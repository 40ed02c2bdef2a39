"""Weights that a command leaves to the CPU, or adds for adapters."""

from __future__ import annotations

from archcalc.engines.placement import ComponentBytes, Placement, RankWeights, rank_weights
from archcalc.engines.plan import Ask, Setting, machines
from archcalc.engines.weights import WeightOptions, kept
from archcalc.model import Architecture


def added(found: RankWeights, size: int) -> RankWeights:
    """So many bytes more on every rank."""
    more = (*found.components, ComponentBytes("other", "other", size))
    return found._replace(
        bytes=found.bytes + size,
        tensor_bytes=found.tensor_bytes + size,
        components=more,
        stages=tuple(s + size for s in found.stages),
    )


def draft_bytes(draft: Architecture, placement: Placement, options: WeightOptions, quant: str | None = None) -> int:
    """What a draft model takes of the last stage, split over the same ranks; `quant` is what its weights are made of as they load, where
    they are not quantized already."""
    from archcalc.engines.engine import server

    online = quant is not None and draft.quantization is None and options.device is not None
    if online and options.device is not None:
        draft = server(options.engine).load(draft, quant, options.device)[0]
    own = options._replace(mtp=False, online=online)
    return rank_weights(draft, Placement(tp=placement.tp), own, kept(draft, own)).bytes


def spared(found: RankWeights, size: int) -> RankWeights:
    """So many bytes of the layers stay in the CPU's memory (vLLM, model_executor/models/utils.py `maybe_offload_to_cpu`)."""
    size = min(size, sum(c.bytes for c in found.components if c.part == "decoder"))
    rest, components, left = size, [], []
    for c in found.components:
        cut = min(rest, c.bytes) if c.part == "decoder" else 0
        rest -= cut
        components.append(c._replace(bytes=c.bytes - cut))
        left += [c._replace(bytes=cut)] if cut else []
    return found._replace(
        bytes=found.bytes - size, tensor_bytes=found.tensor_bytes - size, components=tuple(components),
        stages=tuple(max(0, s - size) for s in found.stages), cpu_bytes=found.cpu_bytes + size, left=(*found.left, *left),
    )  # fmt: skip


def of_machine(ask: Ask, placement: Placement, each: int) -> int:
    """The RAM of one machine where every rank keeps so much there."""
    return each * -(-placement.tp * placement.pp * placement.dp // machines(ask.gpus))


def less(ask: Ask, caches: tuple[tuple[str, str], ...]) -> list[Setting]:
    """Less in the CPU's memory than a command leaves there, where there is a budget of it: no second cache (`caches` are the settings that
    ask for one and their flags), and of weights that are more than it holds none, or as many as it does."""
    if ask.ram_bytes is None or ask.own is None:
        return []
    found = [
        Setting("no second cache in the CPU's memory", f"without {flag}", {name: 0})
        for name, flag in caches
        if getattr(ask.own, name)
    ]
    left, ranks = ask.own.offload_bytes, max(1, ask.gpus.count // ask.gpus.nodes)
    if left * ranks <= ask.ram_bytes:
        return found
    found += [Setting("all of the weights on the GPUs", "without --cpu-offload-gb", {"offload_bytes": 0})]
    if 0 < (held := (ask.ram_bytes // ranks) >> 30) < left >> 30:
        what = f"{held} GiB of each GPU's weights in the CPU's memory in place of {left >> 30}"
        found.append(Setting(what, f"--cpu-offload-gb {held}", {"offload_bytes": held << 30}))
    return found
