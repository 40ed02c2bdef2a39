"""What every engine answers, and the registry of engines: each has a folder, which is imported when it is asked for, and not before.

An `Engine` has a rule for caches, and no more is asked of the textbook. A `Server` is one that people run: it holds weights, takes a
budget, limits placements, and is started by a command. What is asked anywhere of an engine is asked of one of these objects; nothing
outside this package compares an engine's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from archcalc.errors import UnsupportedError, UsageError
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from archcalc.commands.flags import Read
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.engines.asked import Asked
    from archcalc.engines.budget import Budget, Serving
    from archcalc.engines.placement import Placement, RankWeights
    from archcalc.engines.plan import Ask, Candidate, Command, Fit, Length, Named, Pooled, Setting, Start, Taken
    from archcalc.engines.weights import Keep, WeightOptions
    from archcalc.hardware import Device
    from archcalc.model import Architecture


class Registered(NamedTuple):
    """The module that holds `ENGINE`, whether it is a `Server`, the vendors whose devices it is chosen for, and the memory below which a
    card of one's own is one of those."""

    module: str
    serves: bool = True
    chosen_on: tuple[str, ...] = ()
    chosen_below: int = 0


REGISTRY: dict[str, Registered] = {
    "textbook": Registered("archcalc.engines.textbook", serves=False),
    "vllm": Registered("archcalc.engines.vllm"),
    "sglang": Registered("archcalc.engines.sglang"),
    "llama.cpp": Registered("archcalc.engines.llamacpp", chosen_on=("apple",), chosen_below=20 << 30),
    "transformers": Registered("archcalc.engines.transformers"),
    "mlx": Registered("archcalc.engines.mlx"),
}
"""Every engine, in the order printed."""
TEXTBOOK, DEFAULT, LOCAL = "textbook", "vllm", "llama.cpp"
"""The engine of figures that no engine was named for, the one that serves where none was, and the one that runs whatever has a GGUF file
on a machine of one's own."""
SYSTEM_LEAST = 2 << 30
"""What the system of a machine with shared memory is left at least where more of it is given to a model: a floor of ours, no advice."""


OLD_GPU = 7.5
"""The compute capability below which an NVIDIA GPU has no code in the published builds of the default engine (`vllm.start.BUILT`)."""


def names() -> tuple[str, ...]:
    return tuple(REGISTRY)


def servers() -> tuple[str, ...]:
    """The engines that serve."""
    return tuple(name for name, entry in REGISTRY.items() if entry.serves)


RUNS_ON = {
    **dict.fromkeys(("ollama", "lmstudio", "jan", "koboldcpp", "llamafile", "llamaserver", "llamacpp", "gguf"), "llama.cpp"),
    **dict.fromkeys(("mlxlm", "omlx"), "mlx"),
    **dict.fromkeys(("hf", "huggingface"), "transformers"),
}
"""Programs that people name in place of the engine below them."""


def check_engine(name: str, among: Sequence[str] | None = None) -> str:
    """The name of an engine that there is, in letters of any case. Raises `UsageError` for another."""
    among = names() if among is None else among
    if name.lower() in among:
        return name.lower()
    if name not in among:
        runs = RUNS_ON.get(name.lower().replace(" ", "").replace("-", "").replace("_", ""))
        if "," in name and all(part.strip() in among for part in name.split(",")):
            raise UsageError(f"--engine {name}: one engine is asked at a time", "`archcalc sweep` sets several side by side")
        of = f"{name} runs on {runs}: --engine {runs}; there " if runs in among else ""
        raise UsageError(f"--engine {name}: no such engine", f"{of}are {', '.join(among)}" if of else f"one of {', '.join(among)}")
    return name


def engine(name: str) -> Engine:
    """The engine of that name. Raises `UsageError` where there is none."""
    found: Engine = import_module(REGISTRY[check_engine(name)].module).ENGINE
    return found


@lru_cache
def server(name: str) -> Server:
    """The engine of that name, which serves. Raises `UsageError` where there is none."""
    found = engine(check_engine(name, servers()))
    assert isinstance(found, Server)
    return found


def chosen_for(device: Device) -> str:
    """The engine where none is named."""
    if device.vendor == "nvidia" and device.compute and float(device.compute) < OLD_GPU:
        return LOCAL
    own = device.category in ("consumer", "laptop", "edge", "custom")
    return next(
        (name for name, e in REGISTRY.items() if device.vendor in e.chosen_on or (own and device.visible_bytes < e.chosen_below)),
        DEFAULT,
    )


