"""Workspaces that vLLM's layers share and keep: they grow to what the largest asks for, and lie there while the sampler is profiled.

Sources: vLLM 0.13 to 0.33, v1/worker/workspace.py `WorkspaceManager`; layers/fused_moe/modular_kernel.py `_allocate_buffers`,
experts/triton_moe.py and experts/marlin_moe.py `workspace_shapes`; layers/sparse_attn_indexer.py `sparse_attn_indexer`,
v1/attention/backends/mla/indexer.py `get_max_prefill_buffer_size`; models/deepseek_v4/nvidia/flashmla.py `forward_mqa`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.engines._allocation import held_caches
from archcalc.engines._once import once
from archcalc.engines.budget import capability
from archcalc.engines.placement import Placement
from archcalc.engines.served import is_one_of
from archcalc.engines.vllm.cache import PACKED_ROWS
from archcalc.engines.vllm.rules import at_least
from archcalc.model import Architecture, Layer
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.hardware import Device

MIB = 1 << 20
KEPT = (0, 13)
"""Since then workspaces are shared and kept; experts ask for theirs there since 0.14."""
_EXPERTS, _MARLIN = (0, 14), (0, 24)
# Prompts' index keys that are gathered at once: so many times the longest length, in fp8 with a scale; and what their scores may take.
_GATHERED, _INDEX_ROW, _SCORES = 40, 128 + 4, ((0, 19), 512 * MIB)
_TOPK = MIB
# DeepSeek-V4 gathers rows of so many prompts at once, in half precision.
_V4_PROMPTS = 4


class Workspace(NamedTuple):
    """Bytes that stay, and bytes that an indexer's scores take for a moment."""

    kept: int = 0
    scores: int = 0


def workspace(
    device: Device, architecture: Architecture, placement: Placement, version: str | None, tokens: int, context: int
) -> Workspace:
    """What a batch of so many tokens of a model of that length asks for."""
    if not at_least(version, *KEPT):
        return Workspace()
    gathered, scores = _gathered(architecture, version, tokens, context)
    experts = experts_bytes(architecture, placement, tokens) if at_least(version, *_EXPERTS) else 0
    if _own_buffers(device, architecture, version):
        experts = 0
    return Workspace(max(experts, gathered), scores)


def _own_buffers(device: Device, architecture: Architecture, version: str | None) -> bool:
    """Whether the kernels of experts bring their workspaces along: Intel's, those of FP4, FlashInfer's, which quantized experts run on on
    Blackwell's data centre GPUs, and until 0.24 Marlin's for weights of four bits."""
    from archcalc.quant import method_of

    stored = architecture.quantization
    if device.vendor == "intel":
        return True
    if not stored:
        return False
    text = f"{method_of(stored)} {stored.get('quant_algo')} {stored.get('format')}".lower()
    if "fp4" in text or (device.vendor == "nvidia" and capability(device)[0] == 10):
        return True
    return not ("fp8" in text or "float-quantized" in text or "int8" in text or at_least(version, *_MARLIN))


def experts_bytes(architecture: Architecture, placement: Placement, tokens: int) -> int:
    """Two buffers of each visited expert's rows, as wide as the model or as what the first projection puts out."""
    return 2 * tokens * _experts_width(architecture, placement.tp, placement.dp, placement.ep)


@once
def _experts_width(architecture: Architecture, tp: int, dp: int, ep: int) -> int:
    widest = 0
    for stack in architecture.stacks:
        for layer in stack.kinds if stack.part == "decoder" else ():
            routed = next((t for t in layer.tensors if t.experts is not None and "down" in t.name and len(t.shape) == 3), None)
            if routed is None or routed.experts is None or routed.shard is None:
                continue
            ranks = tp * dp // ep
            columns, hidden = -(-routed.shard.units // ranks), routed.shape[3 - routed.shard.axis]
            widest = max(widest, routed.experts.active * (max(columns, hidden) + max(2 * columns, hidden)) * dp)
    return widest


@once
def width_beside_experts(architecture: Architecture, tp: int) -> int:
    """Elements that a token needs inside the widest layer on one rank, routed experts aside."""
    layers = (layer for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds)
    return max((_beside_experts(layer, tp) for layer in layers), default=0)


def _beside_experts(layer: Layer, tp: int) -> int:
    shared = sum(
        t.shape[0] for t in layer.tensors if t.role == "shared_experts" and t.shard and t.shard.axis == 0 and len(t.shape) == 2
    )
    routed = any(t.experts is not None for t in layer.tensors)
    return max(layer.mixer_width // tp, shared * 3 // 2 // tp if routed else layer.ffn_width // tp)


@once
def _indexed(architecture: Architecture) -> bool:
    """Whether some layer keeps keys of an indexer."""
    return any(c.kind == "index" for s in architecture.stacks for layer in s.kinds for c in layer.caches)


def _gathered(architecture: Architecture, version: str | None, tokens: int, context: int) -> tuple[int, int]:
    if not _indexed(architecture):
        return 0, 0
    caches = [held.cache for held in held_caches(architecture)]
    index = [cache for cache in caches if cache.kind == "index"]
    if not index or (not {"latent", "index"} <= {cache.kind for cache in caches} and not is_one_of(architecture, PACKED_ROWS)):
        return 0, 0
    compress = min(cache.compress for cache in index)
    gathered = _GATHERED * context // compress * _INDEX_ROW + _TOPK
    if is_one_of(architecture, PACKED_ROWS):
        window = max((cache.window or 0 for cache in caches), default=0)
        width = max(cache.key_dim for cache in caches if cache.kind != "index")
        gathered = max(gathered, 2 * _V4_PROMPTS * (-(-context // compress) + window + tokens) * width)
    return gathered, _SCORES[1] if at_least(version, *_SCORES[0]) else 0
