"""Weights as engines keep them on a GPU: what a checkpoint stores, joined, padded and converted for the engine's kernels.

vLLM and SGLang join the projections that read the same input, pad the vocabulary to a multiple of 64, convert floating-point weights to
the model's dtype, keep tied weights once and leave MTP layers out unless speculative decoding asks for them. Some kernels want more:
padded experts, repeated scales, a second copy of MLA's up-projection.

Sources: vLLM 0.33, model_executor/layers/linear.py `QKVParallelLinear`, `MergedColumnParallelLinear`;
model_executor/layers/vocab_parallel_embedding.py `DEFAULT_VOCAB_PADDING_SIZE`, `pad_vocab_size`; SGLang 0.5.23,
srt/layers/vocab_parallel_embedding.py (the same); llama.cpp 0c1e57098, src/llama-model.cpp `load_tensors` (the input layer stays on
the CPU, a tied head is loaded again for the GPU); further ones at each rule.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from archcalc.engines.engine import DEFAULT, server
from archcalc.figures.checkpoint import Entry, inventory, storage_bytes
from archcalc.model import Architecture, Part, Role
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.hardware import Device

Place = Literal["layers", "first", "last", "ends", "every"]
"""Which pipeline stages hold a tensor: those of its layers, the first, the last, the first and the last, or every stage."""

VOCAB_PADDING = 64
_HALF = ("BF16", "F16")
FLOATS = ("BF16", "F16", "F32", "F64")
# Projections of one input that engines keep as one matrix.
_JOINED = {
    "q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "gate_proj": "gate_up", "up_proj": "gate_up", "w1": "gate_up", "w3": "gate_up",
    "q_a_proj": "qkv_a", "kv_a_proj_with_mqa": "qkv_a", "in_proj_qkv": "qkvz", "in_proj_z": "qkvz", "in_proj_b": "ba", "in_proj_a": "ba",
}  # fmt: skip
_FUSED_QKV = ("qkv_proj", "query_key_value", "Wqkv", "W_pack", "c_attn", "qkv")


class Piece(NamedTuple):
    """Bytes that tensor parallelism splits into `units` pieces that stay whole; with 0 units every rank holds all of them.

    Past `units` ranks, ranks hold copies. A rank's units are rounded up to a multiple of `align`.
    """

    bytes: int
    units: int = 0
    align: int = 1

    def on_rank(self, ranks: int) -> int:
        """The bytes that the fullest of so many ranks holds."""
        units = self.units
        if not units or (ranks == 1 and self.align == 1):
            return self.bytes
        own = -(-units // ranks)
        own += -own % self.align
        return self.bytes if own == units else -(-self.bytes * own // units)


class Kept(NamedTuple):
    """One tensor of an engine: in each of the decoder's `layers`, or `copies` alike outside of them.

    `experts` is how many routed experts it holds, which expert parallelism spreads; 0 for all other tensors. `gpu` is False where the
    engine leaves the tensor in the CPU's memory.
    """

    part: Part
    role: Role
    place: Place
    pieces: tuple[Piece, ...]
    layers: tuple[int, ...] = ()
    copies: int = 1
    experts: int = 0
    gpu: bool = True


class WeightOptions(NamedTuple):
    """What decides how weights are kept, beyond the model.

    `version` is the engine's, None for the newest known. Without a `device` the kernels are those of a current NVIDIA GPU. `dtype` is what
    weights that are not quantized are converted to ("BF16"); None is the engine's choice. `mtp` loads the MTP layers, `towers` those
    for images and audio. `online`: the engine quantizes the weights as it loads
    them, `expanded`: it keeps keys and values in place of MLA's latent, `apart`: replicas of data parallelism share no experts,
    `joint`: those of the attention share dense layers too.
    """

    engine: str = DEFAULT
    version: str | None = None
    device: Device | None = None
    dtype: str | None = None
    mtp: bool = False
    towers: bool = True
    online: bool = False
    expanded: bool = False
    apart: bool = False
    joint: bool = False


def kept(architecture: Architecture, options: WeightOptions) -> list[Kept]:
    """Every tensor that the engine keeps."""
    keep = server(options.engine).keep(architecture, options)
    found: dict[tuple[object, ...], Kept] = {}
    for entry in inventory(architecture):
        tensor, part = entry.tensor, entry.part
        # A tied head is the embedding, though some tools store it all the same.
        stored_again = tensor.kind == "tied" or (tensor.kind == "copy" and not keep.keeps_copy(entry))
        if stored_again or (part == "mtp" and not options.mtp) or (part in ("vision", "audio") and not options.towers):
            continue
        layers = tuple(entry.layers) if part == "decoder" else ()
        copies = 1 if layers else len(entry.layers) or 1
        experts = tensor.experts.total if tensor.experts else 0
        place = keep.place(entry)
        parent, leaf = _joined(tensor.name) if keep.joins else ("", entry.name)
        key = part, place, parent, leaf, entry.name.rpartition(".")[2], layers or copies
        pieces = keep.pieces(entry)
        before = found.get(key)
        if before is not None:
            found[key] = before._replace(pieces=before.pieces + pieces)
            continue
        on_cpu = part == "embedding" and keep.embeds_on_cpu
        found[key] = Kept(part, tensor.role, place, pieces, layers, copies, experts, not on_cpu)
        if on_cpu and keep.tied and tensor.shard and not tensor.rows_read:
            head = (*key, "head")
            found[head] = Kept("head", "head", "last", pieces)
        copy = keep.latent_copy(entry)
        if copy is not None:
            again = (*key, "copy")
            found[again] = Kept(part, tensor.role, place, (copy,), layers, copies)
    return list(found.values())


def undivided(tensors: list[Kept], part: Part) -> list[Kept]:
    """The tensors with those of a part whole on every rank."""
    return [t if t.part != part else t._replace(pieces=tuple(Piece(p.bytes) for p in t.pieces)) for t in tensors]


class Keep:
    """How one engine keeps one model's tensors on one GPU: as they are stored, unless a subclass knows more.

    `joins`: projections of one input are one matrix, and the vocabulary is padded. `tied_apart`: a tied head needs no embedding on the
    last stage. `embeds_on_cpu`: the input layer stays on the CPU, and a tied head is loaded again. `dtype` is what floating-point weights
    are converted to; None leaves them alone. `towers` is where the towers for images and audio are.
    """

    joins = False
    tied_apart = False
    embeds_on_cpu = False
    towers: Place = "every"

    def __init__(self, architecture: Architecture, options: WeightOptions) -> None:
        facts = architecture.facts
        self.tied = facts.tied_embeddings
        self.heads, self.kv_heads = facts.heads, facts.kv_heads
        self.dtype = options.dtype
        self.tiles: Tiles | None = None

    def place(self, entry: Entry) -> Place:
        part = entry.part
        if part == "decoder":
            if entry.layers:
                return "layers"
            return "last" if entry.tensor.role == "norm" else "every"
        if part == "embedding":
            # A tied head is the embedding, so the last stage needs the embedding too.
            return "ends" if self.tied and not self.tied_apart and entry.tensor.shard else "first"
        if part in ("head", "mtp"):
            return "last"
        return self.towers if part in ("vision", "audio") else "every"

    def pieces(self, entry: Entry) -> tuple[Piece, ...]:
        tensor, shape = entry.tensor, entry.shape
        if self.tiles is not None and tensor.experts is not None:
            return (_tiled(entry, self.tiles),)
        size = self.bytes(entry)
        shard = tensor.shard
        if shard is None or prod(shape) == 1:
            return (Piece(size),)
        units = shard.units
        if self.joins and tensor.role in ("embedding", "head") and units == tensor.shape[shard.axis]:
            rows = units + -units % VOCAB_PADDING
            return (Piece(size * rows // units, rows),)
        if _split_by_input(entry) and (len(shape) < 2 or shape[-1] == 1):
            # Scales and biases of the output, which every rank has whole.
            return (Piece(size),)
        if units == self.kv_heads < self.heads and tensor.name.split(".")[-2:-1] in [[name] for name in _FUSED_QKV]:
            queries = size * self.heads // (self.heads + 2 * self.kv_heads)
            return Piece(queries, self.heads), Piece(size - queries, units)
        return (Piece(size, units),)

    def keeps_copy(self, entry: Entry) -> bool:
        """Whether a tensor that the model itself never uses is kept as others are."""
        return False

    def latent_copy(self, entry: Entry) -> Piece | None:
        """The parts of MLA's up-projection once more, where the engine lays them out for decoding."""
        return None

    def bytes(self, entry: Entry) -> int:
        dtype = entry.dtype
        if self.dtype is not None and dtype in FLOATS and entry.parameters is None:
            # What an architecture keeps in a dtype of its own stays so, and so do the routers' correction biases.
            dtype = dtype if entry.tensor.dtype or entry.tensor.kind != "param" else self.dtype
        return storage_bytes(dtype, prod(entry.shape) * (entry.experts or 1))


