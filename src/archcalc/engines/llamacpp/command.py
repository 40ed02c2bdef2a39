"""`llama-server` for a plan, and how many layers it can be given where not all fit. Source: llama.cpp 0c1e57098, common/arg.cpp."""

from __future__ import annotations

import os
from collections.abc import Iterator

from archcalc.engines._command import everywhere, not_set, word
from archcalc.engines.llamacpp.budget import UBATCH, whole_batch
from archcalc.engines.llamacpp.layout import lay_out
from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, largest, machines


def command(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
    words, notes = [*_words(named, ask, model, fit), *named.how, *fit.taken.flags], not_set("llama.cpp", named)
    count = machines(ask.gpus)
    if count > 1:
        words.append("--rpc <address-of-the-other-machines>")
        notes += (f"run ggml-rpc-server {everywhere(count)[0]}, and name each address and port after --rpc",)
    return Command(" ".join(words), notes)


def _words(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Iterator[str]:
    yield f"llama-server {'-hf' if ':' in named.name and not os.path.exists(named.name) else '-m'} {word(named)}"
    yield f"-c {fit.context_tokens * fit.concurrency}"
    # Left out, it is four slots that share the cells.
    yield f"-np {fit.concurrency}"
    if ask.kv_dtype is not None:
        yield f"-ctk {fit.kv_dtype} -ctv {fit.kv_dtype}"
    if not model.architecture.writes:
        yield "--embeddings"
    if ask.own is None and (batch := whole_batch(model.architecture, fit.context_tokens)) > UBATCH:
        yield f"-b {batch} -ub {batch}"
    if ask.own is not None and ask.own.cpu_experts:
        yield f"--n-cpu-moe {ask.own.cpu_experts}"
    if ask.own is not None and ask.own.gpu_layers is not None:
        yield f"-ngl {ask.own.gpu_layers}"


def experts_away(model: Candidate, ask: Ask, fit: Fit) -> tuple[int, int, int] | None:
    """The fewest layers whose routed experts have to leave the GPUs (`--n-cpu-moe`), of how many, and the RAM that all takes.

    llama.cpp takes them from the first layer on (common/arg.cpp). None for a model without experts, or if that is not enough.
    """
    layers = model.architecture.layers
    if not any(tensor.role == "experts" for tensor in model.tensors):
        return None
    whole = fit.budget.kv_room_bytes + fit.budget.weights_bytes
    memories = [device.visible_bytes for device in ask.gpus.each]
    cache = -(-fit.kv_needed_bytes // -(-layers // fit.placement.pp))

    def with_away(n: int) -> tuple[bool, int]:
        layout = lay_out(model.tensors, layers, len(memories), Settings(cpu_experts=n), memories)
        held = [layout.caches.count(gpu) * cache for gpu in range(len(memories))]
        return all(w + c <= whole for w, c in zip(layout.weights, held, strict=True)), layout.on_cpu

    stay = largest(lambda n: with_away(layers - n)[0], layers - 1)
    found, ram = with_away(layers - stay)
    return (layers - stay, layers, ram) if found else None


def offload(model: Candidate, ask: Ask, fit: Fit) -> tuple[int, int, int] | None:
    """How many of the layers fit on the GPUs beside their cache (`-ngl`, the head counting as one), of how many, and all RAM that takes.

    Layers are taken from the last, as llama.cpp does, the head first: one GPU is filled after the other. None if nothing fits.
    """
    layers = model.architecture.layers
    each = [0] * layers
    rest = 0
    for tensor in model.tensors:
        size = sum(piece.bytes for piece in tensor.pieces)
        if not tensor.gpu:
            continue
        for layer in tensor.layers:
            each[layer] += size
        if not tensor.layers:
            rest += size * tensor.copies
    gpus = fit.placement.pp
    whole = fit.budget.kv_room_bytes + fit.budget.weights_bytes
    # What is needed is told of the fullest GPU, which has its share of the layers.
    cache = -(-fit.kv_needed_bytes // -(-layers // gpus))
    room, left, held = whole - rest, gpus - 1, 0
    for size in reversed(each):
        if room < size + cache and left:
            room, left = whole, left - 1
        room -= size + cache
        if room < 0:
            break
        held += 1
    if room < 0 and not held:
        return None
    memories = [device.visible_bytes for device in ask.gpus.each]
    ram = lay_out(model.tensors, layers, len(memories), Settings(gpu_layers=held + 1), memories).on_cpu + cache * (layers - held)
    return held + 1, layers + 1, ram
