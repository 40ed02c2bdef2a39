"""Which of llama.cpp's devices holds what: layers, their caches, and what stays in the CPU's memory.

Sources: llama.cpp 0c1e57098, src/llama-model.cpp `load_tensors` (the output layer counts first among `-ngl`, layers go to the device whose
cumulative share first exceeds theirs), common/arg.cpp (`-ot`, `--cpu-moe`, `--n-cpu-moe` are patterns over tensors' names).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from archcalc.engines.llamacpp.settings import Settings
from archcalc.engines.weights import Kept
from archcalc.records import NamedTuple

CPU = -1
# What tensors of a role are called in a GGUF file (gguf-py/gguf/constants.py `TENSOR_NAMES`).
_NAMES = {
    "experts": ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"),
    "mlp": ("ffn_gate", "ffn_up", "ffn_down"),
    "shared_experts": ("ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"),
    "attention": ("attn_q", "attn_k", "attn_v", "attn_output"),
    "router": ("ffn_gate_inp",),
    "norm": ("attn_norm", "ffn_norm"),
}  # fmt: skip


class Layout(NamedTuple):
    """Bytes of weights on each GPU and in the CPU's memory, the device of each layer's cache (-1 is the CPU), and
    that of the head.

    `left` is what of the CPU's is multiplied at each step, by part and role: not the table of the input.
    """

    weights: tuple[int, ...]
    on_cpu: int
    caches: tuple[int, ...]
    head: int
    left: Mapping[tuple[str, str], int] = {}


def devices_of(layers: int, gpus: int, own: Settings, free: Sequence[int]) -> list[int]:
    """The device of each layer, and of the output layer behind the last."""
    gpu_layers = layers + 1 if own.gpu_layers is None else min(own.gpu_layers, layers + 1)
    start = max(layers + 1 - gpu_layers, 0)
    shares = [float(s) for s in (own.shares or free)][:gpus]
    shares += [0.0] * (gpus - len(shares))
    if not own.split:
        shares = [1.0] + [0.0] * (gpus - 1)
    ends = [s / sum(shares) for s in accumulate(shares)]
    found = []
    for layer in range(layers + 1):
        if layer < start or not gpu_layers:
            found.append(CPU)
        else:
            found.append(min(bisect_right(ends, (layer - start) / gpu_layers), gpus - 1))
    return found


def on_cpu(own: Settings, role: str, layer: int) -> float:
    """The share of a layer's tensors of one role that flags send to the CPU."""
    if role == "experts" and (layer < own.cpu_experts or layer in own.experts_on_cpu):
        return 1.0
    names = _NAMES.get(role, ())
    if not own.overrides or not names:
        return 0.0
    found = 0
    for name in names:
        whole = f"blk.{layer}.{name}.weight"
        # The first pattern that matches a tensor decides (src/llama-model-loader.cpp).
        device = next((device for pattern, device in own.overrides if re.search(pattern, whole)), None)
        found += device is not None and device.upper().startswith("CPU")
    return found / len(names)


def lay_out(tensors: Sequence[Kept], layers: int, gpus: int, own: Settings, free: Sequence[int]) -> Layout:
    """Where everything goes. `free` is the memory of each GPU, which shares follow where none are asked for."""
    places = devices_of(layers, gpus, own, free)
    weights = [0] * gpus
    on_host = 0
    left: dict[tuple[str, str], int] = {}

    on: dict[tuple[int, ...], Counter[int]] = {}

    def put(device: int, size: int, tensor: Kept) -> None:
        nonlocal on_host
        if device == CPU:
            on_host += size
            key = tensor.part, tensor.role
            left[key] = left.get(key, 0) + size
        else:
            weights[device] += size

    for tensor in tensors:
        size = sum(piece.bytes for piece in tensor.pieces)
        if not tensor.gpu:
            on_host += size * tensor.copies
        elif tensor.layers and not own.overrides and not (tensor.role == "experts" and (own.cpu_experts or own.experts_on_cpu)):
            if tensor.layers not in on:
                on[tensor.layers] = Counter(places[layer] for layer in tensor.layers)
            for device, n in on[tensor.layers].items():
                put(device, n * size, tensor)
        elif tensor.layers:
            for layer in tensor.layers:
                away = round(size * on_cpu(own, tensor.role, layer)) if places[layer] != CPU else 0
                put(places[layer], size - away, tensor)
                if away:
                    put(CPU, away, tensor)
        else:
            put(places[-1], size * tensor.copies, tensor)
    caches = tuple(CPU if own.cache_on_cpu else place for place in places[:layers])
    return Layout(tuple(weights), on_host, caches, places[-1], left)
