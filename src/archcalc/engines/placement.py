"""Which GPU holds what of the weights, under tensor, pipeline, expert, data and context parallelism.

Tensor parallelism splits each tensor as the `Shard` beside it says; what has none, every rank holds whole. Pipeline stages hold their
layers, the first the embedding, the last the final norm and the head. Routed experts are spread over all ranks of a stage, whole with
expert parallelism, by columns without. Data parallelism repeats the rest. Context parallelism for decoding reuses the ranks of tensor
parallelism and moves no weight.

Sources: Shoeybi et al. 2019, arXiv:1909.08053, section 3 (tensor parallelism); vLLM 0.33, distributed/utils.py `get_pp_indices`,
fused_moe/config.py `FusedMoEParallelConfig.make`, fused_moe/expert_map_manager.py `determine_expert_map`, config/model.py
`verify_with_parallel_config`; SGLang 0.5.23, srt/distributed/utils.py `get_pp_indices`, srt/layers/dp_attention.py.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import gcd

from archcalc.engines._once import once
from archcalc.engines.engine import DEFAULT, Server, server
from archcalc.engines.weights import VOCAB_PADDING, Kept, WeightOptions, kept
from archcalc.errors import UsageError
from archcalc.model import Architecture, Part, Role, Shard, Tensor
from archcalc.records import NamedTuple


class Placement(NamedTuple):
    """How many ways each kind of parallelism splits a model.

    `tp` is the tensor parallelism of attention. `dp` replicas of the attention share one set of routed experts, where there are any.
    `ep` is how many ranks the experts are spread over, 1 for expert tensors split by columns. `dcp` splits the cache of one sequence
    among ranks of `tp`.
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    dcp: int = 1

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.dp

    @property
    def words(self) -> str:
        """`TP 4, EP 16, DP 4`: what splits anything."""
        return ", ".join(f"{name.upper()} {ways}" for name, ways in zip(self._fields, self, strict=True) if ways > 1)


class ComponentBytes(NamedTuple):
    """The bytes of one role in one part, on the fullest rank."""

    part: Part
    role: Role
    bytes: int


class RankWeights(NamedTuple):
    """What weights take on the fullest rank of each pipeline stage, and on the fullest of all.

    `bytes` is the sum of `tensor_bytes` (of which `components` are the parts), `tables_bytes` (cosines and sines) and `rounding_bytes`
    (what PyTorch's allocator adds). `stages` are the same sum for each stage. `total_bytes` is what all GPUs hold of tensors,
    `cpu_bytes` what the engine leaves to the CPU; of those, `streamed_bytes` and `streamed_head_bytes` are the largest weight and the head
    that a GPU multiplies with all the same, `left` what is multiplied at each step. `heads_gpu` is the one that the head lies on, where
    that is known. `layers_here` are the layers of the fullest GPU and `layers_away` those of the CPU whose products it computes, where an
    engine places layers one by one. `loading_bytes` is what lies on that GPU before an engine quantizes it, 0 where it never does.
    """

    bytes: int
    tensor_bytes: int
    tables_bytes: int
    rounding_bytes: int
    components: tuple[ComponentBytes, ...]
    stages: tuple[int, ...]
    fullest: int
    total_bytes: int
    cpu_bytes: int
    streamed_bytes: int = 0
    streamed_head_bytes: int = 0
    heads_gpu: int | None = None
    left: tuple[ComponentBytes, ...] = ()
    layers_here: frozenset[int] | None = None
    layers_away: frozenset[int] = frozenset()
    loading_bytes: int = 0