class JoinedKeep(Keep):
    """What vLLM and SGLang share."""

    joins = True

    def __init__(self, architecture: Architecture, options: WeightOptions) -> None:
        super().__init__(architecture, options)
        half = architecture.dtype if architecture.dtype in _HALF else "BF16"
        self.dtype = options.dtype or half
        self.keys_as_values = _keys_as_values(architecture)

    def pieces(self, entry: Entry) -> tuple[Piece, ...]:
        """Keys that are values too fill both places of the joined projection (vLLM 0.19 to 0.33, models/gemma4.py; SGLang 0.5.23,
        srt/models/gemma4_causal.py `load_weights`)."""
        pieces = super().pieces(entry)
        if (
            entry.layers
            and entry.part == "decoder"
            and ".k_proj." in entry.tensor.name
            and self.keys_as_values.issuperset(entry.layers)
        ):
            return pieces + pieces
        return pieces

    def keeps_copy(self, entry: Entry) -> bool:
        """Layers that use another's keys and values have their part of the joined projection all the same (vLLM 0.21,
        models/gemma4.py `Gemma4Attention`, and 0.11, gemma3n.py; SGLang 0.5.23, srt/models/gemma4_causal.py, gemma3n_causal.py)."""
        return entry.part == "decoder" and entry.tensor.name.endswith(("k_proj.weight", "v_proj.weight"))

    def up_projection(self, entry: Entry) -> bool:
        """Whether the tensor is MLA's up-projection, or the part of one that holds its numbers."""
        tensor, name = entry.tensor, entry.name
        if tensor.shard is None or not tensor.name.endswith("kv_b_proj.weight") or "scale" in name[-20:]:
            return False
        return name.endswith(("weight", "weight_packed"))