def unknown(engine: str, what: str, kind: NoReturn) -> NoReturn:
    """Raises `UnsupportedError` for a kind that an engine has no rule for. A type checker accepts the call only where no kind is left."""
    raise UnsupportedError(f"{engine} has no rule for {what} {kind!r}", "try another --engine")


class Engine(ABC):
    """How caches are allocated.

    `name` is the registry's, `title` what people write.
    `options` are those of `archcalc kv`, each with its name in the engine's own record. `kinds` and `recurrences` are the caches that
    there is a rule for: any other is refused by its name, and never counted as one of these. `absent` are recurrences that the engine is
    known to have no code for. `reports_tokens` says that it prints at its start how many tokens its cache holds.
    """

    required: ClassVar[tuple[str, ...]] = ("name", "title", "kinds", "recurrences")
    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}
    kinds: ClassVar[frozenset[str]]
    recurrences: ClassVar[frozenset[str]]
    absent: ClassVar[frozenset[str]] = frozenset()
    reports_tokens: ClassVar[bool] = True

    def __init__(self) -> None:
        """Raises `TypeError` that names what an engine leaves unsaid, as for a method that it leaves out."""
        lacks = [name for name in self.required if not hasattr(self, name)]
        if lacks:
            raise TypeError(f"engine {type(self).__name__} states no {', '.join(lacks)}")

    @abstractmethod
    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        """The cache of a workload on one GPU, with the engine's own options by the names of its record.

        Raises `UnsupportedError` for a model, and `UsageError` for options that the engine refuses."""

    def allocate(
        self,
        architecture: Architecture,
        work: Workload,
        options: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Allocation:
        """The cache of a workload, once all its kinds are known to the engine. Options of other engines are passed over. `settings` are
        a command's, by the names of the engine's record, which options overrule."""
        own = dict(settings or {})
        own |= {self.options[name]: value for name, value in (options or {}).items() if name in self.options}
        version = (options or {}).get("engine_version") or (settings or {}).get("version")
        notes = self.check(architecture, version, planned=True)
        self.limits(architecture, work, own)
        made = self.cache(architecture, work, own)
        return made._replace(notes=(*made.notes, *notes)) if notes else made

    def limits(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> None:
        """Raises `UsageError` for what the engine refuses to start with, though its cache could be counted."""
        return

    def check(self, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
        """What is worth telling of how the release serves a model. Raises `UnsupportedError` for one whose caches the engine has no rule
        for, or that the release does not serve; where its cache is only `planned`, a class that a later release brought is told of."""
        for stack in architecture.stacks:
            if stack.part != "decoder":
                continue
            for layer in stack.kinds:
                for cache in layer.caches:
                    if cache.kind not in self.kinds:
                        raise UnsupportedError(
                            f"{self.title} has no rule for caches of kind {cache.kind!r}", "try another --engine"
                        )
                    if cache.recurrence in self.absent:
                        raise UnsupportedError(f"{self.title} has no {cache.recurrence} layers", "try --engine transformers")
                    if cache.recurrence not in self.recurrences:
                        raise UnsupportedError(f"{self.title} has no rule for {cache.recurrence} layers", "try another --engine")
        return (*self.released(version), *self.serves(architecture, version, planned=planned))

    def released(self, version: str | None) -> tuple[str, ...]:
        """What to say of a version that no rule was read for. Raises `UsageError` for what is no version, and for one that is too old."""
        from archcalc.engines._version import released

        first, newest = self.span()
        return released(self.title, version, first, newest) if first else ()

    def span(self) -> tuple[str, str]:
        """The first and the newest release whose source was read; empty where the engine has rules of one version alone."""
        return "", ""

    def serves(self, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
        """The same of the release's own registry alone."""
        return ()


_MEASURED_CACHES = frozenset("auto bf16 bfloat16 fp16 float16 fp32 fp8 fp8_e4m3 fp8_e5m2 fp8_ds_mla".split())


class Server(Engine):
    """An engine that people run.

    Weights and placements. `axes` are the kinds of parallelism that it has, by `Placement`'s names, and every other is refused; with `pp`
    alone it is `layered`: it gives each GPU whole layers, and splits none. `by_layers`: the caches lie with them, so that
    another GPU is the fullest at another length. `dense_over_replicas`: where attention is in data parallelism, what is neither attention
    nor expert is split over all ranks, not over those of a replica.
    `torch`: PyTorch's allocator rounds what tensors take. `keeps_rotary`: a table of cosines and sines is on every GPU. `towers`
    for images and audio are loaded with the rest. `longer`: a context beyond the model's own is no
    error. `one_file`: a model is one GGUF file.
    `stages_first`: machines take all stages of a replica before the next replica.
    `one_share`: the share of a GPU's memory that it takes is that of its settings, whatever the placement.
    `whole_blocks`: tensor parallelism leaves the blocks of a quantization whole. `even_vocabulary`: it divides the padded vocabulary.

    Plans. `takes` are the options of `archcalc fit` that not every engine has. `reads_free`: it looks at the memory that is free, where CPU
    and GPU share it, and takes no share of all. `runs_alone`: one run of as many sequences as are asked for, and no batch of its own size.
    `fewer_sequences`: what is tried for the sequences at once where the default leaves too little, the most first.

    Hosts. `spreads` are the flags with which a process that takes all the GPUs it sees runs on other hosts' too.

    Speed. `graph_flags` are those that say what is captured as graphs.

    Remedies. `leaves_by` is what leaves weights in the CPU's memory, `context_flag` is what names the context, `smaller_caches` are
    dtypes to try, `ladder` quantizations, from the gentlest to the most aggressive.
    """

    required = (*Engine.required, "axes")
    axes: ClassVar[frozenset[str]]
    by_layers: ClassVar[bool] = False
    dense_over_replicas: ClassVar[bool] = False
    torch: ClassVar[bool] = True
    keeps_rotary: ClassVar[bool] = False
    one_share: ClassVar[bool] = False
    stages_first: ClassVar[bool] = False
    whole_blocks: ClassVar[bool] = False
    even_vocabulary: ClassVar[bool] = False
    takes: ClassVar[frozenset[str]] = frozenset()
    reads_free: ClassVar[bool] = True
    runs_alone: ClassVar[bool] = False
    fewer_sequences: ClassVar[tuple[int, ...]] = ()
    graph_flags: ClassVar[tuple[str, ...]] = ()
    spreads: ClassVar[frozenset[str]] = frozenset()
    context_flag: ClassVar[str] = ""
    smaller_caches: ClassVar[tuple[str, ...]] = ()
    ladder: ClassVar[tuple[str, ...]] = ()
    towers: ClassVar[bool] = True
    one_file: ClassVar[bool] = False
    longer: ClassVar[bool] = False
    leaves_by: ClassVar[str] = ""

    @property
    def layered(self) -> bool:
        return self.axes == {"pp"}

    def length(self, architecture: Architecture, version: str | None, own: Any) -> Length:
        """How long sequences are where a command names no length, and at most. `own` are the settings of a command, None without one."""
        from archcalc.engines.plan import Length

        tokens = architecture.facts.context_tokens
        return Length(tokens, None if self.longer and own is not None else architecture.longest)

    # Weights

    @abstractmethod
    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        """The model as the engine holds it, quantized as asked or as it is stored, and what that storage is called.

        Raises `UsageError` for a storage that it never holds."""

    @abstractmethod
    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        """How tensors are kept after loading."""

    def rotary_bytes(self, architecture: Architecture, size: int) -> int:
        """Cosines and sines of all positions on every GPU, in `size` bytes an element where the engine has no type of its own for them."""
        return sum(positions * width * size for positions, width in architecture.rotary) if self.keeps_rotary else 0

    def storages(self, architecture: Architecture) -> tuple[str | None, ...]:
        """The storages that the model may be held in beside the one that is published, the gentlest first: None is what the engine makes of
        that by itself. A quantized checkpoint is not quantized anew, where no file is made of it."""
        return self.ladder if self.one_file or not architecture.quantization else ()

    def converts_to(self, architecture: Architecture, quant: str | None) -> str | None:
        """The dtype that weights are converted to where the engine's own choice is overruled."""
        return None

    @abstractmethod
    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        """The words of a command with which weights are quantized as they load; None where a checkpoint stored so is needed."""

    def dtype_words(self, dtype: str) -> tuple[str, ...]:
        """The words of a command that say what floats are loaded as, by PyTorch's name."""
        return ("--dtype", dtype)

    def converts(self, method: str) -> bool:
        """Whether what is loaded is made of checkpoints of that method, where it is made of them at all."""
        return True

    def plugin(self, version: str | None, method: str) -> str:
        """What has to be installed for a checkpoint of that method, in words; empty where nothing has."""
        return ""

    def lacks_kernels(self, version: str | None, method: str, capability: tuple[int, int] | None) -> str | None:
        """Why weights stored so do not run in that release on that GPU; None where they do, or where it is not known."""
        return None

    def lacks_format(self, version: str | None, quantization: Mapping[str, Any], *, experts: bool = False) -> str | None:
        """Why that release loads no weights that a config describes so, of a model with routed `experts` or without; None where it does,
        or where it is not known."""
        return None

    def lowers_context(self, ask: Ask) -> bool:
        """Whether a command leaves the length to the engine, which takes the longest that it has memory for."""
        return False

    def fitted(self, model: Candidate, ask: Ask) -> Ask:
        """The question with what the engine itself sets to fit the memory where a command leaves it open; the same where nothing."""
        return ask

    def lacks_start(self, ask: Ask, model: Candidate) -> str | Start | None:
        """Why flags or a dtype stop the start with this checkpoint on this GPU, whatever the memory, with the flag that lifts
        that where one does; None where they do not.

        Raises `UnsupportedError` for flags whose effect is not known."""
        return None

    def lacks_cache_kernels(self, version: str | None, dtype: str, capability: tuple[int, int] | None) -> str | None:
        """The same of a cache kept so."""
        return None

    def asked(self, read: Read) -> Asked:
        """What a command of the engine asks for, its flags read. Raises `UsageError` where the engine would refuse it."""
        raise UnsupportedError(f"fit reads no commands of {self.title}", "give its options as archcalc's own: archcalc fit --help")

    def check_command(self, program: str, version: str | None) -> None:
        """Raises `UsageError` for a version of the engine, or of a program of its rules, whose commands are not known."""
        self.released(version)

    def resolved(self, architecture: Architecture, asked: Asked) -> Asked:
        """A command with what its engine makes of it for this model."""
        return asked

    def cache_settings(self, architecture: Architecture, asked: Asked, sequences: int) -> Mapping[str, Any]:
        """What a command says of caches alone, by the names of the engine's record of their options."""
        return {}

    def weight_options(self, own: Any) -> dict[str, Any]:
        """What a command's settings say of the weights that are loaded, as fields of `weights.WeightOptions`."""
        return {}

    def weigh(self, model: Candidate, placement: Placement, ask: Ask) -> RankWeights:
        """What weights take on the fullest GPU."""
        from archcalc.engines.placement import rank_weights

        return rank_weights(model.architecture, placement, model.options, model.tensors)

    def finest_block(self, version: str | None, device: Device | None = None) -> int:
        """The smallest blocks that scales of FP8 experts are refined to where their own do not divide among ranks, 0 where none are, on a
        GPU or, without one, on a current one of NVIDIA's."""
        return 0

    def loads_whole(self, version: str | None, quant: str) -> bool:
        """Whether all weights lie on the GPU as they are stored before any is quantized so (`quant.canonical`)."""
        return False

    def ram(self, ask: Ask, placement: Placement, weights: RankWeights, budget: Budget) -> int:
        """What one machine's CPU keeps of weights and cache, in bytes."""
        return weights.cpu_bytes

    def ram_of_cache(self, architecture: Architecture, ask: Ask, context: int, sequences: int) -> int:
        """What one machine's CPU keeps of the cache, in bytes."""
        return 0

    # Placements

    def runs_on(self, device: Device) -> str:
        """Why the engine does not run on a device; empty where it does."""
        return ""

    def spans(self, layers: int, stages: int) -> tuple[tuple[int, int], ...]:
        """The first layer of each pipeline stage, and the one after its last."""
        from archcalc.engines.placement import evenly

        return evenly(layers, stages)

    def unstaged(self, architecture: Architecture, version: str | None) -> str:
        """Why a release runs no pipeline stages of a model; empty where it does, or nobody knows."""
        return ""

    def spreads_experts(self, placement: Placement, experts: int) -> str:
        """Why so many experts cannot be spread so; empty where they can."""
        return ""

    def over_machines(self, placement: Placement, machines: int, moe: bool) -> str:
        """Why the engine does not start so on several machines, `moe` true of a model with routed experts; empty where it does."""
        return ""

    def hosted(self, ask: Ask, model: Candidate, placement: Placement) -> tuple[Start | None, tuple[str, ...]]:
        """Why a command's ranks do not find their GPUs on the hosts it names, None where they do; and what to do on those."""
        return None, ()

    def cannot_divide(self, ask: Ask, model: Candidate, placement: Placement) -> str:
        """Why towers or recurrent layers of the model cannot be placed so, in this release and with these flags; empty where they can."""
        return ""

    def counting(self, tp: int, pp: int | None, dp: int, gpus: int) -> str:
        """What to say where the engine's own options count ranks in another way, and these were meant so; empty where not."""
        return ""

    # Memory

    @abstractmethod
    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        """What is left of one GPU's memory for the cache, term by term."""

    @abstractmethod
    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        """What sequences take of the fullest GPU, and what a room holds."""

    def budget_kind(self, device: Device, architecture: Architecture, version: str | None) -> Hashable:
        """All of a GPU that activations and overhead depend on: GPUs alike in this differ by the share of their memory alone."""
        return device

    def pool_kind(self, device: Device) -> Hashable:
        """All of a GPU that a pool depends on, beside the budget it is of and the words of a refusal."""
        return device

    # The start

    def settles(self, ask: Ask, placement: Placement, budget: Budget, sequences: int) -> tuple[Start, Taken]:
        """What limits the start before the cache is allocated, and what the plan sets for it. `sequences` are those of a replica."""
        from archcalc.engines.plan import Start, Taken

        return Start(), Taken()

    def fits_pool(self, ask: Ask, budget: Budget, pooled: Pooled, sequences: int, taken: Taken) -> Taken:
        """What the plan sets beside that once the pool is known."""
        return taken

    def divides(
        self, ask: Ask, placement: Placement, pooled: Pooled, room: int, context: int, sequences: int, taken: Taken
    ) -> tuple[Pooled, Taken]:
        """The pool divided for these sequences, and what the plan sets for that, where the room holds them and the engine's own division
        does not."""
        return pooled, taken

    @abstractmethod
    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        """Whether the engine starts with that room, of which a pool holds `tokens`, and what that means where it starts although too
        little is there."""

    # Requests

    def at_once(self, ask: Ask, fit: Fit, tokens: int) -> tuple[int, str] | None:
        """How many requests of so many tokens run at once at most, of all replicas, and what says so: the others wait. None where only the
        memory limits them."""
        return None

    def captured(self, ask: Ask, fit: Fit) -> int | None:
        """The largest batch of a replica whose step is captured as one graph, 0 where none is; None where the engine has no such graphs."""
        return None

    def unmeasured(self, ask: Ask, fit: Fit) -> str:
        """What of a step runs by other kernels than those that were measured, and why; empty where none does.

        The published runs of servers had caches of 16 bits and of FP8 (InferenceX 843c625, benchmarks/single_node/).
        """
        return "" if fit.kv_dtype in _MEASURED_CACHES else f"attention over a cache in {fit.kv_dtype}"

    def pieces(self, ask: Ask) -> bool:
        """Whether steps are captured in pieces alone, between which attention's kernels are started one by one."""
        return False

    # The command

    @abstractmethod
    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        """What starts the plan, its choices as the engine's own flags."""

    # What to change, and what to know

    def settings(self, ask: Ask, budget: Budget) -> Sequence[Setting]:
        """Settings of the engine that leave more to the cache."""
        return ()

    def spills(self, model: Candidate, ask: Ask, fit: Fit) -> Sequence[tuple[str, str]]:
        """How a model that does not fit runs with a part of it in the CPU's memory: in words, and the options; the best way first."""
        return ()

    def offloaded(self, ask: Ask, layers: int) -> tuple[int | None, int]:
        """How many layers are on the GPUs, the head counting as one, None for all; and how many lack their experts there."""
        return None, 0

    def beyond(self, ask: Ask) -> str:
        """What the engine does by itself with what the GPUs do not hold, where that lets it start; else empty."""
        return ""

    def notes(self, ask: Ask, model: Candidate, stored: Mapping[str, Any] | None) -> Iterator[str]:
        """What qualifies a plan of this engine; `stored` is the quantization that the checkpoint states."""
        return iter(())