def evenly(layers: int, stages: int, spare: int = -1) -> tuple[tuple[int, int], ...]:
    """The first layer of each stage, and the one after its last: as many for each, and those left over to the stages from `spare` down."""
    sizes = [layers // stages] * stages
    for i in range(layers % stages):
        sizes[spare - i] += 1
    return tuple(pairwise(accumulate(sizes, initial=0)))


def pipeline(layers: int, stages: int, engine: str = DEFAULT) -> tuple[tuple[int, int], ...]:
    """The first layer of each of an engine's stages, and the one after its last."""
    return server(engine).spans(layers, stages)


def even(placement: Placement, machines: int) -> bool:
    """Whether equal shares of the GPUs on each machine cut no group of tensor parallelism and no replica: each lies within a machine, or
    takes whole machines."""
    if placement.gpus % machines:
        return False
    each = placement.gpus // machines
    return all(each % ways == 0 or ways % each == 0 for ways in (placement.tp, placement.tp * placement.pp))


def why_not(architecture: Architecture, placement: Placement, options: WeightOptions) -> str:
    """Why the engine cannot place the model so, naming the rule; empty where it can."""
    tp, pp, ep, dp, dcp = placement
    for name, ways in zip(Placement._fields, placement, strict=True):
        if ways < 1:
            return f"{name} is {ways}: at least 1 was expected"
    engine, facts = server(options.engine), architecture.facts
    # An encoder alone has no layers of a decoder, and one stage all the same.
    if pp > max(1, architecture.layers):
        return f"{pp} pipeline stages are more than the {architecture.layers} layers"
    if engine.layered:
        if tp * ep * dp * dcp > 1:
            return f"{engine.name} spreads layers over GPUs, and splits none of them: only pp can be more than 1"
        return ""
    for name, ways in zip(Placement._fields, placement, strict=True):
        if ways > 1 and name not in engine.axes:
            return f"{name} is {ways}, and {engine.title} has {', '.join(n for n in Placement._fields if n in engine.axes)} alone"
    moe = facts.moe
    if ep > 1:
        if moe is None:
            return f"ep is {ep}, and the model has no routed experts to spread"
        if ep > moe.experts:
            return f"ep is {ep}, and there are {moe.experts} routed experts"
        if why := engine.spreads_experts(placement._replace(dp=1) if options.apart else placement, moe.experts):
            return why
    if tp > 1 and (why := _tp_cannot(architecture, tp, engine)):
        return why
    columns = tp * (1 if options.apart else dp) // ep
    if moe is not None and columns > 1 and (why := _experts_cannot(architecture, columns, options)):
        return why
    if dcp > 1:
        return _dcp_cannot(architecture, tp, dcp)
    return ""


def cuts_blocks(architecture: Architecture, placement: Placement, options: WeightOptions) -> str:
    """Why the blocks or groups that share a scale cannot be split so, for weights quantized as the config says; empty where they can.
    What an engine quantizes as it loads has its blocks within each rank.

    Source: vLLM 0.33, quantization/utils/fp8_utils.py `validate_fp8_block_shape`, quantization/auto_awq.py `create_weights`,
    quantization/utils/marlin_utils.py `verify_marlin_supports_shape`; SGLang 0.5.23, srt/layers/quantization/fp8.py and awq/awq.py.
    """
    quantization, tp = architecture.quantization or {}, placement.tp
    method = str(quantization.get("quant_method"))
    if (
        options.online
        or (tp == 1 and method != "gptq")
        or not server(options.engine).whole_blocks
        or method not in ("fp8", "awq", "gptq")
    ):
        return ""
    group = quantization.get("group_size", quantization.get("q_group_size"))
    block = quantization.get("weight_block_size") if method == "fp8" else [1, group]
    if not isinstance(block, (list, tuple)) or len(block) != 2 or not all(isinstance(n, int) and n > 0 for n in block):
        return ""
    for tensor, shard in _scaled(architecture):
        if method == "gptq" and tensor.shape[1] % block[1]:
            return (
                f"quantization_config.group_size is {block[1]}, and the {tensor.shape[1]:,} columns of {tensor.name} are no multiple of it:"
                f" {server(options.engine).title} loads whole groups alone"
            )
        if tp == 1:
            continue
        size, units = block[shard.axis], tensor.shape[shard.axis] // shard.units
        held = units * -(-shard.units // tp)
        if held < tensor.shape[shard.axis] and held % size:
            return (
                f"tp is {tp}: {held:,} {'rows' if shard.axis == 0 else 'columns'} of {tensor.name} on a rank are no multiple of the"
                f" quantization's {'blocks' if method == 'fp8' else 'groups'} of {size}"
            )
    return ""


@once
def _scaled(architecture: Architecture) -> list[tuple[Tensor, Shard]]:
    """The decoder's matrices that are split and stored with scales of blocks or groups, and are no experts'."""
    from archcalc.figures.checkpoint import inventory

    return [
        (e.tensor, e.tensor.shard)
        for e in inventory(architecture)
        if e.name.rpartition(".")[2] in ("weight_scale_inv", "scales")
        and e.part == "decoder"
        and e.tensor.shard is not None
        and e.tensor.experts is None
        and len(e.tensor.shape) == 2
    ]


def validate(architecture: Architecture, placement: Placement, options: WeightOptions) -> None:
    """Raises `UsageError` where the engine cannot place the model so."""
    why = why_not(architecture, placement, options)
    if why:
        raise UsageError(why, "choose another split, or leave it out to have one chosen")


def _tp_cannot(architecture: Architecture, tp: int, engine: Server) -> str:
    facts = architecture.facts
    if facts.heads % tp:
        return f"tp is {tp}, and the {facts.heads} attention heads do not divide by it"
    rows = facts.vocab_size + -facts.vocab_size % VOCAB_PADDING
    if engine.even_vocabulary and rows % tp:
        return f"tp is {tp}, and the vocabulary, padded to {rows:,} rows, does not divide by it"
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer in stack.kinds:
            for attend in layer.attends:
                if attend.heads % tp and attend.v_dim:
                    return f"tp is {tp}, and {attend.heads} attention heads do not divide by it"
            for cache in layer.caches:
                if cache.kind in ("full", "sliding", "chunked") and cache.heads % tp and tp % cache.heads:
                    return f"tp is {tp}: neither does it divide the {cache.heads} key/value heads, nor they it"
            for tensor in layer.tensors:
                shard = tensor.shard
                if shard and tensor.role in ("mlp", "shared_experts") and shard.units % tp:
                    return f"tp is {tp}, and the {shard.units:,} columns of {tensor.name} do not divide by it"
    return ""


def _experts_cannot(architecture: Architecture, ranks: int, options: WeightOptions) -> str:
    """The columns of an expert must divide, and whole blocks of scales too where the checkpoint is stored in blocks; an engine that makes
    them online has them within each rank (vLLM 0.33, layers/quantization/online/fp8.py `maybe_roundup_sizes`; SGLang 0.5.23,
    srt/layers/quantization/fp8.py `Fp8MoEMethod.create_weights`)."""
    quantization = architecture.quantization or {}
    if quantization.get("quant_method") == "mxfp4":
        # The kernels' padding takes any split into groups of 32.
        return ""
    block = quantization.get("weight_block_size")
    first = block[0] if isinstance(block, (list, tuple)) and block else None
    blocks = quantization.get("quant_method") == "fp8" and not options.online
    finest = server(options.engine).finest_block(options.version, options.device)
    rows = first if isinstance(first, int) and first > 0 and blocks else 1
    for stack in architecture.stacks:
        for layer in stack.kinds if stack.part == "decoder" else ():
            for tensor in layer.tensors:
                if tensor.experts is None or tensor.shard is None:
                    continue
                columns = tensor.shard.units
                if columns % ranks:
                    return f"the {columns:,} columns of each expert do not divide among {ranks} ranks (with ep, each holds whole experts)"
                hidden = tensor.shape[3 - tensor.shard.axis] if len(tensor.shape) == 3 else 0
                if columns // ranks % rows and not 0 < finest <= gcd(rows, columns // ranks, hidden):
                    return (
                        f"{columns // ranks:,} columns of each expert on a rank are no multiple of the quantization's blocks of {rows}"
                        " (with ep, each rank holds whole experts)"
                    )
    return ""


def _dcp_cannot(architecture: Architecture, tp: int, dcp: int) -> str:
    if tp % dcp:
        return f"dcp is {dcp}: it reuses the ranks of tp ({tp}), so it must divide it"
    kinds = {cache.kind for stack in architecture.stacks if stack.part == "decoder" for k in stack.kinds for cache in k.caches}
    if kinds & {"sliding", "chunked"}:
        return f"dcp is {dcp}: caches of sliding windows cannot be split by it"
    if "latent" in kinds:
        return ""
    heads, kv_heads = architecture.facts.heads, architecture.facts.kv_heads
    if dcp > tp // kv_heads:
        return (
            f"dcp is {dcp}: it splits what ranks hold copies of, and tp {tp} over {kv_heads} key/value heads makes {tp // kv_heads}"
        )
    if heads // kv_heads % dcp:
        return f"dcp is {dcp}, and the {heads // kv_heads} queries of a key/value head do not divide by it"
    return ""


def rank_weights(
    architecture: Architecture,
    placement: Placement,
    options: WeightOptions,
    tensors: Sequence[Kept] | None = None,
) -> RankWeights:
    """The weights on the fullest GPU. `tensors` is what `kept(architecture, options)` gave before, for callers that try many placements."""
    tensors = kept(architecture, options) if tensors is None else tensors
    engine = server(options.engine)
    tp, pp, dp = placement.tp, placement.pp, placement.dp
    moe = any(tensor.experts for tensor in tensors)
    sharing = dp if (moe or options.joint) and not options.apart else 1
    wide = tp * sharing if engine.dense_over_replicas else tp
    columns = tp * sharing // placement.ep if moe else tp
    bounds = engine.spans(architecture.layers, pp)
    sums: list[dict[tuple[Part, Role], int]] = [{} for _ in bounds]
    rounding = [0] * pp
    total = on_cpu = 0
    torch = engine.torch
    counts: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    shared: list[tuple[int, int]] = []
    for tensor in tensors:
        pieces, experts, role = tensor.pieces, tensor.experts, tensor.role
        if experts:
            ranks = columns
        elif role in ("attention", "embedding"):
            ranks = tp
        else:
            ranks = wide
        size = 0
        for piece in pieces:
            size += piece.on_rank(ranks)
        if experts and placement.ep > 1:
            everywhere = size * columns * (dp // sharing)
            size = -(-size // experts) * -(-experts // placement.ep)
        else:
            everywhere = size * tp * dp
        if not tensor.gpu:
            on_cpu += size * tensor.copies
            continue
        slack = allocated(size) - size if torch else 0
        layers, place, key = tensor.layers, tensor.place, (tensor.part, role)
        if torch and place == "layers" and _MIB < size < 10 * _MIB:
            shared.append((size, len(layers)))
        where = (place, layers) if place == "layers" else (place, tensor.copies)
        many = counts.get(where)
        if many is None:
            many = counts[where] = _on_stages(tensor, bounds)
        for stage, n in many:
            found = sums[stage]
            found[key] = found.get(key, 0) + size * n
            rounding[stage] += slack * n
            total += everywhere * n
    if shared:
        ends = _ends(shared, architecture.layers)
        shares = [(end - start) / max(1, architecture.layers) for start, end in bounds]
        rounding = [extra + int(ends * share) for extra, share in zip(rounding, shares, strict=True)]
    tables = tables_bytes(architecture, options)
    stages = tuple(sum(found.values()) + tables + extra for found, extra in zip(sums, rounding, strict=True))
    fullest = stages.index(max(stages))
    components = tuple(ComponentBytes(part, role, size) for (part, role), size in sums[fullest].items())
    return RankWeights(
        stages[fullest], sum(c.bytes for c in components), tables, rounding[fullest], components, stages, fullest, total, on_cpu
    )


def _on_stages(tensor: Kept, bounds: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stages that hold the tensor, and how many of it each."""
    place, layers, last = tensor.place, tensor.layers, len(bounds) - 1
    if place == "layers":
        held = [bisect_left(layers, end) - bisect_left(layers, start) if last else len(layers) for start, end in bounds]
    else:
        there = {"first": (0,), "last": (last,), "ends": (0, last)}.get(place, range(last + 1))
        held = [tensor.copies if stage in there else 0 for stage in range(last + 1)]
    return [(stage, n) for stage, n in enumerate(held) if n]


_MIB = 1 << 20


def allocated(size: int) -> int:
    """The memory that PyTorch's allocator sets aside for a tensor, and counts as allocated.

    Sizes are multiples of 512 bytes; from 10 MiB on a tensor has a segment of a multiple of 2 MiB, whose rest is split off only if it is
    larger than 1 MiB. Smaller tensors share segments (`_ends`).

    Source: PyTorch 2.9, c10/core/AllocatorConfig.h and c10/cuda/CUDACachingAllocator.cpp `round_size`, `get_allocation_size`,
    `should_split`.
    """
    size += -size % 512
    rest = -size % (2 * _MIB)
    return size + rest if size >= 10 * _MIB and rest <= _MIB else size


# So many layers tell what the others do.
_SAMPLE = 12


def _ends(sizes: Sequence[tuple[int, int]], layers: int) -> int:
    """What is lost at the ends of segments of 20 MiB, which tensors of 1 to 10 MiB share: `sizes` and how many layers have one each.

    Each takes the smallest free block that it fits in, whose rest is split off only if it is larger than 1 MiB, and counts whole.

    Source: as of `allocated`, `get_free_block`.
    """
    sample = min(layers, _SAMPLE)
    if not sample:
        return 0
    free: list[int] = []
    lost = 0
    for layer in range(sample):
        for whole, count in sizes:
            if layer * count // layers == (layer + 1) * count // layers:
                continue
            size = whole + -whole % 512
            at = bisect_left(free, size)
            rest = (free.pop(at) if at < len(free) else 20 * _MIB) - size
            if rest > _MIB:
                insort(free, rest)
            else:
                lost += rest
    return lost * layers // sample


def tables_bytes(architecture: Architecture, options: WeightOptions) -> int:
    """Cosines and sines of the rotary embedding for every position, in the model's dtype, for engines that keep them on every GPU.

    Source: vLLM 0.33, layers/rotary_embedding/base.py `RotaryEmbeddingBase`.
    """
    return server(options.engine).rotary_bytes(architecture, 4 if options.dtype == "F32" else 2)
