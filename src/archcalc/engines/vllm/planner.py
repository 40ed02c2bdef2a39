"""vLLM's plan for its block pool: which layers share a block table, what a block weighs, how many a request holds.

Pure functions over frozen records: `group` once for a model and a placement, `request_blocks` for every context length, `capacity` for
every memory budget. What changed between releases is a rule of `_vllm_rules`; up to 0.32 all of it stands in v1/core/kv_cache_utils.py.

Sources: vLLM 0.33, vllm/v1/kv_cache_interface.py (specs) and vllm/v1/core/kv_cache_planning.py (`get_kv_cache_groups`,
`unify_kv_cache_spec_page_size`, `_get_packed_kv_cache_groups`, `get_kv_cache_config_from_groups`, `_project_kv_cache_groups_to_worker`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from archcalc.engines._once import once
from archcalc.engines.vllm.rules import Rules, rules
from archcalc.errors import NoRoomError, UnsupportedError, UsageError
from archcalc.records import NamedTuple

Form = Literal["full", "mla", "sliding", "sliding-mla", "chunked", "state", "ring"]
_ALL_TOKENS = ("full", "mla")
_SLIDING = ("sliding", "sliding-mla")


class Spec(NamedTuple):
    """The cache of one layer as the planner sees it.

    A page is a block of `block` tokens in one layer and takes `page` bytes, padding included. `layout` is whatever else must be equal
    before two layers can be one kind of page (heads, widths, bytes a row). `window` is a sliding window or a chunk. A `state` or a
    `ring` holds `blocks` blocks of a request whatever its length. `kind` is the kind of cache, for people.
    """

    form: Form
    block: int
    page: int
    layout: tuple[int, ...] = ()
    window: int | None = None
    blocks: int = 0
    kind: str = ""

    def local(self) -> bool:
        return self.form in (*_SLIDING, "chunked")


class LayerSpec(NamedTuple):
    """A spec and the number of the layer that it belongs to."""

    layer: int
    spec: Spec


class Group(NamedTuple):
    """Layers that share one block table. The first spec speaks for all where they differ in page size alone.

    `reserved` is what a block holds of bytes where a layout of many page sizes needs more than any group's own pages; `tuples` marks
    groups of such a layout.
    """

    layers: tuple[LayerSpec, ...]
    specs: tuple[Spec, ...]
    reserved: int = 0
    tuples: bool = False

    @property
    def page_bytes(self) -> int:
        """Bytes that the group needs of a block: its layers' pages side by side."""
        return _page_bytes(self)


@once
def _page_bytes(group: Group) -> int:
    return sum(layer.spec.page for layer in group.layers)


class Demand(NamedTuple):
    """What decides how many blocks a request of `max_model_len` tokens holds at most."""

    max_model_len: int
    in_flight_tokens: int
    dcp: int = 1


class Capacity(NamedTuple):
    """A pool: its blocks (one is the null block), the requests of the longest length it holds at once, and tokens as vLLM reports them."""

    num_blocks: int
    pool_bytes: int
    max_concurrency: float
    kv_tokens: int


class Start(NamedTuple):
    """The check at start: the bytes that it asks for, and those of the budget that it compares them with."""

    needed: int
    available: int

    @property
    def passes(self) -> bool:
        return self.needed <= self.available


