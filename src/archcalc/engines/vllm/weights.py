"""vLLM's weights: joined and padded, and what its kernels make of some of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from archcalc.engines._offload import added, draft_bytes, spared
from archcalc.engines.placement import Placement, RankWeights, rank_weights
from archcalc.engines.served import built_of, classes_of, is_one_of, listed, stages
from archcalc.engines.vllm.cache import PACKED_ROWS, expands, served_dtype
from archcalc.engines.vllm.rules import at_least, rules
from archcalc.engines.weights import FLOATS, JoinedKeep, Piece, WeightOptions, cuda, mxfp4_tiles, undivided
from archcalc.figures.checkpoint import Entry
from archcalc.model import Architecture, Tensor
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.engines.plan import Ask, Candidate
    from archcalc.engines.vllm.settings import Settings

# Towers whose every modality is limited to no item are not loaded since (models/interfaces.py `_mark_tower_model`).
_TOWERS_SPARED = (0, 16)


class VllmKeep(JoinedKeep):
    def __init__(self, architecture: Architecture, options: WeightOptions) -> None:
        super().__init__(architecture, options)
        version, generation = options.version, cuda(options.device)
        if options.dtype is None and served_dtype(architecture, version, generation and generation[0]) == "fp32":
            # GPUs without bfloat16, and a class that is refused in float16.
            self.dtype = "F32"
        # 0.11 took Marlin on Hopper where triton_kernels was missing.
        self.tiles = mxfp4_tiles(architecture, options, triton=at_least(version, 0, 12), narrow=at_least(version, 0, 19))
        self.towers = "first" if at_least(version, 0, 33) else "every"
        # Scales of Marlin's FP8 kernels, for GPUs without FP8 units, are of the model's dtype, one to each column and group.
        # vLLM 0.33, quantization/utils/marlin_utils_fp8.py `prepare_fp8_layer_for_marlin`, `prepare_moe_fp8_layer_for_marlin`.
        self.marlin_fp8 = (cuda(options.device) or (9, 0)) < (8, 9)
        # Blocks that are made as the weights load are whole on each rank: its columns are rounded up (vLLM 0.25 to 0.33,
        # quantization/online/fp8.py `Fp8PerBlockOnlineMoEMethod.maybe_roundup_sizes`).
        block = (architecture.quantization or {}).get("weight_block_size") if options.online and at_least(version, 0, 25) else None
        self.column_block = block[0] if block else 1
        # Scales of bitsandbytes' blocks: 8 bits where the checkpoint has them so, or where vLLM itself quantizes; since 0.9.2 they are
        # widened at loading (model_loader/bitsandbytes_loader.py `dequantize_dq`, `_unquantized_generator`; 0.9.0 and 0.9.1 have none).
        states = architecture.quantization or {}
        widened, nested = at_least(version, 0, 9, 2), states.get("bnb_4bit_use_double_quant", "load_in_4bit" in states)
        self.scale_bytes = 4 if widened or not nested else 1
        self.expanded = expands(architecture, rules(version), options.expanded)
        self.latent = _latent(architecture) if not self.expanded and rules(version).latent.startswith("absorbed") else None

    def latent_copy(self, entry: Entry) -> Piece | None:
        """vLLM 0.33, layers/attention/mla_attention.py `process_weights_after_loading`: views of the weight, unless it was quantized."""
        tensor = entry.tensor
        if self.expanded:
            return None
        if self.latent is not None and (size := self.latent.absorbed(entry)):
            return Piece(size, self.latent.heads)
        if tensor.shard is None or not self.up_projection(entry) or entry.dtype in FLOATS:
            return None
        return Piece(2 * tensor.elements, tensor.shard.units)

    def pieces(self, entry: Entry) -> tuple[Piece, ...]:
        pieces, tensor = super().pieces(entry), entry.tensor
        if self.column_block == 1 or tensor.experts is None or tensor.shard is None:
            return pieces
        return tuple(piece._replace(align=self.column_block) if piece.units == tensor.shard.units else piece for piece in pieces)

    def bytes(self, entry: Entry) -> int:
        if self.marlin_fp8 and entry.name.endswith("weight_scale_inv"):
            out, width = entry.tensor.shape[-2:]
            if entry.tensor.experts is not None and entry.experts:
                out //= len(entry.tensor.stored) or 1
            return out * -(-width // 128) * (entry.experts or 1) * 2
        if entry.name.endswith("weight.absmax"):
            return self.scale_bytes * prod(entry.shape) * (entry.experts or 1)
        return super().bytes(entry)


class _Latent(NamedTuple):
    """MLA's heads, what each has with rotation, and the rank of their latent, whose up-projections are multiplied into the matrices beside
    them.

    vLLM 0.7.1 to 0.7.3, attention/backends/mla/utils.py `process_weights_after_loading`, unless `VLLM_MLA_PERFORM_MATRIX_ABSORPTION` is 0;
    neither is in 0.7.0 or 0.8.0.
    """

    heads: int
    rotary_dim: int
    rank: int

    def absorbed(self, entry: Entry) -> int:
        """Bytes of a product that is kept beside the matrix: the latent's up-projections taken into the queries' and the output's. 8-bit
        floats are kept as such, with a scale of 4 bytes for each block of 128 x 128; the rotated queries' part is a copy."""
        tensor, name = entry.tensor, entry.name
        if not name.endswith(("weight", "weight_packed")) or "scale" in name[-20:]:
            return 0
        each = 1 if entry.dtype.startswith("F8") else 2

        def product(other: int) -> int:
            n = self.heads * self.rank * other
            return each * n + (4 * -(-n // 128**2) if each == 1 else 0)

        if tensor.name.endswith(("self_attn.q_b_proj.weight", "self_attn.q_proj.weight")):
            return product(tensor.shape[1]) + 2 * self.heads * self.rotary_dim * tensor.shape[1]
        return product(tensor.shape[0]) if tensor.name.endswith("self_attn.o_proj.weight") else 0


def _latent(architecture: Architecture) -> _Latent | None:
    """What MLA's matrices are made of; None where the model has none."""
    for stack in architecture.stacks:
        for layer in stack.kinds if stack.part == "decoder" else ():
            up = next((t for t in layer.tensors if t.name.endswith("kv_b_proj.weight") and t.shard), None)
            if up is not None and up.shard is not None and layer.attends:
                attend, heads = layer.attends[0], up.shard.units
                plain = up.shape[0] // heads - attend.v_dim
                return _Latent(heads, attend.qk_dim - plain, up.shape[1])
    return None


def rotary_bytes(architecture: Architecture) -> int | None:
    """DeepSeek-V4's tables, one for layers that see a window alone and one for those that pool keys, whose base is another, both in fp32;
    None for other models.

    Source: vLLM 0.24 to 0.33, models/deepseek_v4/common/rope.py `build_deepseek_v4_rope`,
    layers/rotary_embedding/deepseek_scaling_rope.py `DeepseekV4ScalingRotaryEmbedding`.
    """
    if not is_one_of(architecture, PACKED_ROWS):
        return None
    pools = {
        any(cache.compress > 1 for cache in layer.caches) for s in architecture.stacks if s.part == "decoder" for layer in s.kinds
    }
    return len(pools) * sum(positions * width * 4 for positions, width in architecture.rotary)


def options_of(own: Settings) -> dict[str, Any]:
    """MTP layers are loaded where they draft; `VLLM_MLA_DISABLE` needs no copy of the up-projection."""
    return {"mtp": own.mtp, "expanded": own.expanded}


def spares_towers(own: Settings | None, version: str | None) -> bool:
    """Whether no input but text is taken, so that towers are not loaded."""
    if own is None or not at_least(version, *_TOWERS_SPARED):
        return False
    return own.text_alone or (bool(own.limits) and all(n == 0 for _, n in own.limits))


def weigh(model: Candidate, placement: Placement, ask: Ask) -> RankWeights:
    """The fullest rank's weights, with what the command leaves to the CPU, and what it adds for adapters."""
    from archcalc.engines.vllm import towers
    from archcalc.engines.vllm.quantization import online

    own: Settings | None = ask.own
    tensors = model.tensors
    if spares_towers(own, ask.version):
        tensors = [t for t in tensors if t.part not in ("vision", "audio")]
    if towers.whole(model.architecture, placement, ask):
        tensors = undivided(tensors, "vision")
    found = rank_weights(model.architecture, placement, model.options, tensors)
    if own is None:
        return found
    if own.draft is not None:
        found = added(found, draft_bytes(own.draft, placement, model.options, online(ask.version, own.draft_method)))
    if own.loras:
        found = added(found, lora_bytes(model.architecture, placement, own, ask.version))
    if own.offload_bytes:
        found = spared(found, own.offload_bytes)
    return found


_LORA_EXPERTS = (0, 11, 1)
"""Since then routed experts have adapters too (lora/layers/fused_moe.py; 0.11.0 has no such layer)."""
_LORA_PARTS = (0, 10)


def lora_ends(architecture: Architecture, version: str | None) -> int:
    """How many of the embedding and the logits have adapters: by a release's class of the model, and since 0.10.0 of its text model.

    Source: vLLM 0.6.0 to 0.33, `embedding_modules` of models/*.py (`stages.json`); lora/utils.py `get_supported_lora_modules`, which asks
    the model alone up to 0.9.2, and each of its modules since."""
    rows, names = stages("vllm"), [*classes_of(architecture)]
    if architecture.text and at_least(version, *_LORA_PARTS):
        names.append(built_of(architecture.text.model_type))
    for many, known in ((2, rows.ends), (1, rows.embeds)):
        if any(listed(known.get(name), "vLLM", rows.releases, version) for name in names):
            return many
    return 0


def lora_bytes(architecture: Architecture, placement: Placement, own: Settings, version: str | None) -> int:
    """Adapters' stacked matrices: of each projection `rank` rows of its input and `rank` columns of its output, for every slot.

    Column-parallel projections split the second, row-parallel ones the first; each expert has its own; those of the embedding and of the
    logits are whole on every rank. Source: vLLM 0.33, lora/layers/column_parallel_linear.py, row_parallel_linear.py, replicated_linear.py,
    fused_moe.py, vocab_parallel_embedding.py and logits_processor.py `create_lora_weights`.
    """
    total = 0
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer, count in zip(stack.kinds, stack.counts(), strict=True):
            for tensor in layer.tensors:
                if tensor.experts is not None:
                    total += count * _lora_experts(tensor, placement) if at_least(version, *_LORA_EXPERTS) else 0
                    continue
                if tensor.role not in ("attention", "mlp", "shared_experts", "router") or len(tensor.shape) != 2:
                    continue
                out, width = tensor.shape
                if tensor.shard is not None and tensor.shard.axis == 0:
                    out //= min(placement.tp, tensor.shard.units)
                elif tensor.shard is not None:
                    width //= min(placement.tp, tensor.shard.units)
                total += count * (out + width)
    total //= placement.pp
    ends = lora_ends(architecture, version)
    total += (architecture.facts.vocab_size + architecture.facts.hidden_size) * (min(ends, 1) if placement.pp > 1 else ends)
    return 2 * own.loras * own.lora_rank * total


def _lora_experts(tensor: Tensor, placement: Placement) -> int:
    """Rows and columns that a unit of rank takes on one GPU for the routed experts' projection of this tensor."""
    if tensor.experts is None or tensor.shard is None or len(tensor.shape) != 3:
        return 0
    inner, axis = tensor.shard.units, tensor.shard.axis
    fused, hidden = tensor.shape[axis] // inner, tensor.shape[3 - axis]
    experts = -(-tensor.experts.total // placement.ep)
    inner //= placement.tp * placement.dp // placement.ep
    # Checkpoints that hold gate and up as one matrix have one adapter for both (`FusedMoE3DWithLoRA`).
    return experts * (fused * inner + (fused if tensor.stored else 1) * hidden)
