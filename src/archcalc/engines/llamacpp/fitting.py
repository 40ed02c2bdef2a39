"""What `--fit` sets that a command leaves out: the context first, then which layers and experts lie on the GPUs.

Source: llama.cpp 0c1e57098, common/fit.cpp `common_params_fit_impl`, whose steps and names are kept here; common/arg.cpp (`--fit-target`,
`--fit-ctx`, and `-c 0`, which is not lowered). It measures by allocating nothing; here the same buffers are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from archcalc import units
from archcalc.engines.budget import cuda_context
from archcalc.engines.llamacpp import cache as llamacpp
from archcalc.engines.llamacpp import projector
from archcalc.engines.llamacpp.budget import (
    compute,
    draft_cache,
    draft_options,
    draft_weights,
    drafting,
    in_pipeline,
    on_gpus,
    options_of,
    streamed_weights,
)
from archcalc.engines.llamacpp.flags import ollama_batch
from archcalc.engines.llamacpp.layout import CPU, devices_of, lay_out
from archcalc.engines.llamacpp.ollama import LEAST, cache_of
from archcalc.engines.llamacpp.pool import on_cpu
from archcalc.engines.llamacpp.settings import Settings
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask, Candidate
    from archcalc.model import Architecture

_ALIGN = 256
# Names of tensors by what of a layer stays (`get_overflow_pattern`); without one all but routed experts does.
_PARTS = {
    "attention": r"ffn_(gate|up|gate_up|down).*",
    "attention and up": r"ffn_(gate|gate_up|down).*",
    "attention, up and gate": r"ffn_down.*",
}


class _Device(NamedTuple):
    """Layers of a GPU (the head counts as one), of which so many without their experts; the first of those may keep a part of them."""

    layers: int = 0
    parts: int = 0
    keeps: str = ""

    @property
    def whole(self) -> int:
        return self.layers - self.parts


def fitted(model: Candidate, ask: Ask) -> Ask:
    """The question with what the engine sets by itself, and the same where it sets nothing."""
    own: Settings | None = ask.own
    trained = model.architecture.facts.context_tokens
    if own is None or trained is None:
        return ask
    if (taken := cache_of(model.architecture, own)) is not own:
        ask, own = ask._replace(own=taken, kv_dtype=None if taken.type_k == "f16" else taken.type_k), taken
    if own.asks_layers and ask.gpus.device.vendor != "apple":
        said = "builds before b6325 keep all layers in the CPU's memory without -ngl"
        own = own._replace(gpu_layers=0, asks_layers=False, fitted=(*own.fitted, said))
        ask = ask._replace(own=own)
    ask, own = _of_ollama(ask, own, model.architecture, trained)
    return _allocated(model, _Fit(model, ask, own, trained).run() if own.fits else ask)


def _allocated(model: Candidate, ask: Ask) -> Ask:
    """Where no context was named, with the cells that the engine allocates: it takes no more than it then serves (`n_ctx`)."""
    from archcalc.engines.plan import context_of

    own: Settings = ask.own
    if own.cells:
        return ask
    tokens = context_of(model.architecture, ask)
    return ask._replace(own=own._replace(cells=tokens * (1 if own.unified else own.slots)))


def _of_ollama(ask: Ask, own: Settings, architecture: Architecture, trained: int) -> tuple[Ask, Settings]:
    """The context that Ollama asks for: by the GPUs' memory where none is named, raised for some models, and no more than the trained
    length."""
    tokens, said = ask.context_tokens, own.fitted
    memory = sum(device.visible_bytes for device in ask.gpus.each) - own.margin_bytes
    if own.tiers and tokens is None:
        tokens = next(context for limit, context in own.tiers if memory < limit)
        said = (*said, f"Ollama takes a context of {min(tokens, trained):,} tokens with {units.format_bytes(memory)} of GPU memory")
    if not own.clamps or tokens is None:
        return ask, own
    if own.raised and tokens < LEAST and memory >= own.raised[1] and llamacpp.architecture_name(architecture) in own.raised[0]:
        said = (*own.fitted, f"Ollama raises the context of this model from {tokens:,} to {LEAST:,} tokens")
        tokens = LEAST
    if tokens > trained:
        tokens = trained
        said = said or (f"Ollama serves no more than the trained {trained:,} tokens",)
    own = own._replace(fitted=said, tiers=(), clamps=False, cells=tokens * own.slots if own.cells else 0)
    if own.batch_by_context:
        own = own._replace(batch=ollama_batch(tokens), ubatch=ollama_batch(tokens))
    return ask._replace(context_tokens=tokens, own=own), own


class _Fit:
    """One run, on the GPUs of a machine in their order."""

    def __init__(self, model: Candidate, ask: Ask, own: Settings, trained: int) -> None:
        self.model, self.ask, self.own = model, ask, own
        self.streams = 1 if own.unified else max(1, own.slots)
        self.layers = model.architecture.layers
        self.most, self.least = trained * self.streams, own.least * self.streams
        self.auto = ask.context_tokens is None
        self.devices = ask.gpus.each
        free = ask.gpus.device.free_bytes
        self.memories = [free if free is not None else d.visible_bytes for d in self.devices]
        self.cells = self.most if self.auto else (ask.context_tokens or trained) * self.streams

    def run(self) -> Ask:
        notes: list[str] = []
        spare = self.heads(self.own, self.cells)
        if min(spare) >= 0:
            return self.made(self.own, notes)
        if self.own.unspread == "tensor" and len(spare) > 1:
            # "not implemented for SPLIT_MODE_TENSOR": all stays as it is asked for.
            return self.made(self.own._replace(margin_bytes=0), notes)
        if sum(spare) < 0 and self.auto and not self.own.keeps_context and self.most > self.least and self.shorter(spare, notes):
            return self.made(self.own, notes)
        if (
            self.own.gpu_layers is not None
            or self.own.overrides
            or self.own.cpu_experts
            or (len(spare) > 1 and (self.own.shares or self.own.unspread))
        ):
            # Where a placement is asked for, it is not touched, and no margin is kept.
            return self.made(self.own._replace(margin_bytes=0), notes)
        own = self.settings(self.filled())
        budgeted = self.ask.ram_bytes is not None or self.ask.gpus.device.shared_memory
        if not budgeted and (not self.auto or self.own.keeps_context):
            # The GPUs are the budget, and what is asked for is more than they hold; the engine starts all the same.
            return self.made(self.own._replace(moved=self.told(own), moved_bytes=self.in_ram(own)), notes)
        return self.made(own, [*notes, self.told(own)])

    def told(self, own: Settings) -> str:
        away, layers = len(own.experts_on_cpu), min(own.gpu_layers or 0, self.layers + 1)
        text = f"--fit puts {layers} of {self.layers + 1} layers on the GPUs, the head counting as one"
        if away:
            text += f", {away} of them without their experts"
        if own.overrides:
            text += ", one more without a part of its own"
        return f"{text}; {units.format_bytes(self.in_ram(own))} stay in the CPU's memory"

    def in_ram(self, own: Settings) -> int:
        """Weights and caches in the CPU's memory."""
        held = lay_out(self.model.tensors, self.layers, len(self.devices), own, self.memories).on_cpu
        context = max(1, self.cells // self.streams)
        return held + on_cpu(self.model.architecture, self.ask._replace(own=own), context, self.streams)

    def made(self, own: Settings, notes: list[str]) -> Ask:
        tokens = self.cells // self.streams
        if own.margin_bytes and not own.moved and (short := min(self.heads(own, self.cells))) < 0:
            # It does not measure again: what the straight line missed comes out of the margin.
            own = own._replace(margin_bytes=max(0, own.margin_bytes + short))
        return self.ask._replace(context_tokens=tokens, own=own._replace(fits=False, fitted=(*own.fitted, *notes)))

    def shorter(self, spare: list[int], notes: list[str]) -> bool:
        """Lower the context; whether that is enough. Linear between what the least and the longest take."""
        slack = 0
        count = len(spare)
        if count > 1:
            asked = self.own.gpu_layers
            weights = sum(lay_out(self.model.tensors, self.layers, count, self.own, self.memories).weights)
            each = weights // max(1, min(self.layers if asked is None else asked, self.layers))
            slack = (count + 1) * each // (6 if self.model.architecture.facts.moe else 2)
        low = self.heads(self.own, self.least)
        room, taken = sum(low) - slack, sum(low) - sum(spare)
        cells = self.least
        if room > 0:
            cells += (self.most - self.least) * room // taken
            cells = max(cells - cells % (_ALIGN * self.streams), self.least)
        each_of = f" for each of {self.streams} slots" if self.streams > 1 else ""
        notes.append(
            f"--fit lowers the context from {self.most // self.streams:,} to {cells // self.streams:,} tokens{each_of},"
            " as no -c is given and the memory holds no more"
        )
        self.cells = cells
        return room > 0 and count == 1

    def heads(self, own: Settings, cells: int) -> list[int]:
        """What stays free of each GPU beyond what is to stay free, in bytes."""
        model, count = self.model, len(self.devices)
        context = max(1, cells // self.streams)
        sequences = 1 if own.unified else self.streams
        ask = self.ask._replace(own=own)
        layout = lay_out(model.tensors, self.layers, count, own, self.memories)
        caches = on_gpus(model, ask, layout, context, sequences)
        alone = ask.gpus.device.shared_memory or not own.streams
        streamed, head = (0, 0) if alone else streamed_weights(model, ask)
        places = devices_of(self.layers, count, own, self.memories)[: self.layers]
        copies = llamacpp.PIPELINE_COPIES if in_pipeline(model.architecture, own, count) else 1
        options = options_of(own, sequences)._replace(copies=copies, streamed_bytes=streamed, streamed_head_bytes=head)
        found, reserved = [], dict[llamacpp.CacheOptions, int]()
        for gpu, device in enumerate(self.devices):
            here = options._replace(
                head_here=layout.head in (CPU, gpu),
                here=frozenset(i for i, place in enumerate(places) if place == gpu),
                # The first GPU multiplies with what the CPU holds.
                away=frozenset() if alone or gpu else frozenset(i for i, place in enumerate(places) if place == CPU),
                unpacks=own.unpacks and device.vendor in ("nvidia", "amd"),
            )
            if here not in reserved:
                reserved[here] = compute(model.architecture, context, sequences, here)
            margin = own.targets[min(gpu, len(own.targets) - 1)]
            taken = layout.weights[gpu] + caches[gpu] + reserved[here] + cuda_context(device) + self.ask.host_bytes
            found.append(self.memories[gpu] - margin - taken)
        found[0] -= sum(projector.on_gpu(own, model.architecture))
        if (draft := drafting(own, model.architecture)) is not None:
            size = draft_weights(draft, ask)[0] if own.draft is not None else 0
            size += compute(draft, context, sequences, draft_options(own, sequences))
            size += draft_cache(own, model.architecture, context, sequences)
            found[found.index(min(found))] -= size
        return found

    def settings(self, devices: list[_Device]) -> Settings:
        """The flags that a placement stands for (`set_ngl_tensor_split_tbo`)."""
        total = sum(d.layers for d in devices)
        at = self.layers + 1 - total
        away: set[int] = set()
        overrides: list[tuple[str, str]] = []
        for device in devices:
            at += device.whole
            for layer in range(at, at + device.parts):
                if layer == at and device.keeps:
                    overrides.append((rf"blk\.{layer}\.{_PARTS[device.keeps]}", "CPU"))
                elif layer < self.layers:
                    away.add(layer)
            at += device.parts
        shares = tuple(float(d.layers) for d in devices) if len(devices) > 1 and total else None
        return self.own._replace(gpu_layers=total, shares=shares, experts_on_cpu=frozenset(away), overrides=tuple(overrides))

    def filled(self) -> list[_Device]:
        """Layers from the last to the first, on GPUs from the last to the first; of a mixture of experts all without them, and then, where
        those all fit, with them as far as they go."""
        count, experts = len(self.devices), self.model.architecture.facts.moe is not None
        placed = [_Device()] * count
        for gpu in reversed(range(count)):
            left = self.layers + 1 - sum(d.layers for d in placed[gpu + 1 :])
            last = gpu == count - 1

            def with_more(n: int, base: list[_Device] = placed, gpu: int = gpu, last: bool = last) -> list[_Device]:
                device = base[gpu]
                parts = device.parts + (n - 1 if last and not device.parts else n) if experts else 0
                return [*base[:gpu], device._replace(layers=device.layers + n, parts=parts), *base[gpu + 1 :]]

            placed = self.most_of(placed, with_more, left, gpu)
        if not experts or sum(self.heads(self.own._replace(cpu_experts=1 << 20), self.cells)) <= 0:
            return placed
        return self.with_experts(placed)

    def with_experts(self, placed: list[_Device]) -> list[_Device]:
        """Layers without their experts, taken from the last GPUs that have any, are made whole on the first."""
        count = len(placed)
        start = next((gpu for gpu in range(count) if all(d.layers for d in placed[gpu:])), None)
        if start is None:
            return placed
        for gpu in range(start + 1):
            if gpu > start:
                break

            def with_more(n: int, base: list[_Device] = placed, gpu: int = gpu, start: int = start) -> list[_Device]:
                found, left = list(base), n
                for place in range(start, count):
                    moved = min(left, found[place].parts)
                    found[place] = found[place]._replace(layers=found[place].layers - moved, parts=found[place].parts - moved)
                    found[gpu] = found[gpu]._replace(layers=found[gpu].layers + moved)
                    left -= moved
                return found

            placed = self.most_of(placed, with_more, sum(d.parts for d in placed[start:]), gpu)
            start = next((at for at in range(start, count) if placed[at].parts), count - 1)
            if count == 1 and placed[0].parts:
                placed = self.in_part(placed)
        return placed

    def in_part(self, placed: list[_Device]) -> list[_Device]:
        """A part of one more layer, on a GPU alone."""
        (device,) = placed
        for keeps, then in (("attention and up", "attention, up and gate"), ("attention", "")):
            if self.heads(self.settings([device._replace(keeps=keeps)]), self.cells)[0] > 0:
                device = device._replace(keeps=keeps)
                if then and self.heads(self.settings([device._replace(keeps=then)]), self.cells)[0] > 0:
                    device = device._replace(keeps=then)
                break
        return [device]

    def most_of(self, placed: list[_Device], with_more: Callable[[int], list[_Device]], most: int, gpu: int) -> list[_Device]:
        """The most layers that a GPU takes, by false position, as the engine looks for it."""
        low, high = 0, most
        if most < 1:
            return placed
        under, over = self.at(placed, gpu), self.at(with_more(most), gpu)
        if over >= 0:
            return with_more(most)
        while high - low > 1:
            step = int((high - low) * under / (under - over)) if under >= 0 else high - low - 1
            step = min(max(step, 1), high - low - 1)
            tried = self.at(with_more(low + step), gpu)
            if tried >= 0:
                low, under = low + step, tried
            else:
                high, over = low + step, tried
        return with_more(low) if low else placed

    def at(self, placed: list[_Device], gpu: int) -> int:
        return self.heads(self.settings(placed), self.cells)[gpu]
