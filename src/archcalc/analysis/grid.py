"""A grid of questions, each answered by a pure function of its row.

A row says everything that its answer depends on, so rows can be computed in any order, in any process, on any machine: `point` is what
runs on a pool of processes here, and what a larger engine would map over its rows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from archcalc import units
from archcalc.errors import ArchcalcError, UsageError
from archcalc.loader import Loaded

if TYPE_CHECKING:
    from archcalc.analysis.fit import Ask, Candidate, Plans
    from archcalc.analysis.speed.plan import Wanted
    from archcalc.hardware import GpuSpec

AXES = (
    "source",
    "context_tokens",
    "concurrency",
    "isl",
    "osl",
    "gpu",
    "vram",
    "engine",
    "tp",
    "pp",
    "ep",
    "dp",
    "quant",
    "kv_dtype",
)
"""The keys of a row, besides `set`: config keys and their values. Absent or None is the default of `archcalc fit` and `inspect`."""


class Own(str):
    """A SOURCE that is in memory and no name: `read` makes the model of it, with keys set. Equal to itself alone, whatever its name."""

    __slots__ = ("read",)
    read: Callable[[Mapping[str, Any] | None], Loaded]

    @classmethod
    def of(cls, name: str, read: Callable[[Mapping[str, Any] | None], Loaded]) -> Own:
        made = cls(name)
        made.read = read
        return made

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


def grid(axes: Mapping[str, Sequence[Any]], overrides: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination, models outermost, so that neighbours share most of their work.

    >>> [row["context_tokens"] for row in grid({"source": ["gpt2"], "context_tokens": [512, 1024]}, {})]
    [512, 1024]
    """
    names = [axis for axis in AXES if axis in axes]
    keys = list(overrides)
    for values in itertools.product(
        axes["source"], *(overrides[key] for key in keys), *(axes[name] for name in names if name != "source")
    ):
        row: dict[str, Any] = {"source": values[0]}
        if keys:
            row["set"] = dict(zip(keys, values[1 : 1 + len(keys)], strict=True))
        row.update(zip((name for name in names if name != "source"), values[1 + len(keys) :], strict=True))
        yield row


def size(axes: Mapping[str, Sequence[Any]], overrides: Mapping[str, Sequence[Any]]) -> int:
    """How many rows the grid has."""
    n = 1
    for values in (*axes.values(), *overrides.values()):
        n *= len(values)
    return n


def key(row: Mapping[str, Any]) -> str:
    """What tells a row from all others, whatever the order of its keys."""
    return json.dumps({name: row[name] for name in sorted(row) if name in (*AXES, "set")}, sort_keys=True)


_MODEL = ("status", "params_total", "params_active", "checkpoint_elements", "checkpoint_bytes")
_CACHE = ("kv_bytes", "kv_bytes_per_token", "kv_state_bytes")
_FIT = (
    "fits", "plan", "weights_bytes", "kv_room_bytes", "kv_needed_bytes", "headroom_bytes", "max_concurrency", "kv_tokens",
    "tpot_ms", "tpot_ms_low", "tpot_ms_high", "ttft_ms", "ttft_ms_low", "ttft_ms_high", "tokens_per_s", "tokens_per_s_low",
    "tokens_per_s_high", "tokens_per_s_a_gpu", "requests_per_s", "bound_tokens_per_s", "prompt_taken", "output_taken", "engine_taken",
    "weights_taken",
    "context_taken", "usd_per_hour", "usd_per_million_output_tokens", "price_of",
)  # fmt: skip


