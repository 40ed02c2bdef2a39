"""The fit of one model on every machine that a page offers, for any context and number of sequences, without the rules that made it.

Under vLLM a need is linear in the number of sequences: (blocks of a sequence x sequences + null block) x bytes of a block. Blocks,
like all else that depends on the context, are staircases, which are written down as runs of equal steps. So a page only multiplies,
adds and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from archcalc import hardware
from archcalc.analysis import fit, verdict
from archcalc.analysis.charts import Point, points
from archcalc.analysis.refusals import refuse_guess
from archcalc.analysis.speed.plan import USUAL, Wanted, element_bytes
from archcalc.analysis.speed.work import work
from archcalc.engines.budget import Budget
from archcalc.engines.engine import DEFAULT, server
from archcalc.engines.placement import Placement, RankWeights
from archcalc.engines.plan import Pooled, Taken
from archcalc.engines.plan import machines as of_machines
from archcalc.errors import ArchcalcError
from archcalc.figures import memory
from archcalc.hardware import Device, GpuSpec
from archcalc.loader import Loaded
from archcalc.records import NamedTuple

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
_NOTHING = Taken()


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
            # Where steps are wider than one, the one before ends just before this.
            return at <= last and of(at) == value + n * step and (width == 1 or of(at - 1) == value + (n - 1) * step)

        # Most rise evenly up to their last value, and stay there: that needs no search.
        steps = (of(last) - value) // step
        if steps < 1 or not all(map(regular, (*(1 << i for i in range(steps.bit_length())), steps))) or regular(steps + 1):
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
# Where a plan's own flags stand in a command that is written once for all of them.
_OWN_FLAGS = "--flags-of-the-plan"


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


class _Weighed(NamedTuple):
    """A model on GPUs of one kind of kernels. `number` is the same wherever it is kept in the same way; `stop` why it does not start."""

    model: fit.Candidate
    number: int
    stop: str


class _Pooled(NamedTuple):
    """A pool and its place; -1 and why for one that the engine refuses."""

    place: int
    said: str
    made: Pooled | None = None

    @property
    def states(self) -> bool:
        return self.made is not None and self.made.pool is not None and self.made.pool.states


class _Placed(NamedTuple):
    """Rows of placements, what differs with fewer sequences, why cache dtypes and placements are refused, and the engine's share."""

    rows: list[list[Any]]
    fewer: list[list[Any]]
    errors: list[str]
    refused: str
    share: int


RENTED = ("h100-sxm-80gb", "h200-sxm-141gb", "b200-180gb")
"""The devices whose forecasts a page draws, in the least number that holds the model and some requests."""


class Front(NamedTuple):
    """The plans of one machine that none of its others beats in both: tokens a second of a user as they decode, and output tokens of a GPU,
    of whole requests, with the 80 % around it."""

    name: str
    points: tuple[Point, ...]


def fronts(models: Sequence[Loaded]) -> tuple[list[Front], list[str]]:
    """For requests of usual lengths under the engine of the page: one model on each device, of several each on the first that holds it.
    What is not forecast, with the reason."""
    found: list[Front] = []
    lacking: list[str] = []
    for m in models:
        context = min(2 * USUAL, m.architecture.longest or 2 * USUAL)
        why = "no machine of eight GPUs holds it"
        drawn = False
        for name in RENTED:
            spec, said = _roomy(m, hardware.device(name), context)
            made: list[Point] = []
            if spec is not None:
                made, said = points(m, fit.Ask(spec, ENGINE, context), Wanted())
            if not made:
                why = said or why
                continue
            best: list[Point] = []
            for p in sorted(made, key=lambda p: (-p.user, -p.gpu)):
                if not best or p.gpu > best[-1].gpu:
                    best.append(p)
            assert spec is not None
            machine = f"{spec.count} x {name}"
            found.append(Front(f"{m.source.name}, {machine}" if len(models) > 1 else machine, tuple(best)))
            drawn = True
            if len(models) > 1:
                break
        if not drawn:
            lacking.append(f"{m.source.name}: {why}")
    return found, lacking


_ROOM = 64
"""Requests at once that a machine is to have room for before a smaller one is taken: a front of few of them says little."""


