"""What all engines share: the question, the answer with its rule in numbers, and what checkpoints and models say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archcalc.engines._once import once
from archcalc.errors import UsageError
from archcalc.model import Architecture, Attend, Cache, Layer
from archcalc.quant._plan import wrong
from archcalc.records import NamedTuple

DTYPE_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}


class Workload(NamedTuple):
    """`batch` sequences of `context_tokens`; `kv_dtype` None is what the engine chooses by itself."""

    context_tokens: int
    batch: int = 1
    kv_dtype: str | None = None


class Figure(NamedTuple):
    """What the layers of one kind of cache take on one GPU, and how that number comes about.

    `bytes` holds `state_bytes`, the part that does not grow; `bytes_per_token` is what one more token costs one sequence.
    The kind `padding` is memory that the engine reserves and no layer uses.
    """

    kind: str
    window: int | None
    layers: int
    bytes: int
    bytes_per_token: int
    state_bytes: int
    formula: str
    source: str


class Allocation(NamedTuple):
    """The cache of one workload as one engine holds it, per GPU: `gpus` of them hold as much each.

    `version` is the engine's, `rule` its rule in words, `details` further figures by name.
    """

    engine: str
    version: str
    context_tokens: int
    batch: int
    dtype: str
    figures: tuple[Figure, ...]
    rule: str
    gpus: int = 1
    details: Mapping[str, int | float] = {}
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(f.bytes for f in self.figures)

    @property
    def bytes_per_token(self) -> int:
        return sum(f.bytes_per_token for f in self.figures)

    @property
    def state_bytes(self) -> int:
        return sum(f.state_bytes for f in self.figures)


class Held(NamedTuple):
    """A cache, a layer that holds it, and how many layers hold one like it."""

    cache: Cache
    layer: Layer
    layers: int


@once
def held_caches(architecture: Architecture, *, by_layer: bool = False) -> tuple[Held, ...]:
    """Every distinct cache of the decoder; MTP layers are left out, as engines run them only to speculate.

    With `by_layer` equal caches are distinct where the layers' other caches or their attention differ.
    """
    found: dict[Cache | tuple[Cache, tuple[Cache, ...], tuple[Attend, ...]], Held] = {}
    for stack in architecture.stacks:
        if stack.part != "decoder":
            continue
        for layer, layers in zip(stack.kinds, stack.counts(), strict=True):
            for cache in layer.caches:
                key = (cache, layer.caches, layer.attends) if by_layer else cache
                before = found.get(key)
                found[key] = Held(cache, layer, layers + (before.layers if before else 0))
    return tuple(found.values())


@once
def as_cached(architecture: Architecture) -> Architecture:
    """The model for an engine that makes room for the keys and values of layers that see both ways, as for a cache."""
    if not unread(architecture):
        return architecture
    stacks = (
        stack._replace(kinds=tuple(k._replace(caches=(*k.caches, *k.unread), unread=()) for k in stack.kinds))
        if stack.part == "decoder"
        else stack
        for stack in architecture.stacks
    )
    return architecture._replace(stacks=tuple(stacks))


@once
def without_caches(architecture: Architecture) -> Architecture:
    """The model for an engine that runs it without a memory."""
    stacks = (
        stack._replace(kinds=tuple(k._replace(caches=()) for k in stack.kinds)) if stack.part == "decoder" else stack
        for stack in architecture.stacks
    )
    return architecture._replace(stacks=tuple(stacks))


def unread(architecture: Architecture) -> bool:
    """Whether the decoder's layers make keys and values that nothing reads after the pass."""
    return any(layer.unread for stack in architecture.stacks if stack.part == "decoder" for layer in stack.kinds)


def nothing_kept(architecture: Architecture) -> str:
    """The rule of an engine that keeps nothing of the past for a model that does not decode."""
    return f"no cache: the whole text is {'made in passes over all of it' if architecture.refines else 'read in one pass'}"


UNREAD = "; room that is made all the same: the whole text is read in one pass, and nothing of it afterwards"
"""What a rule adds where an engine makes room for keys and values that are not read again."""


def served_window(cache: Cache) -> int | None:
    """The window that serving engines reserve for."""
    return cache.window if cache.served_window is None else cache.served_window


def merged(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """The figures with those of one kind and window added up, in the order they first occur."""
    out: dict[tuple[str, int | None, str], Figure] = {}
    for f in figures:
        key = (f.kind, f.window, f.source)
        g = out.get(key)
        out[key] = (
            f
            if g is None
            else Figure(
                f.kind, f.window, g.layers + f.layers, g.bytes + f.bytes, g.bytes_per_token + f.bytes_per_token,
                g.state_bytes + f.state_bytes, f"{g.formula} + {f.formula}", f.source,
            )
        )  # fmt: skip
    return tuple(out.values())


def times(*terms: str | int) -> str:
    """A product as text; factors of one are left out.

    >>> times(2, "3 layers", 1, "4,096 tokens")
    '2 x 3 layers x 4,096 tokens'
    """
    shown = [term if isinstance(term, str) else f"{term:,}" for term in terms if term != 1]
    return " x ".join(shown) or "1"


def row_text(cache: Cache) -> str:
    """The elements of one cached token, as text: heads times what each keeps."""
    if cache.value_dim:
        return times(cache.heads, f"({cache.key_dim:,} + {cache.value_dim:,})")
    return times(cache.heads, cache.key_dim)


def layers_text(layers: int) -> str:
    return f"{layers} layers" if layers != 1 else "1 layer"


def batch_text(batch: int) -> str | int:
    return 1 if batch == 1 else f"{batch:,} sequences"


def lacks_dtype(engine: str, asked: str, known: Iterable[str], hint: str = "") -> UsageError:
    """The error for a cache dtype that an engine does not have."""
    return UsageError(f"--kv-dtype {asked}: {engine} keeps caches in {', '.join(known)}", hint)


def declared_dtype(architecture: Architecture) -> tuple[str, str] | None:
    """What the checkpoint's quantization says of the cache: its method, and `fp8` or `nvfp4`."""
    config = architecture.quantization or {}
    method = str(config.get("quant_method") or "")
    inner = config.get("quantization")
    levels = (inner, config) if isinstance(inner, Mapping) else (config,)
    found = next((level[key] for key in ("kv_cache_scheme", "kv_cache_quant_algo") for level in levels if level.get(key)), None)
    if isinstance(found, Mapping):
        if not isinstance(found.get("num_bits", 0), int):
            raise wrong("kv_cache_scheme.num_bits", found["num_bits"], "a number")
        found = {8: "fp8", 4: "nvfp4"}.get(found.get("num_bits", 0)) if found.get("type", "float") == "float" else None
    name = str(found).lower() if found else ""
    return (method, name) if name in ("fp8", "nvfp4") else None


def default_dtype(architecture: Architecture) -> str:
    """What engines keep the cache in when not told: the model's own half precision, else bf16."""
    return "fp16" if architecture.dtype == "F16" else "bf16"
