"""`llama-server` for a plan, and how many layers it can be given where not all fit. Source: llama.cpp 0c1e57098, common/arg.cpp."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from archcalc.engines._command import everywhere, not_set, word
from archcalc.engines.llamacpp.budget import UBATCH, whole_batch
from archcalc.engines.llamacpp.layout import lay_out
from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, largest, machines
from archcalc.engines.served import classes_of, served
from archcalc.model import Architecture


def command(named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
    changed, left = _changed(named, model.architecture)
    words = [*_words(named, ask, model, fit), *changed, *named.how, *fit.taken.flags]
    notes = not_set("llama.cpp", named._replace(overrides=left))
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
        # Without it the server's answers to /rerank are errors (0c1e57098, tools/server/server-context.cpp `post_rerank`).
        yield "--reranking" if ranks(model.architecture) else "--embeddings"
    if ask.own is None and (batch := whole_batch(model.architecture, fit.context_tokens)) > UBATCH:
        yield f"-b {batch} -ub {batch}"
    if ask.own is not None and ask.own.cpu_experts:
        yield f"--n-cpu-moe {ask.own.cpu_experts}"
    if ask.own is not None and ask.own.gpu_layers is not None:
        yield f"-ngl {ask.own.gpu_layers}"


def ranks(architecture: Architecture) -> bool:
    """Whether the file holds a head that scores a pair of texts (conversion/: classes of classifiers have the pooling type "rank")."""
    return any(name.endswith("ForSequenceClassification") for name in classes_of(architecture)[:1])


_SCALINGS = frozenset({"yarn", "linear"})
_METADATA = {"max_position_embeddings": "context_length", "num_experts_per_tok": "expert_used_count"}
"""Keys of a config, and those of a file that llama.cpp reads in their place (gguf-py/gguf/constants.py)."""


def _changed(named: Named, architecture: Architecture) -> tuple[list[str], tuple[tuple[str, Any], ...]]:
    """The flags that set what was set in the config, and the keys that no flag sets.

    Source: llama.cpp 0c1e57098, common/arg.cpp (`--rope-scaling`, `--rope-scale`, `--yarn-orig-ctx`, `--rope-freq-base`, `--override-kv`);
    src/llama-context.cpp `llama_init_from_model`: with YaRN the trained length is the original one times the scale, whatever the file says.
    """
    words: list[str] = []
    left: list[tuple[str, Any]] = []
    metadata: list[str] = []
    reached = 0
    for key, value in named.overrides:
        kind = (value.get("rope_type") or value.get("type")) if isinstance(value, dict) else None
        if key in ("rope_scaling", "rope_parameters") and kind in _SCALINGS and value.get("factor"):
            factor, original = value["factor"], value.get("original_max_position_embeddings")
            words += [f"--rope-scaling {kind}", f"--rope-scale {factor:g}"]
            if kind == "yarn" and original:
                words.append(f"--yarn-orig-ctx {original}")
                reached = int(original * factor)
            if value.get("rope_theta"):
                words.append(f"--rope-freq-base {value['rope_theta']:g}")
        elif key == "rope_theta":
            words.append(f"--rope-freq-base {value:g}")
        else:
            left.append((key, value))
    gguf = next((name for each in classes_of(architecture) if (name := served("llamacpp").classes.get(each))), None)
    rest = []
    for key, value in left:
        if key == "max_position_embeddings" and value == reached:
            continue
        if key in _METADATA and gguf is not None and isinstance(value, int):
            metadata.append(f"{gguf}.{_METADATA[key]}=int:{value}")
        else:
            rest.append((key, value))
    if metadata:
        words.append(f"--override-kv {','.join(metadata)}")
    return words, tuple(rest)


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