def _roomy(m: Loaded, device: Device, context: int) -> tuple[GpuSpec | None, str]:
    """The least number of a device that holds the model and requests enough, or eight that hold it; else None and why."""
    held, said = None, ""
    for count in (1, 2, 4, 8):
        try:
            best = fit.plans(m.architecture, fit.Ask(GpuSpec(device, count), ENGINE, context), alternatives=0).best
        except ArchcalcError as error:
            said = error.message
            continue
        if best.fits:
            held = GpuSpec(device, count)
            if best.max_concurrency >= _ROOM:
                break
    return held, said


def machines() -> Iterator[tuple[Device, list[int]]]:
    """The devices that the page offers, each with how many of it."""
    for name in DEVICES:
        device = hardware.device(name)
        most = 16 if device.category == "datacenter" else 2 if device.category == "edge" else 8
        yield device, [n for n in COUNTS if n <= most]


def _of_dtypes(ask: fit.Ask) -> list[fit.Ask]:
    """The question with each of the cache's dtypes, the default first."""
    return [ask._replace(kv_dtype=dtype) for dtype in KV_DTYPES]


class _Tables:
    """The tables of one model. What GPUs have in common is made once: they differ by their memory, and few by more."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.limit = loaded.architecture.facts.context_tokens or UNSTATED_CONTEXT
        self.stair, self.pool, self.command, self.word, self.several, self.work = (_Interned() for _ in range(6))
        self._models: dict[_Kernels, _Weighed] = {}
        self._weights: dict[tuple[int, Placement], RankWeights] = {}
        self._budgets: dict[tuple[Any, ...], Budget] = {}
        self._pools: dict[tuple[Any, ...], _Pooled] = {}
        self._alike: dict[tuple[Any, ...], tuple[int, Staircase]] = {}
        self._known: dict[tuple[Any, ...], int] = {}
        self._rows: dict[tuple[Any, ...], list[list[Any]]] = {}
        self._commands: dict[tuple[Any, ...], str] = {}
        self._kinds: dict[str, Any] = {}
        self._pool_kinds: dict[str, Any] = {}
        self._refused: dict[tuple[Any, ...], str] = {}
        self._read: dict[tuple[Any, ...], int] = {}

    def weighed(self, ask: fit.Ask) -> _Weighed:
        """The model on that GPU. Raises what the engine says of it."""
        device = ask.gpus.device
        kernels = _Kernels(device.vendor, device.compute)
        if kernels not in self._models:
            made = fit.candidate(self.loaded.architecture, ask)
            number = len(self._models)
            for other in self._models.values():
                if (made.quant, made.architecture, made.tensors) == (
                    other.model.quant,
                    other.model.architecture,
                    other.model.tensors,
                ):
                    number = other.number
            self._models[kernels] = _Weighed(made, number, fit.no_kernels(made, ask) or "")
        return self._models[kernels]

    def weights(self, at: _Weighed, placement: Placement, ask: fit.Ask) -> RankWeights:
        key = at.number, placement
        if key not in self._weights:
            self._weights[key] = server(ENGINE).weigh(at.model, placement, ask)
        return self._weights[key]

    def _kind(self, device: Device) -> Any:
        """What of a GPU decides activations and overhead, as a number."""
        if device.id not in self._kinds:
            shared = device.free_bytes is None or not server(ENGINE).reads_free
            kind = server(ENGINE).budget_kind(device, self.loaded.architecture, None) if shared else device
            self._kinds[device.id] = kind
        return self._kinds[device.id]

    def budget(self, at: _Weighed, placement: Placement, ask: fit.Ask, context: int, taken: Taken = _NOTHING) -> Budget:
        """As `fit.budget_of` says, out of that of another GPU of the kind."""
        device = ask.gpus.device
        key = (
            at.number, self._kind(device), placement, context, ask.utilization, ask.batched_tokens, taken.utilization, taken.sequences,
        )  # fmt: skip
        made = self._budgets.get(key)
        if made is None:
            held = self.weights(at, placement, ask)
            made = self._budgets[key] = fit.budget_of(at.model, placement, held, ask, context, 1, taken)
        memory = device.visible_bytes
        if made.memory_bytes == memory:
            return made
        share = int(memory * made.utilization)
        return made._replace(
            memory_bytes=memory,
            budget_bytes=share,
            kv_room_bytes=share - made.weights_bytes - made.activation_bytes - made.overhead_bytes,
        )

    def pooled(self, at: _Weighed, placement: Placement, ask: fit.Ask, plan: Budget) -> _Pooled:
        device = ask.gpus.device
        if device.id not in self._pool_kinds:
            self._pool_kinds[device.id] = server(ENGINE).pool_kind(device)
        key = (placement.tp, placement.pp, plan.batched_tokens, ask.kv_dtype, self._pool_kinds[device.id])
        of_one = *key, device.compute
        found = self._pools.get(key) or self._pools.get(of_one)
        if found is not None:
            return found
        try:
            made = server(ENGINE).pooled(at.model.architecture, placement, ask, plan)
        except ArchcalcError as error:
            # Words of a refusal may name the GPU.
            refused = self._pools[of_one] = _Pooled(-1, error.message)
            return refused
        shape: tuple[Any, ...] = (0, 0, None, (), made.dtype)
        if made.pool is not None:
            p = made.pool
            # Windows and blocks of other sizes part within these.
            probes = [min(n, self.limit) for n in (17, 257, 4097, self.limit // 2 + 1)]
            groups = tuple(self.stairs_of(group, "blocks", *map(group, probes)) for group in p.groups)
            shape = (p.block_bytes, p.null_blocks, p.tokens_per_block, groups, made.dtype)
        found = self._pools[key] = _Pooled(self.pool(shape), made.dtype, made)
        return found

    def stairs_of(self, of: Callable[[int], int], *key: Any) -> int:
        """Functions of one key that rise alike to both ends, and to where a short batch is as large as it gets, are taken for the same but
        for what one has more than the other."""
        first, *others = (of(min(context, self.limit)) for context in (1, 64, 1024, self.limit))
        key = (*key, *(other - first for other in others))
        if key not in self._alike:
            self._alike[key] = first, staircase(of, self.limit)
        start, stairs = self._alike[key]
        more = first - start
        return self.stair(tuple((at, value + more, width, step) for at, value, width, step in stairs) if more else stairs)

    def settled(self, at: _Weighed, placement: Placement, ask: fit.Ask, context: int) -> fit.Settled:
        """What a placement leaves where each sequence needs a block of state, of which there may be too few."""

        def budgets(
            _model: Any, _place: Any, _held: Any, asked: fit.Ask, tokens: int, _sequences: int, taken: Taken = _NOTHING
        ) -> Budget:
            return self.budget(at, placement, asked, tokens, taken)

        # Of the pool only the bytes of a block are asked, which do not depend on the tokens of a step.
        pool = self.pooled(at, placement, ask, self.budget(at, placement, ask, self.limit)).made

        def pools(*_of: Any) -> Pooled:
            assert pool is not None
            return pool

        held = self.weights(at, placement, ask)
        return fit.settle(at.model, placement, held, ask, context, 1, budgets=budgets, pools=pools)

    def budget_stairs(
        self, at: _Weighed, placement: Placement, ask: fit.Ask, taken: Taken | None, key: tuple[Any, ...]
    ) -> tuple[int, int]:
        """Activations and overhead over the context, with what the plan takes; None where that depends on the context."""

        @cache
        def budget(context: int) -> Budget:
            if taken is None:
                return self.settled(at, placement, ask, context).budget
            return self.budget(at, placement, ask, context, taken)

        # The widest layer of all stages counts for every one, and what is captured of a stage does not depend on how a layer is split.
        one_stage, stages = placement._replace(pp=1), placement.pp
        kind = self._kind(ask.gpus.device) if taken is not None else None

        def found(name: str, of: Callable[[int], int], *of_place: Any) -> int:
            """Once for all placements that the rule does not part, on GPUs of one kind."""
            known = kind, name, of_place, key, *(() if name == "activation" else (placement.tp,))
            if kind is None or known not in self._known:
                self._known[known] = self.stairs_of(of, name, *of_place, *key)
            return self._known[known]

        active = found("activation", lambda context: budget(context).activation_bytes, one_stage)
        return active, found("overhead", lambda context: budget(context).overhead_bytes, stages)

    def command_of(self, at: _Weighed, placement: Placement, ask: fit.Ask, dtype: str, taken: Taken, plan: Budget) -> int:
        """The place of the command, `{}` for the context. It is written once for all that a plan may set."""
        key = placement, ask.kv_dtype, dtype, ask.utilization, ask.batched_tokens, at.model.quant, of_machines(ask.gpus)
        text = self._commands.get(key)
        if text is None:
            held = self.weights(at, placement, ask)
            judged = fit.Fit(placement, held, plan, _MARK, 1, 0, 0.0, 0, dtype, "", taken=Taken(flags=(_OWN_FLAGS,)))
            text = verdict.command(self.loaded, ask, fit.Plans(at.model, judged, (), ())).replace(str(_MARK), "{}")
            self._commands[key] = text
        own = " ".join(taken.flags)
        text = text.replace(_OWN_FLAGS, own) if own else text.replace(f" {_OWN_FLAGS}", "")
        return self.command(tuple(map(self.word, text.split(_FLAG))))

    def read(self, at: _Weighed, placement: Placement, ask: fit.Ask, dtype: str) -> int:
        """The place of what a step reads at least: of the weights, of a sequence's state, and of its cache `[bytes, window, compress]`
        for each kind of layer. -1 for a model that does not decode."""
        whole = placement._replace(pp=1)
        key = at.number, whole, element_bytes(dtype)
        if key not in self._read:
            made = work(at.model.architecture, self.weights(at, whole, ask).components, whole, element_bytes(dtype))
            bare = made.floor_bytes(0, 0, 0)
            place = self.work((bare, 2 * made.state_bytes, made.reads)) if made.decodes and bare else -1
            self._read[key] = place
        return self._read[key]

    def rows_of(self, asks: Sequence[fit.Ask], placement: Placement) -> tuple[list[list[Any]], list[str], int]:
        """A row for all cache dtypes that the plan takes the same flags for; why others are refused; the engine's share of the memory.
        `asks` are a question with each of the dtypes."""
        ask = asks[0]
        at = self.weighed(ask)
        plan = self.budget(at, placement, ask, self.limit)
        start, shared = server(ENGINE).settles(ask, placement, plan, 1)
        if ask.sequences is not None and shared.sequences is None:
            return [], [], 0
        shared = shared._replace(notes=())
        stop = at.stop or start.limit or ""
        pools = [self.pooled(at, placement, asked, plan) for asked in asks]
        reasons = ["" if p.place >= 0 else p.said for p in pools]
        share = self.budget(at, placement, ask, self.limit, shared).budget_bytes
        places = tuple(p.place for p in pools)
        key = (
            at.number, stop, self._kind(ask.gpus.device), of_machines(ask.gpus), placement, ask.utilization, ask.batched_tokens, shared,
            places,
        )  # fmt: skip
        states = any(p.states for p in pools)
        if states or key not in self._rows:
            self._rows[key] = list(self._made_rows(at, placement, asks, pools, plan, shared, stop))
        return self._rows[key], reasons, share

    def _made_rows(
        self,
        at: _Weighed,
        placement: Placement,
        asks: Sequence[fit.Ask],
        pools: Sequence[_Pooled],
        plan: Budget,
        shared: Taken,
        stop: str,
    ) -> Iterator[list[Any]]:
        found: dict[Taken, list[int]] = {}
        for i, (asked, pool) in enumerate(zip(asks, pools, strict=True)):
            if pool.place >= 0:
                taken = self.settled(at, placement, asked, self.limit).taken if pool.states else shared
                found.setdefault(taken._replace(notes=()), []).append(i)
        held = self.weights(at, placement, asks[0])
        for taken, places in found.items():
            key: tuple[Any, ...] = at.number, plan.batched_tokens, plan.sequences, taken.sequences
            first = places[0]
            always: Taken | None = taken
            told = taken
            if pools[first].states and self.settled(at, placement, asks[first], 1).taken._replace(notes=()) != taken:
                # What the room leaves to a context decides how many sequences there are: it shrinks as the context grows.
                key, always = (*key, placement, plan.budget_bytes, pools[first].place), None
                told = self._by_context(at, placement, asks[first], taken, key)
            active, over = self.budget_stairs(at, placement, asks[first], always, key)
            nothing = self.command(())
            commands = [
                self.command_of(at, placement, asks[i], pools[i].said, told, plan) if i in places else nothing
                for i in range(len(pools))
            ]
            cells = tuple(p.place if i in places else -1 for i, p in enumerate(pools))
            read = {dtype: self.read(at, placement, asks[0], dtype) for dtype in dict.fromkeys(pools[i].said for i in places)}
            reads = tuple(read[p.said] if i in places else -1 for i, p in enumerate(pools))
            yield [
                placement.tp, placement.pp, placement.ep, placement.dp, held.bytes, active, over,
                self._most(pools[first], plan, taken), self.several(cells), self.several(tuple(commands)), stop,
                self.several(reads),
            ]  # fmt: skip

    def _by_context(self, at: _Weighed, placement: Placement, ask: fit.Ask, taken: Taken, key: tuple[Any, ...]) -> Taken:
        """With the staircase of the sequences in place of their number in the flags; 0 is where the flag is not needed."""
        place = self.stairs_of(lambda context: self.settled(at, placement, ask, context).taken.sequences or 0, "sequences", *key)
        number = f" {taken.sequences}"
        return taken._replace(
            flags=tuple(f"{f.removesuffix(number)} {{{place}}}" if f.endswith(number) else f for f in taken.flags)
        )

    @staticmethod
    def _most(pool: _Pooled, plan: Budget, taken: Taken) -> int:
        """How many sequences the plan is for: where each is one block of state, `archcalc fit` plans as many as are asked for."""
        alone = pool.made is not None and pool.made.pool is not None and pool.made.pool.lasting
        return taken.sequences or plan.sequences if alone else plan.sequences

    def tight(self, made: _Placed) -> bool:
        """Whether no placement leaves room at the longest context."""
        steps = self.stair.entries()
        rooms = (made.share - row[4] - height(steps[row[5]], self.limit) - height(steps[row[6]], self.limit) for row in made.rows)
        return all(room <= 0 for room in rooms)

    def placements(self, ask: fit.Ask) -> _Placed:
        """Every placement in the order of preference, and the same with fewer sequences, the most first."""
        at, device = self.weighed(ask), ask.gpus.device
        asks = _of_dtypes(ask)
        smaller = [(n, _of_dtypes(ask._replace(sequences=n))) for n in server(ENGINE).fewer_sequences]
        rows: list[list[Any]] = []
        less: list[list[Any]] = []
        errors, refused, share = [""] * len(KV_DTYPES), "", 0
        for placement in sorted(fit.placements(at.model.architecture, ask), key=lambda p: fit.preference(p, device)):
            # What an engine can split depends on the GPU's kernels too, where weights are alike.
            key = device.vendor, device.compute, of_machines(ask.gpus), placement
            if key not in self._refused:
                self._refused[key] = fit.cannot(at.model, placement, ask)
            if why := self._refused[key]:
                refused = refused or why
                continue
            made, reasons, share = self.rows_of(asks, placement)
            errors = [a or b for a, b in zip(errors, reasons, strict=True)]
            # Where the weights alone are too much, no number of sequences helps.
            light = bool(made) and made[0][4] < share
            for sequences, fewer in smaller if light else ():
                for row in self.rows_of(fewer, placement)[0]:
                    other = [row[8]] if row[8] != made[0][8] else []
                    less.append([len(rows), row[5], row[6], row[9], sequences, *other])
            rows += made
        less.sort(key=lambda row: -row[4])
        return _Placed(rows, less, errors, refused, share)

    def with_settings(self, ask: fit.Ask, least: int) -> Iterator[list[Any]]:
        """The placements with each of the engine's settings and with all of them, where the weights leave the defaults no room."""
        at = self.weighed(ask)
        placement = min(fit.placements(at.model.architecture, ask), key=lambda p: fit.preference(p, ask.gpus.device))
        if (at.number, placement) not in self._weights:
            return
        plan = self.budget(at, placement, ask, self.limit)
        settings = server(ENGINE).settings(ask, plan)
        shares = [
            plan.budget_bytes,
            *(int(plan.memory_bytes * s.values["utilization"]) for s in settings if "utilization" in s.values),
        ]
        for chosen in fit.ways_to_set(settings) if least < max(shares) else ():
            values = {name: value for setting in chosen for name, value in setting.values.items()}
            made = self.placements(ask._replace(**values))
            if made.rows and least < made.share:
                yield [made.share, made.rows, made.fewer]

    def machine(self, ask: fit.Ask) -> tuple[_Placed, list[list[Any]]]:
        """The placements on one machine, and those with settings."""
        made = self.placements(ask)
        least = min((row[4] for row in made.rows), default=0)
        return made, list(self.with_settings(ask, least)) if least and self.tight(made) else []