def _keys_as_values(architecture: Architecture) -> frozenset[int]:
    """The layers that project keys, and no values."""
    found: set[int] = set()
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        lacking = [
            any(".k_proj." in f".{t.name}" for t in layer.tensors) and not any(".v_proj." in f".{t.name}" for t in layer.tensors)
            for layer in stack.kinds
        ]
        found.update(i for i, kind in enumerate(stack.pattern) if lacking[kind])
    return frozenset(found)


class Tiles(NamedTuple):
    """What MXFP4 kernels round experts up to: columns of a rank, the width of the up- and of the down-projection, bytes of a bias."""

    columns: int
    width_up: int
    width_down: int
    bias_bytes: int


def mxfp4_tiles(architecture: Architecture, options: WeightOptions, *, triton: bool, narrow: bool) -> Tiles | None:
    """What the kernels of MXFP4 experts take on a GPU: `triton` where Hopper runs Triton's, `narrow` where Blackwell pads columns to 128.

    vLLM 0.33, fused_moe/oracle/mxfp4.py `mxfp4_round_up_hidden_size_and_intermediate_size` and `select_mxfp4_moe_backend`; vLLM
    0.11 to 0.19, quantization/mxfp4.py `get_mxfp4_backend` and `create_weights`.

    Hopper has Triton's layout, which pads on its own: triton_kernels, tensor_details/layout_details/hopper_value.py `_padded_shape`.
    Blackwell's data-centre GPUs have FlashInfer's, all others Marlin's.
    """
    device = options.device
    if (architecture.quantization or {}).get("quant_method") != "mxfp4":
        return None
    if device is not None and device.vendor == "amd":
        return Tiles(256, 256, 256, 2)
    if device is not None and device.vendor not in ("nvidia", "custom"):
        return None
    major = (cuda(device) or (9, 0))[0]
    if major == 9 and triton:
        return Tiles(128, 128, 256, 4)
    if major == 10:
        return Tiles(128 if narrow else 256, 256, 256, 4)
    return Tiles(128, 256, 256, 2)


def _tiled(entry: Entry, tiles: Tiles) -> Piece:
    """A tensor of MXFP4 experts, padded. Stored as {name}_blocks [experts, out, groups, 16], {name}_scales [experts, out, groups]."""
    tensor = entry.tensor
    assert tensor.experts is not None
    down = "down" in tensor.name
    width = tiles.width_down if down else tiles.width_up
    size = prod(entry.shape) * (entry.experts or 1)
    floats = entry.dtype in FLOATS
    size *= tiles.bias_bytes if floats else 1
    if floats and down:
        out = entry.shape[-1]
        return Piece(size * (out + -out % width) // out)
    if tensor.shard is None:
        return Piece(size)
    if not floats:
        hidden = _hidden(entry, down)
        size = size * (hidden + -hidden % width) // hidden
    return Piece(size, tensor.shard.units, tiles.columns)


def _hidden(entry: Entry, down: bool) -> int:
    """The axis of an expert's weight that tensor parallelism leaves alone."""
    shape, shard = entry.tensor.shape, entry.tensor.shard
    assert shard is not None
    return shape[3 - shard.axis]


def _split_by_input(entry: Entry) -> bool:
    """Whether tensor parallelism splits the input of the projection, and so leaves its output whole."""
    tensor = entry.tensor
    assert tensor.shard is not None
    if tensor.experts is not None:
        return "down" in tensor.name and len(tensor.shape) == 3
    return len(tensor.shape) == 2 and tensor.shard.axis == 1


def _joined(name: str) -> tuple[str, str]:
    """The module's parent, and the name of the matrix that the module is a part of."""
    module, _, kind = name.rpartition(".")
    parent, _, leaf = module.rpartition(".")
    return parent, f"{_JOINED.get(leaf, leaf)}.{kind}"


def cuda(device: Device | None) -> tuple[int, int] | None:
    """The CUDA compute capability."""
    if device is None or device.vendor != "nvidia" or not device.compute:
        return None
    major, _, minor = device.compute.partition(".")
    return int(major), int(minor)
