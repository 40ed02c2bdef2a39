"""The fit of one model on every machine that a page offers, for any context and number of sequences, without the rules that made it.

Under vLLM a need is linear in the number of sequences: (blocks of a sequence x sequences + null block) x bytes of a block. Blocks,
like all else that depends on the context, are staircases, which are written down as runs of equal steps. So a page only multiplies,
adds and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from archcalc import hardware
from archcalc.analysis import fit, verdict
from archcalc.analysis.refusals import refuse_guess
from archcalc.engines.budget import Budget
from archcalc.engines.engine import DEFAULT, server
from archcalc.engines.placement import Placement, RankWeights, rank_weights
from archcalc.engines.plan import Taken, capability
from archcalc.errors import ArchcalcError
from archcalc.figures import memory
from archcalc.hardware import Device, GpuSpec
from archcalc.loader import Loaded

ENGINE = DEFAULT
"""Whose plans the page makes: its pool is linear."""
DEVICES = (
    "h100-sxm-80gb", "h100-pcie-80gb", "h100-nvl-94gb", "h200-sxm-141gb", "h20-96gb", "gh200-96gb", "b200-180gb", "b300-288gb",
    "gb200-186gb", "a100-sxm4-40gb", "a100-sxm4-80gb", "a100-pcie-80gb", "a10g", "a40", "l4", "l40s", "t4", "v100-sxm2-32gb",
    "mi300x-192gb", "mi325x-256gb", "mi355x-288gb", "rtx-pro-6000-blackwell-ws", "rtx-6000-ada", "rtx-a6000", "rtx-5090",
    "rtx-5080", "rtx-4090", "rtx-4080", "rtx-4060-ti-16gb", "rtx-3090", "rtx-3060-12gb", "gb10-dgx-spark", "rx-7900-xtx",
    "radeon-ai-pro-r9700",
)  # fmt: skip
"""The devices of the page: those most people have or rent. `archcalc fit` knows all of the catalog."""
COUNTS = (1, 2, 4, 8, 16)
KV_DTYPES = (None, "bf16", "fp16", "fp8", "fp8_e5m2")
"""What the cache can be asked to be kept in; None leaves it to the engine."""
UNSTATED_CONTEXT = 1 << 20
"""How far a page goes for a model whose config states no context."""

Run = tuple[int, int, int, int]
Staircase = tuple[Run, ...]
_MARK = 918273645


def height(stairs: Staircase, n: int) -> int:
    """The value of a staircase at `n`.

    >>> height(((1, 2, 1, 2), (100, 200, 0, 0)), 50)
    100
    """
    first, value, width, step = next(run for run in reversed(stairs) if run[0] <= n)
    return value + (n - first) // width * step if width else value


def staircase(of: Callable[[int], int], last: int) -> Staircase:
    """A monotone whole-numbered function over 1..`last`, as runs `(first, value, width, step)`.

    It is `value` at `first`, and moves by `step` every `width` further; a width of 0 stays.

    >>> staircase(lambda tokens: -(-tokens // 16) + 1, 1 << 20)
    ((1, 2, 16, 1),)
    >>> staircase(lambda tokens: min(tokens, 100) * 2, 1 << 20)
    ((1, 2, 1, 2), (100, 200, 0, 0))
    """
    of = cache(of)
    runs: list[Run] = []
    first = 1
    while True:
        value = of(first)
        if of(last) == value:
            runs.append((first, value, 0, 0))
            return _joined(runs, of, last)
        width = _next(of, first, last) - first
        step = of(first + width) - value

        def regular(n: int, first: int = first, value: int = value, width: int = width, step: int = step) -> bool:
            at = first + n * width
            return at <= last and of(at) == value + n * step and of(at - 1) == value + (n - 1) * step

        steps = fit.largest(regular, last)
        runs.append((first, value, width, step))
        first += steps * width


def _next(of: Callable[[int], int], first: int, last: int) -> int:
    """The first position after `first` with another value; there is one."""
    value, reach = of(first), 1
    while first + reach < last and of(first + reach) == value:
        reach *= 2
    low, high = first + reach // 2, min(first + reach, last)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if of(middle) == value else (low, middle)
    return high


def _joined(runs: list[Run], of: Callable[[int], int], last: int) -> Staircase:
    """Without a last run that only cuts the one before short at the end of the range."""
    if len(runs) > 1:
        first, value, width, step = runs[-2]
        if of(last) == value + (last - first) // width * step and runs[-1][0] + width > last:
            runs.pop()
    return tuple(runs)


# What commands are cut at: their flags, with their values, are few.
_FLAG = " --"


class _Interned:
    """Equal entries once, by their place."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self.places.setdefault(value, len(self.places))

    def entries(self) -> list[Any]:
        return list(self.places)


class _Kernels(NamedTuple):
    """What decides how weights are kept: devices of one kind share all of it."""

    vendor: str
    compute: str | None


class _Placed(NamedTuple):
    """Rows of placements, what differs with fewer sequences, why cache dtypes and placements are refused, and the engine's share."""

    rows: list[list[Any]]
    fewer: list[list[Any]]
    errors: list[str]
    refused: str
    share: int


def machines() -> Iterator[tuple[Device, list[int]]]:
    """The devices that the page offers, each with how many of it."""
    for name in DEVICES:
        device = hardware.device(name)
        most = 16 if device.category == "datacenter" else 2 if device.category == "edge" else 8
        yield device, [n for n in COUNTS if n <= most]


def tables(loaded: Loaded) -> dict[str, Any]:
    """Every plan of a model, as plain data. Raises what `archcalc fit` raises for the model on any machine.

    `stairs` are the staircases over the context that others name by place. `pools` are `[block bytes, null blocks, tokens per block,
    [stairs of blocks], dtype]`. `machines` holds for each device and count the placements in the order of preference, as `[tp, pp, ep, dp,
    weights bytes, activation stair, overhead stair, sequences, pool of each dtype, command of each dtype, what stops
    the start]`, and `fewer` what differs where fewer sequences than by default are taken, the most first: `[place of the placement,
    activation stair, overhead stair, command of each dtype, sequences, pool of each dtype where it differs]`. `settings` are `[the engine's
    share, plans, fewer]` with each of its settings, to be looked at where the best plan leaves no room. Pools and commands of
    each dtype are places in `lists`, of places; a pool of -1 is one that the engine refuses, and `errors` say why where no placement is
    left. `commands` are places in `words`, which `--` joins.
    """
    architecture = loaded.architecture
    refuse_guess(architecture)
    limit = architecture.facts.context_tokens or UNSTATED_CONTEXT
    stair, pool, command, word, several = _Interned(), _Interned(), _Interned(), _Interned(), _Interned()
    models: dict[_Kernels, fit.Candidate] = {}
    weights: dict[tuple[_Kernels, Placement], RankWeights] = {}
    pools: dict[tuple[Any, ...], tuple[int, str, bool]] = {}
    alike: dict[tuple[Any, ...], int] = {}

    def stairs_of(of: Callable[[int], int], *key: Any) -> int:
        """With a key, functions of one key that agree at both ends are taken for the same."""
        if not key:
            return stair(staircase(of, limit))
        key = (*key, of(1), of(limit))
        if key not in alike:
            alike[key] = stair(staircase(of, limit))
        return alike[key]

    def pool_of(model: fit.Candidate, placement: Placement, ask: fit.Ask, plan: Any) -> tuple[int, str, bool]:
        """Its place, the cache's dtype, and whether sequences need blocks of state; -1 and why for one that the engine refuses."""
        key = (placement.tp, placement.pp, plan.batched_tokens, capability(ask.gpus.device), ask.kv_dtype)
        if key not in pools:
            try:
                made = server(ENGINE).pooled(model.architecture, placement, ask, plan)
                if made.pool is None:
                    pools[key] = pool((0, 0, None, (), made.dtype)), made.dtype, False
                else:
                    p = made.pool
                    groups = tuple(map(stairs_of, p.groups))
                    place = pool((p.block_bytes, p.null_blocks, p.tokens_per_block, groups, made.dtype))
                    pools[key] = place, made.dtype, p.states
            except ArchcalcError as error:
                pools[key] = -1, error.message, False
        return pools[key]

    def budget_stairs(
        model: fit.Candidate, placement: Placement, held: RankWeights, ask: fit.Ask, taken: Taken | None, key: tuple[Any, ...]
    ) -> tuple[int, int]:
        """Activations and overhead over the context, with what the plan takes; None where that depends on the context."""

        @cache
        def budget(context: int) -> Budget:
            if taken is None:
                return fit.settle(model, placement, held, ask, context, 1).budget
            return fit.budget_of(model, placement, held, ask, context, 1, taken)

        active = stairs_of(lambda context: budget(context).activation_bytes, "activation", *key)
        return active, stairs_of(lambda context: budget(context).overhead_bytes, "overhead", *key)

    def rows_of(ask: fit.Ask, kernels: _Kernels, placement: Placement) -> tuple[list[list[Any]], list[str], int]:
        """A row for all cache dtypes that the plan takes the same flags for; why others are refused; the engine's share of the memory."""
        model = models[kernels]
        if (kernels, placement) not in weights:
            weights[kernels, placement] = rank_weights(model.architecture, placement, model.options, model.tensors)
        held = weights[kernels, placement]
        plan = fit.budget_of(model, placement, held, ask, limit, 1)
        start, shared = server(ENGINE).settles(ask, placement, plan, 1)
        if ask.sequences is not None and shared.sequences is None:
            return [], [], 0
        stop = start.limit or fit.no_kernels(model, ask) or ""
        found: dict[Taken, list[int]] = {}
        reasons, dtypes = [], []
        for i, dtype in enumerate(KV_DTYPES):
            asked = ask._replace(kv_dtype=dtype)
            place, said, states = pool_of(model, placement, asked, plan)
            reasons.append("" if place >= 0 else said)
            dtypes.append((place, said, asked, states))
            if place >= 0:
                taken = fit.settle(model, placement, held, asked, limit, 1).taken if states else shared
                found.setdefault(taken._replace(notes=()), []).append(i)
        rows = []
        for taken, places in found.items():
            asked, states = dtypes[places[0]][2:]
            key = placement, plan.batched_tokens, plan.sequences, taken
            active, over = budget_stairs(model, placement, held, asked, None if states else taken, key)
            judged = fit.Fit(placement, held, plan, _MARK, 1, 0, 0.0, 0, "", "", taken=taken)
            commands = []
            for i, (_, said, asked, _) in enumerate(dtypes):
                text = ""
                if i in places:
                    chosen = fit.Plans(model, judged._replace(kv_dtype=said), (), ())
                    text = verdict.command(loaded, asked, chosen).replace(str(_MARK), "{}")
                commands.append(command(tuple(map(word, text.split(_FLAG)))))
            rows.append(
                [
                    placement.tp, placement.pp, placement.ep, placement.dp, held.bytes, active, over,
                    plan.sequences, several(tuple(dtypes[i][0] if i in places else -1 for i in range(len(dtypes)))),
                    several(tuple(commands)), stop,
                ]
            )  # fmt: skip
        return rows, reasons, fit.budget_of(model, placement, held, ask, limit, 1, shared).budget_bytes

    def tight(made: _Placed) -> bool:
        """Whether no placement leaves room at the longest context."""
        steps = stair.entries()
        rooms = (made.share - row[4] - height(steps[row[5]], limit) - height(steps[row[6]], limit) for row in made.rows)
        return all(room <= 0 for room in rooms)

    def placed(ask: fit.Ask, kernels: _Kernels) -> _Placed:
        """Every placement in the order of preference, and the same with fewer sequences, the most first."""
        model, device = models[kernels], ask.gpus.device
        rows: list[list[Any]] = []
        less: list[list[Any]] = []
        errors, refused, share = [""] * len(KV_DTYPES), "", 0
        for placement in sorted(fit.placements(model.architecture, ask), key=lambda p: fit.preference(p, device)):
            why = fit.cannot(model, placement, ask)
            if why:
                refused = refused or why
                continue
            made, reasons, share = rows_of(ask, kernels, placement)
            errors = [a or b for a, b in zip(errors, reasons, strict=True)]
            # Where the weights alone are too much, no number of sequences helps.
            light = bool(made) and made[0][4] < share
            for sequences in server(ENGINE).fewer_sequences if light else ():
                for row in rows_of(ask._replace(sequences=sequences), kernels, placement)[0]:
                    other = [row[8]] if row[8] != made[0][8] else []
                    less.append([len(rows), row[5], row[6], row[9], sequences, *other])
            rows += made
        less.sort(key=lambda row: -row[4])
        return _Placed(rows, less, errors, refused, share)

    def with_settings(ask: fit.Ask, kernels: _Kernels, least: int) -> Iterator[list[Any]]:
        """The placements with each of the engine's settings and with all of them, where the weights leave the defaults no room."""
        model = models[kernels]
        placement = min(fit.placements(model.architecture, ask), key=lambda p: fit.preference(p, ask.gpus.device))
        held = weights.get((kernels, placement))
        if held is None:
            return
        plan = fit.budget_of(model, placement, held, ask, limit, 1)
        settings = server(ENGINE).settings(ask, plan)
        shares = [
            plan.budget_bytes,
            *(int(plan.memory_bytes * s.values["utilization"]) for s in settings if "utilization" in s.values),
        ]
        for chosen in fit.ways_to_set(settings) if least < max(shares) else ():
            values = {name: value for setting in chosen for name, value in setting.values.items()}
            made = placed(ask._replace(**values), kernels)
            if made.rows and least < made.share:
                yield [made.share, made.rows, made.fewer]

    out: dict[str, Any] = {}
    failed: ArchcalcError | None = None
    quant = ""
    for device, counts in machines():
        kernels = _Kernels(device.vendor, device.compute)
        machine: dict[str, Any] = {"budget": 0, "counts": {}}
        for n in counts:
            ask = fit.Ask(GpuSpec(device, n), ENGINE, limit)
            made = _Placed([], [], [""] * len(KV_DTYPES), "", 0)
            settings: list[list[Any]] = []
            try:
                if kernels not in models:
                    models[kernels] = fit.candidate(architecture, ask)
                machine["quant"] = quant = models[kernels].quant
                made = placed(ask, kernels)
                machine["budget"] = made.share or machine["budget"]
                least = min((row[4] for row in made.rows), default=0)
                if least and tight(made):
                    settings = list(with_settings(ask, kernels, least))
            except ArchcalcError as error:
                failed = error
                made = made._replace(errors=[error.message] * len(KV_DTYPES))
            lists = several.entries()
            errors = list(made.errors)
            for i in range(len(KV_DTYPES)):
                errors[i] = "" if any(lists[r[8]][i] >= 0 for r in made.rows) else errors[i] or made.refused
            offers = hardware.offers(device.id, n)
            machine["counts"][n] = {
                "plans": made.rows, "fewer": made.fewer, "settings": settings, "errors": errors, "usd": offers[0][0] if offers else None,
                "instance": offers[0][2].id if offers else None,
            }  # fmt: skip
        out[device.id] = machine
    if failed is not None and not any(c["plans"] for m in out.values() for c in m["counts"].values()):
        raise failed
    return {
        "quant": quant, "limit": limit, "context": architecture.facts.context_tokens, "machines": out, "stairs": stair.entries(),
        "pools": pool.entries(), "commands": command.entries(), "words": word.entries(), "lists": several.entries(),
    }  # fmt: skip


def devices() -> list[dict[str, Any]]:
    """The machines of the page, for its form."""
    return [
        {
            "id": d.id, "name": d.name, "vendor": d.vendor, "memory": d.visible_bytes, "counts": counts,
        }
        for d, counts in machines()
    ]  # fmt: skip


class Line(NamedTuple):
    """One model's cache: bytes by tokens, as far as its own context goes."""

    name: str
    points: tuple[tuple[int, int], ...]


def lengths(models: Sequence[Loaded]) -> list[int]:
    """Powers of two up to the longest context of all, and each model's own."""
    own = [m.architecture.facts.context_tokens or UNSTATED_CONTEXT for m in models]
    first = 1 << max(7, min(10, min(own).bit_length() - 3))
    return sorted({*(1 << i for i in range(first.bit_length() - 1, max(own).bit_length()) if 1 << i <= max(own)), *own})


def caches(models: Sequence[Loaded], dtype: str) -> list[Line]:
    """The textbook cache of one sequence at those lengths."""
    shown, width = lengths(models), memory.DTYPE_BYTES[dtype]
    out = []
    for m in models:
        limit = m.architecture.facts.context_tokens or UNSTATED_CONTEXT
        points = [(n, sum(k.bytes for k in memory.textbook(m.architecture, n, 1, width))) for n in shown if n <= limit]
        out.append(Line(m.source.name, tuple(points)))
    return out