_LISTS = ("stairs", "pools", "commands", "words", "lists", "works")


def opening(loaded: Loaded) -> dict[str, Any]:
    """The tables of a model, as plain data, without a machine yet. Raises what `archcalc fit` raises for the model on any machine.

    `copies` is whether replicas of the attention may be taken for the sequences that they hold (`fit.copies_cache`). `stairs` are the
    staircases over the context that others name by place. `pools` are `[block bytes, null blocks, tokens per block, [stairs of blocks],
    dtype]`, `works` what a step reads at least (`_Tables.read`). `machines` holds for each device and count the placements in the order
    of preference, as `[tp, pp, ep, dp, weights bytes, activation stair, overhead stair, sequences, pool of each dtype, command of each
    dtype, what stops the start, work of each dtype]`, and `fewer` what differs where fewer sequences than by default are taken, the most
    first: `[place of the placement, activation stair, overhead stair, command of each dtype, sequences, pool of each dtype where it
    differs]`. `settings` are `[the engine's share, plans, fewer]` with each of its settings, to be looked at where the best plan leaves
    no room. Pools, commands and works of each dtype are places in `lists`, of places; a pool of -1 is one that the engine refuses, and
    `errors` say why where no placement is left. `commands` are places in `words`, which `--` joins: `{}` in one is the context, `{12}`
    what that staircase says of it, 0 a word that is left out.
    """
    refuse_guess(loaded.architecture)
    context = loaded.architecture.facts.context_tokens
    copies = fit.copies_cache(loaded.architecture)
    return {
        "limit": context or UNSTATED_CONTEXT,
        "context": context,
        "copies": copies,
        "machines": {},
        **{name: [] for name in _LISTS},
    }