def cdiv(a: int, b: int) -> int:
    return -(-a // b)


# What a request holds


def spec_blocks(spec: Spec, demand: Demand) -> int:
    """Blocks of one group that a request holds at most.

    A sliding window frees a block once no step in flight can see it, so a request holds its window and all tokens in flight; one block
    more, as a window rarely starts where a block does.
    """
    length = demand.max_model_len
    if spec.form in _ALL_TOKENS:
        return cdiv(cdiv(length, demand.dcp), spec.block)
    if spec.form in _SLIDING:
        if demand.dcp > 1:
            raise UnsupportedError("vLLM: sliding windows cannot be split by decode context parallelism", "leave --dcp out")
        return cdiv(min((spec.window or 0) - 1 + demand.in_flight_tokens, length), spec.block) + 1
    if spec.form == "chunked":
        return cdiv(min((spec.window or 0) + demand.in_flight_tokens, length), spec.block)
    return spec.blocks


def group_blocks(group: Group, demand: Demand) -> int:
    return max(spec_blocks(spec, demand) for spec in group.specs)


def request_blocks(groups: Iterable[Group], demand: Demand) -> int:
    """Blocks that one request holds of the pool: every group takes its own."""
    return sum(group_blocks(group, demand) for group in groups)


def bytes_per_block(groups: Iterable[Group]) -> int:
    """All groups draw on one pool, so a block is as large as the widest group needs, or the layout of all of them."""
    return max((max(group.page_bytes, group.reserved) for group in groups), default=0)


def capacity(groups: Sequence[Group], available_bytes: int, demand: Demand, rule: Rules | None = None) -> Capacity:
    """What a budget holds, as vLLM reports it.

    Before tokens were concurrency times length they were counted as if every group cost the same.
    """
    rule = rule or rules()
    each = bytes_per_block(groups)
    if not each:
        raise UnsupportedError("vLLM keeps no block pool for a model without caches")
    blocks = max(0, available_bytes) // each
    concurrency = blocks / _reported_blocks(groups, demand, rule)
    if rule.by_concurrency:
        tokens = int(concurrency * demand.max_model_len)
    else:
        tokens = blocks // len(groups) * smallest_block(groups, demand, rule) * demand.dcp
    if not rule.concurrency:
        # Until then it was the tokens over the length, whatever part of a block a request leaves empty.
        concurrency = tokens / demand.max_model_len
    return Capacity(blocks, blocks * each, concurrency, tokens)


def smallest_block(groups: Iterable[Group], demand: Demand, rule: Rules) -> int:
    """Tokens of the shortest block. A lone state is one block for the longest length (`MambaSpec`), which counts since groups have blocks
    of their own sizes."""
    return min(
        demand.max_model_len if spec.form == "state" and spec.blocks == 1 and rule.every_nth else spec.block
        for group in groups
        for spec in group.specs
    )


def _reported_blocks(groups: Sequence[Group], demand: Demand, rule: Rules) -> int:
    """Blocks of a request as vLLM reports concurrency: groups of many page sizes were once counted in bytes of the first group's."""
    if rule.own_pages or not any(group.tuples for group in groups):
        return request_blocks(groups, demand)
    size = sum(layer.spec.page * spec_blocks(layer.spec, demand) for group in groups for layer in group.layers)
    return cdiv(size, groups[0].page_bytes)


def start(
    groups: Sequence[Group], layers: Sequence[LayerSpec], available_bytes: int, demand: Demand, rule: Rules | None = None
) -> Start:
    """The check before the pool is made, by the rule of the release. `layers` are the model's, as they were before grouping."""
    rule = rule or rules()
    each = bytes_per_block(groups)
    available = available_bytes - each if rule.null_block else available_bytes
    if rule.check == "layers":
        return Start(sum(layer.spec.page * spec_blocks(layer.spec, demand) for layer in layers), available)
    if rule.packed_check and any(group.tuples for group in groups):
        return Start(_tuple_bytes(groups) * request_blocks(groups, demand), available)
    counted = groups[:1] if rule.check == "first group" else groups
    return Start(each * request_blocks(counted, demand), available)


def why_not(
    groups: Sequence[Group], layers: Sequence[LayerSpec], available_bytes: int, demand: Demand, rule: Rules, version: str
) -> NoRoomError | None:
    """The error that vLLM stops with, if the budget is too small for one request of the longest length."""
    check = start(groups, layers, available_bytes, demand, rule)
    if check.passes:
        return None
    low, high = 0, demand.max_model_len
    while high - low > 1:
        middle = (low + high) // 2
        fits = start(groups, layers, available_bytes, demand._replace(max_model_len=middle), rule).passes
        low, high = (middle, high) if fits else (low, middle)
    beside = f" beside the unused block of {bytes_per_block(groups):,}" if rule.null_block else ""
    return NoRoomError(
        f"vLLM {version} does not start: a request of {demand.max_model_len:,} tokens needs {check.needed:,} B of cache{beside}, "
        f"and --kv-cache-memory gives {available_bytes:,} B",
        f"give more, or ask for --ctx {low} or less" if low else "give more: not even one token fits",
    )


# Which layers share a block table


def group(layers: Sequence[LayerSpec], rule: Rules | None = None, *, packed: bool = False, hybrid: bool = True) -> list[Group]:
    """The groups of a model, by the rules of a release (the newest without one).

    `packed` is a layout whose outermost dimension is the block, which lets pages of several sizes lie side by side. Without `hybrid`
    (`--disable-hybrid-kv-cache-manager`) local layers are kept like full ones.
    """
    rule = rule or rules()
    if not layers:
        return []
    if not (hybrid and rule.groups):
        layers = promoted(layers)
    specs = [layer.spec for layer in layers]
    one_size = len({spec.page for spec in specs}) == 1
    if _uniform(specs) and (one_size or rule.pages != "one size"):
        return [Group(tuple(layers), tuple(dict.fromkeys(specs)))]
    if not rule.groups:
        raise UnsupportedError("vLLM: these layers cannot share one block table, and this release has no other", _NEWER)
    if packed and not one_size:
        return _packed(layers, rule)
    if (unified := _one_page_size(layers, rule)) is not None:
        return _split(unified, rule)
    if rule.full_fallback and {"mla", "sliding"} <= {spec.form for spec in specs}:
        layers = promoted(layers)
        if _uniform([layer.spec for layer in layers]):
            return [Group(tuple(layers), tuple(dict.fromkeys(layer.spec for layer in layers)))]
    raise UnsupportedError("vLLM: this release cannot bring the pages of these layers to one size", _NEWER)


_NEWER = "try a newer --engine-version"


def _base(spec: Spec) -> tuple[object, ...]:
    """Layers of one base need blocks for the same tokens, whatever their pages weigh."""
    if spec.form in _ALL_TOKENS:
        return ("all", spec.block)
    if spec.form == "state":
        return ("state", spec.block, spec.page, spec.blocks)
    if spec.form == "ring":
        return ("ring", spec.block)
    return ("sliding" if spec.form in _SLIDING else "chunked", spec.block, spec.window)


def _uniform(specs: Sequence[Spec]) -> bool:
    return len({_base(spec) for spec in specs}) == 1


def promoted(layers: Sequence[LayerSpec]) -> Sequence[LayerSpec]:
    """Local layers kept like full ones, if there are full ones: blocks for all tokens, the window left to the kernel.

    One block table has one window.
    """
    full = {layer.spec.block for layer in layers if layer.spec.form in _ALL_TOKENS}
    if not full or len({layer.spec.window for layer in layers if layer.spec.local()}) > 1:
        return layers
    block = full.pop() if len(full) == 1 else None
    return [layer._replace(spec=_whole(layer.spec, block or layer.spec.block)) if layer.spec.local() else layer for layer in layers]


def _whole(spec: Spec, block: int) -> Spec:
    form: Form = "mla" if spec.form == "sliding-mla" else "full"
    return spec._replace(form=form, block=block, page=spec.page * block // spec.block)


def _one_page_size(layers: Sequence[LayerSpec], rule: Rules) -> list[LayerSpec] | None:
    """All pages as large as the largest, where the release can: by longer blocks where that divides, else by padding, which MLA's kernels
    cannot read. States come padded already.

    Padding by stride is up to the backend: FlashAttention, FlashInfer and Triton read pages so on all GPUs that they run on
    (v1/attention/backends/*.py, `get_kv_cache_stride_order`).
    """
    largest = max(layer.spec.page for layer in layers)
    if all(layer.spec.page == largest for layer in layers):
        return list(layers)
    if rule.pages in ("one size", "one type"):
        return None
    padded: tuple[Form, ...] = (
        ("state", "ring") if rule.pages == "longer blocks" else ("state", "full", "sliding", "chunked", "ring")
    )
    out = []
    for layer in layers:
        spec = layer.spec
        ratio, rest = divmod(largest, spec.page)
        if spec.form != "state" and not rest:
            spec = spec._replace(block=spec.block * ratio, page=largest)
        elif spec.form in padded:
            spec = spec._replace(page=largest, layout=(*spec.layout, -largest) if rest else spec.layout)
        else:
            return None
        out.append(layer._replace(spec=spec))
    return out


def _split(layers: Sequence[LayerSpec], rule: Rules) -> list[Group]:
    """Groups of equally many layers, as all draw blocks of one size; the last of a kind may have slots that no layer fills."""
    buckets: dict[object, list[LayerSpec]] = {}
    for layer in layers:
        # Kinds were told apart by block and page alone while groups took runs of layers (`type_id`).
        buckets.setdefault(layer.spec if rule.every_nth else (*_base(layer.spec), layer.spec.page), []).append(layer)
    fewest, most = min(map(len, buckets.values())), max(map(len, buckets.values()))
    size = most if most < fewest * rule.slack else fewest
    groups = []
    for members in buckets.values():
        n = cdiv(len(members), size)
        # Every n-th layer, not runs of them, so that each pipeline stage has its share of every group.
        parts = [members[i::n] if rule.every_nth else members[i * size : (i + 1) * size] for i in range(n)]
        groups += [Group(tuple(part), tuple(dict.fromkeys(layer.spec for layer in part))) for part in parts]
    return groups


def _packed(layers: Sequence[LayerSpec], rule: Rules) -> list[Group]:
    """Groups for block-outermost layouts: a bucket that mixes page sizes stays whole, and larger buckets are split towards it."""
    if rule.packed == "none":
        raise UnsupportedError("vLLM: this release has no layout for compressed caches", _NEWER)
    if rule.packed != "stacked":
        layers = _in_tuples(layers)
    buckets: dict[tuple[object, ...], list[LayerSpec]] = {}
    # The buckets of all tokens were the first while a request was counted in pages of the first group.
    for layer in layers if rule.null_block else sorted(layers, key=lambda layer: layer.spec.form not in _ALL_TOKENS):
        buckets.setdefault(_base(layer.spec), []).append(layer)
    by_page = [_by_page(bucket) for bucket in buckets.values()]
    # Only patterns of one layer of each page size are split; others stay whole.
    repeats = [len(next(iter(pages.values()))) if len(set(map(len, pages.values()))) == 1 else None for pages in by_page]
    floor = max((n for n, pages in zip(repeats, by_page, strict=True) if n and len(pages) > 1), default=0)
    size = _least_padding([n for n in repeats if n], floor) if floor else None
    counts = [cdiv(n, size) if n and size else 1 for n in repeats]
    states = [next(iter(pages.values()))[0].spec.form == "state" for pages in by_page]
    anchor = max(
        sum(cdiv(len(members), sum(map(len, pages.values())) if state else n) * page for page, members in pages.items())
        for pages, n, state in zip(by_page, counts, states, strict=True)
    )
    groups = []
    for pages, count, state in zip(by_page, counts, states, strict=True):
        n = count
        if state:
            # A state is padded to one page already: no more of them in a group than the block holds anyway.
            page, members = next(iter(pages.items()))
            n = max(n, cdiv(len(members), max(anchor // page, 1)))
        parts = [[layer for found in pages.values() for layer in found[i::n]] for i in range(n)]
        groups += [Group(tuple(part), tuple(dict.fromkeys(layer.spec for layer in part)), 0, True) for part in parts]
    return groups


def _in_tuples(layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    """Pages of sliding layers padded to the next size among those of all tokens."""
    sizes = sorted({layer.spec.page for layer in layers if layer.spec.form in _ALL_TOKENS})
    out = []
    for layer in layers:
        page = layer.spec.page
        if layer.spec.form in _SLIDING:
            page = next((size for size in sizes if size >= page), page)
        out.append(layer._replace(spec=layer.spec._replace(page=page)))
    return out


def _tuple_bytes(groups: Sequence[Group]) -> int:
    """A block as it was when groups were tuples of layers, one of each size of the group of all tokens."""
    whole = {layer.spec.page for group in groups for layer in group.layers if layer.spec.form in _ALL_TOKENS}
    most = max(max(Counter(layer.spec.page for layer in group.layers).values(), default=0) for group in groups)
    return sum(whole) * most


def _slot_bytes(groups: Sequence[Group]) -> int:
    """A block with a slot for each page size and place: groups share those of their sizes."""
    slots: Counter[int] = Counter()
    for group in groups:
        slots |= Counter(layer.spec.page for layer in group.layers)
    return sum(page * n for page, n in slots.items())


def _by_page(bucket: Sequence[LayerSpec]) -> dict[int, list[LayerSpec]]:
    pages: dict[int, list[LayerSpec]] = {}
    for layer in bucket:
        pages.setdefault(layer.spec.page, []).append(layer)
    return pages


def _least_padding(counts: Sequence[int], floor: int) -> int:
    """The group size, from `floor` up, that pads `counts` least; the larger of equals."""
    return min(range(floor, max(counts) + 1), key=lambda size: (sum(-n % size for n in counts), -size))


# Pipeline stages


def stages(layers: int, pp: int) -> list[range]:
    """Layer numbers of each pipeline stage: what does not divide goes to the middle, as the ends hold embedding and head.

    >>> stages(61, 4)
    [range(0, 15), range(15, 30), range(30, 46), range(46, 61)]
    """
    if pp > layers:
        raise UsageError(f"--pp {pp}: {pp} pipeline stages are more than the model's {layers} layers", f"name {layers} at most")
    sizes = [layers // pp] * pp
    for i in range(2, layers % pp + 2):
        sizes[-i] += 1
    starts = [sum(sizes[:i]) for i in range(pp)]
    return [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]


def stage(groups: Iterable[Group], layers: range, rule: Rules | None = None) -> list[Group]:
    """The same groups with the layers of one stage. A group without layers there still takes blocks: ids are shared by all stages."""
    rule = rule or rules()
    own = [g._replace(layers=tuple(layer for layer in g.layers if layer.layer in layers)) for g in groups]
    if rule.packed in ("tuples", "slots") and any(g.tuples for g in own):
        reserved = _tuple_bytes(own) if rule.packed == "tuples" else _slot_bytes(own)
        own = [g._replace(reserved=reserved) for g in own]
    return own