def point(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its figures and `error`.

    Always parameters, checkpoint and textbook cache; with a `gpu` also the verdict, the plan and the room on the fullest GPU. The
    columns are the same whatever comes out: a row that cannot be says why in `error`, and has None in what was not reached.
    """
    out = {**row, **dict.fromkeys((*_MODEL, *_CACHE, *(_FIT if row.get("gpu") else ()), "error"))}
    try:
        for figures in _figures(row):
            out.update(figures)
    except ArchcalcError as error:
        out["error"] = error.message
    return out


def points(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Many rows, for a worker process."""
    return [point(row) for row in rows]


def _figures(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of the model, then of its cache, then of the fit."""
    from archcalc.figures import memory

    overrides = json.dumps(row.get("set") or {}, sort_keys=True)
    a = _loaded(row["source"], overrides).architecture
    yield dict(zip(_MODEL, _model(row["source"], overrides), strict=True))
    context = _context(row) or a.facts.context_tokens
    if context:
        dtype = row.get("kv_dtype") or "bf16"
        width = memory.DTYPE_BYTES.get(dtype)
        if width is None and not row.get("gpu"):
            raise UsageError(f"kv_dtype {dtype}: without a GPU the cache is the textbook's, in {', '.join(memory.DTYPE_BYTES)}")
        if width is not None:
            kinds = memory.textbook(a, context, row.get("concurrency") or 1, width)
            made = sum(k.bytes for k in kinds), sum(k.bytes_per_token for k in kinds), sum(k.state_bytes for k in kinds)
            yield dict(zip(_CACHE, made, strict=True))
    if row.get("gpu"):
        yield _fit(row, overrides)


@lru_cache(maxsize=256)
def _loaded(source: str, overrides: str) -> Loaded:
    from archcalc.loader import load

    asked = json.loads(overrides)
    if isinstance(source, Own):
        return source.read(asked or None)
    return load(source, offline=True, overrides=[f"{name}={json.dumps(value)}" for name, value in asked.items()])


@lru_cache(maxsize=256)
def _model(source: str, overrides: str) -> tuple[Any, ...]:
    """What depends on the model alone, in the order of `_MODEL`."""
    from archcalc.analysis.params import components
    from archcalc.errors import UnsupportedError
    from archcalc.figures import checkpoint

    a = _loaded(source, overrides).architecture
    parts = components(a)
    elements: int | None = None
    held: int | None = None
    try:
        stored = checkpoint.summary(a)
        elements, held = stored.elements, stored.bytes
    except UnsupportedError:
        # The storage is not known: the columns stay empty.
        pass
    return (
        a.status,
        sum(c.total for c in parts if c.part != "mtp"),
        sum(c.active for c in parts if c.part != "mtp"),
        elements,
        held,
    )


@lru_cache(maxsize=64)
def _candidate(
    source: str, overrides: str, gpu: str, vram: str | None, engine: str | None, quant: str | None
) -> tuple[GpuSpec, str, Candidate | ArchcalcError]:
    """The machine, the engine, and the model as the engine would load it there: what contexts, concurrencies and placements share."""
    from archcalc import hardware
    from archcalc.analysis.choose import reader
    from archcalc.analysis.fit import Ask, candidate
    from archcalc.analysis.refusals import refuse_guess
    from archcalc.engines.engine import chosen_for

    spec = hardware.parse_spec(gpu)
    if vram is not None:
        from archcalc.hardware.here import resized
        from archcalc.units import parse_bytes

        spec = resized(spec, parse_bytes(vram), vram)
    architecture = _loaded(source, overrides).architecture
    try:
        refuse_guess(architecture)
        engine = engine or reader(architecture, spec.device, quant)
        return spec, engine, candidate(architecture, Ask(spec, engine, quant=quant))
    except ArchcalcError as error:
        return spec, engine or chosen_for(spec.device), error


def _fit(row: Mapping[str, Any], overrides: str) -> dict[str, Any]:
    from archcalc.analysis.choose import held
    from archcalc.analysis.fit import Ask
    from archcalc.analysis.speed.fastest import fastest
    from archcalc.analysis.speed.plan import Wanted

    spec, engine, model = _candidate(row["source"], overrides, row["gpu"], row.get("vram"), row.get("engine"), row.get("quant"))
    if isinstance(model, ArchcalcError):
        raise model
    asked: dict[str, Any] = {name: row.get(name) for name in ("tp", "pp", "ep", "dp", "quant", "kv_dtype")}
    wanted = Wanted(row.get("isl"), row.get("osl"))
    ask = Ask(spec, engine, _context(row), row.get("concurrency") or 1, **asked)
    found = held(_loaded(row["source"], overrides).architecture, ask, model).found
    found, _ = fastest(found, found.asked(ask), wanted)
    best = found.best
    p, b = best.placement, best.budget
    plan = f"tp{p.tp} pp{p.pp} ep{p.ep} dp{p.dp}"
    concurrency = units.at_least(best.max_concurrency, 3)
    room = (b.weights_bytes, b.kv_room_bytes, best.kv_needed_bytes, best.headroom_bytes)
    made = (best.fits, plan, *room, concurrency, best.kv_tokens, *_speed(found, ask, wanted))
    return dict(zip(_FIT, made, strict=True))


def _context(row: Mapping[str, Any]) -> int | None:
    """As asked, or what requests of the lengths asked for need; None where neither is given."""
    from archcalc.analysis.speed.plan import Wanted

    return Wanted(row.get("isl"), row.get("osl")).context(row.get("context_tokens"))


def _speed(found: Plans, ask: Ask, wanted: Wanted) -> tuple[Any, ...]:
    """The forecast times to a token and to the first and tokens a second in all, with their 80 %, those of a GPU, requests a second, the
    bound, what was taken where it was left open, and the price; None where there is none."""
    from archcalc.analysis.speed.plan import cost, of_fit

    made = of_fit(found, found.best, ask, wanted)
    rate, price, bound = made.tokens_per_s, cost(made, ask), made.bound_tokens_per_s
    times = [None if x is None else round(1000 * x, 3) for t in (made.between, made.ttft) for x in t or (None,) * 3]
    rates = (None,) * 4 if rate is None else (*(round(x, 1) for x in rate), round(rate.value / ask.gpus.count, 2))
    whole = made.requests_per_s
    return (
        *times,
        *rates,
        None if whole is None else round(whole.value, 4),
        None if bound is None else units.at_most(bound, 3),
        made.load.isl,
        made.load.osl,
        ask.engine,
        found.model.quant,
        found.best.context_tokens,
        *((price.usd_per_hour, price.usd_per_million_output_tokens, price.of) if price else (None,) * 3),
    )


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with config keys as columns of their own, for tables.

    >>> flat({"source": "llama-3.1-8b", "set": {"num_hidden_layers": 16}, "tp": 2})
    {'source': 'llama-3.1-8b', 'set.num_hidden_layers': 16, 'tp': 2}
    """
    out: dict[str, Any] = {}
    for name, value in row.items():
        if name == "set":
            out.update((f"set.{key}", setting) for key, setting in value.items())
        else:
            out[name] = value
    return out


def batches(rows: Iterable[dict[str, Any]], each: int) -> Iterator[list[dict[str, Any]]]:
    """Rows in pieces, in order."""
    rows = iter(rows)
    while piece := list(itertools.islice(rows, each)):
        yield piece