def pieces(loaded: Loaded) -> Iterator[tuple[str, dict[str, Any]]]:
    """The machines of a device, one device after the other, each with the entries of the lists that are new with it."""
    made_of = _Tables(loaded)
    interned = (made_of.stair, made_of.pool, made_of.command, made_of.word, made_of.several, made_of.work)
    told = [0] * len(interned)
    for device, counts in machines():
        piece: dict[str, Any] = {"machine": _machine(made_of, device, counts)}
        for i, (name, known) in enumerate(zip(_LISTS, interned, strict=True)):
            piece[name] = known.entries()[told[i] :]
            told[i] += len(piece[name])
        yield device.id, piece


def _machine(made_of: _Tables, device: Device, counts: Sequence[int]) -> dict[str, Any]:
    machine: dict[str, Any] = {"budget": 0, "quant": "", "refused": "", "counts": {}}
    for n in counts:
        ask = fit.Ask(GpuSpec(device, n), ENGINE, made_of.limit)
        made = _Placed([], [], [""] * len(KV_DTYPES), "", 0)
        settings: list[list[Any]] = []
        try:
            at = made_of.weighed(ask)
            machine["quant"], machine["refused"] = at.model.quant, at.stop
            made, settings = made_of.machine(ask)
            machine["budget"] = made.share or machine["budget"]
        except ArchcalcError as error:
            made = made._replace(errors=[error.message] * len(KV_DTYPES))
        lists = made_of.several.entries()
        errors = list(made.errors)
        for i in range(len(KV_DTYPES)):
            errors[i] = "" if any(lists[r[8]][i] >= 0 for r in made.rows) else errors[i] or made.refused
        offers = hardware.offers(device.id, n)
        machine["counts"][n] = {
            "plans": made.rows, "fewer": made.fewer, "settings": settings, "errors": errors, "usd": offers[0][0] if offers else None,
            "instance": offers[0][2].id if offers else None, "instances": offers[0][1] if offers else 0,
        }  # fmt: skip
    return machine


def devices() -> list[dict[str, Any]]:
    """The machines of the page, for its form."""
    return [
        {
            "id": d.id, "name": d.name, "vendor": d.vendor, "memory": d.visible_bytes, "counts": counts,
            "bandwidth": d.bandwidth_bytes_per_s, "each": d.per_machine,
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
