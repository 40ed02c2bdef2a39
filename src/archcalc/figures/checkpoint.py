"""What the publisher's files hold: every stored tensor with its name, shape and dtype, and their sums.

Stored are the parameters, the routers' correction biases, MTP layers, and copies that only checkpoints hold; not what is tied.
Experts are one tensor each where publishers store them so, and scales and packed weights follow the quantization config.

Two counts are given, because both are called the size of a checkpoint. `stored` counts every element of every tensor. `elements`
counts as the Hugging Face Hub does since 2026: scales and other bookkeeping of the quantization are left out, weights packed by
methods it knows count unpacked, tensors without axes not at all. Where the index states its own `total_parameters`, as transformers'
`save_pretrained` writes it, the Hub shows that: parameters, and no buffers.

Source: huggingface.js, packages/hub/src/lib/parse-safetensors-metadata.ts `computeNumOfParamsByDtypeSingleFile`,
`shouldSkipTensor` and `getQuantizationMultiplier`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Part, Tensor
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.quant._plan import Module, Plan, Scheme, Stored

DTYPE_BYTES = {
    "F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes per element of the dtypes of safetensors."""

_OUTSIDE = (-1,)
# A type that is for scales only, which the Hub does not count.
_SCALES = "F8_E8M0"


class Entry(NamedTuple):
    """Stored tensors that differ in their numbers only.

    `name` holds `{}` for the layer where `layers` lists some, and another for the expert where there are `experts`. `parameters` is
    what the Hub counts one of them as; None is its number of elements.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    tensor: Tensor
    part: Part
    layers: tuple[int, ...] = ()
    experts: int = 0
    parameters: int | None = None

    @property
    def copies(self) -> int:
        """How many tensors this stands for."""
        return (len(self.layers) or 1) * (self.experts or 1)

    @property
    def elements(self) -> int:
        """The elements of one of them."""
        return prod(self.shape)


class Summary(NamedTuple):
    """Sums over a checkpoint: as the Hub counts (`elements`, `by_dtype`), in bytes, and every element as stored (`stored`)."""

    elements: int
    bytes: int
    by_dtype: dict[str, int]
    stored: int
    stored_by_dtype: dict[str, int]
    dtype: str
    notes: tuple[str, ...] = ()


def storage_bytes(dtype: str, elements: int) -> int:
    """The bytes that `elements` of a dtype take; ggml's block types too."""
    size = DTYPE_BYTES.get(dtype)
    if size is not None:
        return elements * size
    from archcalc.quant.gguf import block_bytes

    blocks = block_bytes(dtype, elements)
    if blocks is None:
        raise UnsupportedError(f"dtype {dtype!r} has no size that archcalc knows")
    return blocks


def base_dtype(architecture: Architecture, dtype: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The dtype of what is not quantized, and a note where the config states none."""
    stated = dtype or architecture.dtype
    if stated is not None:
        return stated, ()
    # Where the config says it, which most do, no adapter is imported.
    from archcalc.arch._assumed import assumed

    found, why = assumed(architecture)
    return found, (why,)


def summary(architecture: Architecture, dtype: str | None = None) -> Summary:
    """The checkpoint's elements and bytes; `dtype` asks what if the weights that are not quantized were stored so.

    Raises `UnsupportedError` for a quantization method that archcalc does not know.
    """
    base, notes = base_dtype(architecture, dtype)
    counted: dict[str, int] = {}
    stored: dict[str, int] = {}
    total = 0
    plan = _plan(architecture, base)
    uncounted = architecture.uncounted | plan.uncounted if plan else architecture.uncounted
    for _, _, pieces, layers, experts, tensor, _ in _rows(architecture, base, plan):
        copies = len(layers) * (experts or 1)
        if pieces is None:
            kind, elements = _dtype(tensor, base), prod(tensor.shape) * copies
            stored[kind] = stored.get(kind, 0) + elements
            if tensor.shape and kind != _SCALES and tensor.kind not in uncounted:
                counted[kind] = counted.get(kind, 0) + elements
            continue
        for piece in pieces:
            kind, elements = piece.dtype, prod(piece.shape) * copies
            stored[kind] = stored.get(kind, 0) + elements
            own = _parameters(piece)
            if own != 0:
                counted[kind] = counted.get(kind, 0) + (elements if own is None else own * copies)
    for kind, elements in stored.items():
        total += storage_bytes(kind, elements)
    return Summary(sum(counted.values()), total, counted, sum(stored.values()), stored, base, notes + (plan.notes if plan else ()))


def weights(architecture: Architecture) -> int:
    """How many weights a checkpoint holds, each once, whatever it packs them in and without scales: what the same model would have stored
    as it is, and tied tables that its quantization makes files hold beside."""
    if architecture.quantization is None:
        return summary(architecture).elements
    plain = architecture._replace(quantization=None)
    if not any(tensor.kind == "tied" for _, tensor, _ in architecture.each_tensor()):
        return summary(plain).elements
    there = _ties(plain)
    return summary(plain).elements + sum(n for name, n in _ties(architecture).items() if name not in there)


def _ties(architecture: Architecture) -> dict[str, int]:
    return {e.tensor.name: e.tensor.elements for e in inventory(architecture) if e.tensor.kind == "tied"}


def inventory(architecture: Architecture, dtype: str | None = None) -> list[Entry]:
    """Every stored tensor, those that differ in their numbers only as one entry."""
    base, _ = base_dtype(architecture, dtype)
    renames = architecture.renames
    entries = []
    for prefix, module, pieces, layers, experts, tensor, part in _rows(architecture, base, _plan(architecture, base)):
        below, where = (f"{prefix}{{}}.{module}", tuple(layers)) if prefix else (module, ())
        if pieces is None:
            kind = _dtype(tensor, base)
            own = 0 if kind == _SCALES else None
            entries.append(Entry(published_name(below, renames), tensor.shape, kind, tensor, part, where, experts, own))
            continue
        for piece in pieces:
            name = published_name(_joined(below, piece.name), renames)
            entries.append(Entry(name, piece.shape, piece.dtype, tensor, part, where, experts, _parameters(piece)))
    return _stacked(entries) if renames else entries


def as_gguf(architecture: Architecture) -> tuple[Architecture, str]:
    """What llama.cpp's converter makes of a published checkpoint, and the file type's name.

    What is stored in 4 bits stays in 4 bits; FP8 and other methods are written out. The rest is in the checkpoint's half precision, F16
    for float32, and beside MXFP4 in Q8_0, as the published files have it (ggml-org/gpt-oss-20b-GGUF, file type MXFP4_MOE).

    Source: llama.cpp 0c1e57098, convert_hf_to_gguf.py (`--outtype auto`), conversion/base.py `dequant_model`, `prepare_metadata`.
    """
    from archcalc.quant import method_of
    from archcalc.quant.gguf import four_bit_type

    quantization = architecture.quantization
    plain = "f16" if base_dtype(architecture)[0] in ("F16", "F32") else "bf16"
    half = "F16" if plain == "f16" else "BF16"
    made: dict[str, Any] = {"quant_method": "gguf", "file_type": plain}
    held_as = four_bit_type(method_of(quantization), quantization) if quantization else None
    if held_as is not None:
        held: dict[tuple[Part, str], frozenset[int]] = {}
        for entry in inventory(architecture):
            if _in_four_bits(entry):
                key = entry.part, entry.tensor.name
                held[key] = held.get(key, frozenset()) | frozenset(entry.layers or _OUTSIDE)
        if held:
            made |= {"held": held, "held_as": held_as}
            plain = {"MXFP4": "mxfp4_moe"}.get(held_as, held_as.lower())
            if held_as == "MXFP4":
                made["file_type"] = plain
    return architecture._replace(quantization=made, dtype=half), plain


def _in_four_bits(entry: Entry) -> bool:
    """Whether an entry is packed weights of 4 bits: two values to a byte of the tensor, or of one of the pieces that it is stored in."""
    tensor = entry.tensor
    values = prod(tensor.shape[1:]) if entry.experts else tensor.elements
    packed = 2 * storage_bytes(entry.dtype, entry.elements)
    return entry.dtype in _PACKED and any(packed * pieces == values for pieces in {1, 2, len(tensor.stored) or 1})


_PACKED = frozenset(("I8", "U8", "I32", "U32"))


def _stacked(entries: list[Entry]) -> list[Entry]:
    """Entries that have one name in the same layers are one tensor, stacked along the first axis; of a scale of the whole there is one."""
    whole: dict[tuple[str, tuple[int, ...]], Entry] = {}
    for entry in entries:
        key = entry.name, entry.layers
        above = whole.get(key)
        if above is None:
            whole[key] = entry
        elif above.shape and entry.shape:
            whole[key] = above._replace(shape=(above.shape[0] + entry.shape[0], *entry.shape[1:]))
    return list(whole.values())


def expand(architecture: Architecture, dtype: str | None = None) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Name, shape and dtype of every single tensor of the checkpoint."""
    for entry in inventory(architecture, dtype):
        for name in physical_names(entry):
            yield name, entry.shape, entry.dtype


def physical_names(entry: Entry) -> Iterator[str]:
    """The names of all tensors that an entry stands for."""
    for layer in entry.layers or (None,):
        head = () if layer is None else (layer,)
        if entry.experts:
            for expert in range(entry.experts):
                yield entry.name.format(*head, expert)
        else:
            yield entry.name.format(*head) if head else entry.name


def published_name(name: str, renames: Sequence[tuple[str, str]]) -> str:
    """The name that published checkpoints use for a tensor of the reference implementation."""
    prefixed = False
    for old, new in renames:
        if old.startswith("."):
            name = name.replace(old, new)
        elif not prefixed and name.startswith(old):
            name = new + name[len(old) :]
            prefixed = True
    return name


def _dtype(tensor: Tensor, base: str) -> str:
    # Correction biases are stored as they are trained, in float32, whatever the weights are stored in.
    return tensor.dtype or ("F32" if tensor.kind == "router_bias" else base)


def _plan(architecture: Architecture, base: str) -> Plan | None:
    if architecture.quantization is None:
        return None
    from archcalc.quant import read

    return read(architecture.quantization, architecture, base)


def _parameters(piece: Stored) -> int | None:
    """What the Hub counts: no tensor without axes, and none of a dtype that is for scales only."""
    return 0 if not piece.shape or piece.dtype == _SCALES else piece.parameters


def _joined(module: str, name: str) -> str:
    if name.startswith("../"):
        return f"{module.rpartition('.')[0]}.{name[3:]}"
    return module + name if not name or name[0] in "._" else f"{module}.{name}"


class _Place(NamedTuple):
    """Where tensors stand: what comes before the layer's number (nothing outside the layers), and the layers that hold them."""

    prefix: str
    part: Part
    layers: Sequence[int]


_Row = tuple[str, str, "Sequence[Stored] | None", Sequence[int], int, Tensor, Part]
"""Prefix, module below the layer, what is stored (None: the tensor as it is), layers, experts, the reference tensor, its part."""


def _rows(architecture: Architecture, base: str, plan: Plan | None) -> Iterator[_Row]:
    """Everything stored, in the order of the reference implementation."""
    for group in architecture.groups:
        yield from _stored(_Place("", group.part, _OUTSIDE), group.tensors, architecture, base, plan)
    for stack in architecture.stacks:
        for k, layer in enumerate(stack.kinds):
            place = _Place(f"{stack.prefix}.", stack.part, stack.indices(k))
            yield from _stored(place, layer.tensors, architecture, base, plan)
    if plan is None:
        for buffer in architecture.buffers:
            yield buffer.prefix, buffer.tensor.name, None, buffer.layers, 0, buffer.tensor, buffer.part


def _stored(place: _Place, tensors: tuple[Tensor, ...], architecture: Architecture, base: str, plan: Plan | None) -> Iterator[_Row]:
    prefix, part, layers = place
    if plan is None:
        for tensor in tensors:
            if tensor.stored:
                yield from _as_is(place, tensor, base)
            elif tensor.kind != "tied":
                yield prefix, tensor.name, None, layers, 0, tensor, part
        return
    if part in plan.drops:
        return
    uniform, linear = plan.scheme, plan.linear
    names = {t.name for t in tensors} if plan.adds_bias else frozenset[str]()
    for tensor in tensors:
        if tensor.kind == "tied" and not (plan.stores_tied or tensor.stored):
            continue
        name = tensor.name
        if plan.whole is not None:
            for pieces, chosen in plan.whole(tensor, part, layers):
                yield prefix, name, pieces, chosen, 0, tensor, part
        elif tensor.experts is not None and len(tensor.shape) == 3:
            yield from _fused(place, tensor, architecture, base, plan)
        elif tensor.stored and tensor.experts is None:
            rows = (tensor.shape[0] // len(tensor.stored), *tensor.shape[1:])
            pieces_of = tuple(tensor._replace(name=each, shape=rows, stored=()) for each in tensor.stored)
            yield from _stored(place, pieces_of, architecture, base, plan)
        elif not linear(tensor, part):
            if tensor.stored:
                yield from _as_is(place, tensor, base)
            else:
                wide = plan.widens and tensor.fp32 and tensor.dtype is None
                yield prefix, name, (_piece("", tensor.shape, "F32"),) if wide else None, layers, 0, tensor, part
        else:
            module = name[:-7] if name.endswith(".weight") else name
            out, width = tensor.shape
            if uniform is not None:
                splits: Iterable[tuple[Scheme | None, Sequence[int]]] = ((uniform, layers),)
            else:
                splits = plan.split(_module(prefix, module, tensor, part, architecture.renames), layers)
            for scheme, chosen in splits:
                if scheme is None:
                    if chosen:
                        yield prefix, name, None, chosen, 0, tensor, part
                elif chosen:
                    yield prefix, module, scheme(out, width), chosen, 0, tensor, part
                    if plan.adds_bias and f"{module}.bias" not in names:
                        yield prefix, module, (_piece("bias", (out,), plan.adds_bias),), chosen, 0, tensor, part
            if plan.cache_scales and part == "decoder":
                for ending, scale in plan.cache_scales:
                    if module.endswith(ending):
                        yield prefix, module, (scale,), layers, 0, tensor, part


def _as_is(place: _Place, tensor: Tensor, base: str) -> Iterator[_Row]:
    """A tensor as it is, or the pieces that checkpoints hold in its place."""
    prefix, part, layers = place
    if not tensor.stored:
        yield prefix, tensor.name, None, layers, 0, tensor, part
        return
    if _turned(tensor):
        shape = (tensor.shape[0], *reversed(tensor.shape[1:]))
        yield prefix, tensor.stored[0], (_piece("", shape, _dtype(tensor, base)),), layers, 0, tensor, part
        return
    # Pieces fill the axis after the experts', or the first.
    axis, experts = (1, tensor.experts.held or tensor.experts.total) if tensor.experts is not None else (0, 0)
    shape = (tensor.shape[axis] // len(tensor.stored), *tensor.shape[axis + 1 :])
    piece = (_piece("", shape, _dtype(tensor, base)),)
    for name in tensor.stored:
        yield prefix, name, piece, layers, experts, tensor, part


def _turned(tensor: Tensor) -> bool:
    """Whether checkpoints hold the experts in one tensor, but its last two axes swapped."""
    return tensor.experts is not None and len(tensor.stored) == 1 and "{" not in tensor.stored[0]


def _piece(name: str, shape: tuple[int, ...], dtype: str) -> Stored:
    from archcalc.quant._plan import Stored

    return Stored(name, shape, dtype)


def _module(prefix: str, name: str, tensor: Tensor, part: Part, renames: Sequence[tuple[str, str]]) -> Module:
    """The module by the name that the checkpoint uses, which is the name that configs use."""
    from archcalc.quant._plan import Module

    if renames:
        whole = published_name(f"{prefix}{{}}.{name}." if prefix else f"{name}.", renames)[:-1]
        if not prefix:
            return Module("", whole, tensor.role, part)
        before, _, after = whole.partition("{}.")
        return Module(before, after, tensor.role, part)
    return Module(prefix, name, tensor.role, part)


def _fused(place: _Place, tensor: Tensor, architecture: Architecture, base: str, plan: Plan) -> Iterator[_Row]:
    """Routed experts: one by one where checkpoints store them so or the method does, else as the method fuses them."""
    prefix, part, layers = place
    experts, rows, columns = tensor.shape
    if tensor.experts is not None and tensor.experts.held:
        experts = tensor.experts.held
    # Tensor parallelism splits the output of the first projections and the input of the last, which tells the order of the axes.
    transposed = tensor.shard is not None and tensor.shard.axis == (1 if "down" in tensor.name else 2)
    out, width = (columns, rows) if transposed else (rows, columns)
    name = tensor.name.removesuffix(".weight")
    pieces = () if _turned(tensor) else tuple(s.removesuffix(".weight") for s in tensor.stored)
    if not plan.linear(tensor._replace(name=f"{name}.weight", shape=(out, width)), part):
        yield from _as_is(place, tensor, base)
        return
    if not pieces and plan.fused is not None:
        module = _module(prefix, name, tensor, part, architecture.renames)
        stored = plan.fused(module, (experts, out, width))
        for scheme, chosen in plan.split(module, layers):
            if chosen and (scheme is None or stored is None):
                yield from _as_is(_Place(prefix, part, chosen), tensor, base)
            elif chosen:
                yield prefix, name, stored, chosen, 0, tensor, part
        return
    if not pieces:
        parent, _, leaf = name.rpartition(".")
        leaves = ("gate_proj", "up_proj") if leaf == "gate_up_proj" else (leaf,)
        pieces = tuple(f"{parent}.{{}}.{each}" for each in leaves)
    out //= len(pieces)
    for at, piece in enumerate(pieces):
        for scheme, chosen in plan.split(_module(prefix, piece, tensor, part, architecture.renames), layers):
            if not chosen:
                continue
            if scheme is not None:
                yield prefix, piece, scheme(out, width), chosen, experts, tensor, part
            elif tensor.stored and not _turned(tensor):
                yield prefix, tensor.stored[at], (_piece("", (out, width), _dtype(tensor, base)),), chosen, experts, tensor, part
            elif at == 0:
                yield from _as_is(_Place(prefix, part, chosen), tensor, base)
