"""vLLM: a pool of equal blocks, of a budget that a profiling run leaves.

`rules` is what changed between releases, `planner` and `cache` lay out the pool, `budget` and `encoders` what is left for it, `weights`
what is kept, `loading` what is quantized, `start` what stops it, `served.json` what its registry lists.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from archcalc.engines.engine import Server

if TYPE_CHECKING:
    from archcalc.commands.flags import Read
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.engines.asked import Asked
    from archcalc.engines.budget import Budget, Serving
    from archcalc.engines.placement import Placement, RankWeights
    from archcalc.engines.plan import Ask, Candidate, Command, Fit, Length, Named, Pooled, Setting, Start, Taken
    from archcalc.engines.vllm.cache import CacheOptions
    from archcalc.engines.weights import Keep, WeightOptions
    from archcalc.hardware import Device
    from archcalc.model import Architecture

_PLUGINS = {"apple": "vLLM-Metal", "google": "tpu-inference", "aws": "its Neuron plugin", "gaudi": "vllm-gaudi"}
"""What vLLM reaches the GPUs of a vendor with, outside its own repository (vLLM 0.31, docs/getting_started/installation)."""
# What vLLM's own recipes go up to, and the steps of its default for GPUs with less memory (engine/arg_utils.py `get_batch_defaults`).
_LARGER_SHARE, _SMALLER_STEP = 0.95, 2048


_BESIDE = ("available_bytes", "blocks")
"""Options of a pool that are no fields of `cache.CacheOptions`."""


def _own(options: Mapping[str, Any]) -> CacheOptions:
    from archcalc.engines.vllm import cache

    return cache.CacheOptions(**{name: value for name, value in options.items() if name not in _BESIDE})


class Vllm(Server):
    name = "vllm"
    title = "vLLM"
    options: ClassVar[Mapping[str, str]] = {
        "tp": "tp", "pp": "pp", "dcp": "dcp", "block_size": "block_size", "max_num_batched_tokens": "max_num_batched_tokens",
        "prefix_caching": "prefix_caching", "capability": "capability", "kv_cache_memory": "available_bytes",
        "engine_version": "version",
    }  # fmt: skip
    kinds = frozenset({"full", "sliding", "chunked", "latent", "index", "state"})
    recurrences = frozenset({"", "mamba1", "mamba2", "gated-delta", "kda", "lightning", "short-conv"})
    axes = frozenset({"tp", "pp", "ep", "dp", "dcp"})
    absent = frozenset({"rg-lru", "rwkv", "xlstm"})
    keeps_rotary = True
    whole_blocks = True
    even_vocabulary = True
    takes = frozenset({"engine_version", "max_num_batched_tokens", "utilization"})
    reads_free = False
    leaves_by = "--cpu-offload-gb"
    # 256 is the default on smaller GPUs, and below 32 little is won, as the sampler's tensors of a vocabulary of 256k tokens are 112 MiB
    # then.
    one_share = True
    stages_first = True
    fewer_sequences = (256, 32)
    graph_flags = (
        "--enforce-eager", "--optimization-level", "--compilation-config", "--cudagraph-capture-sizes", "--cuda-graph-sizes",
        "--max-cudagraph-capture-size",
    )  # fmt: skip
    context_flag = "--max-model-len"
    smaller_caches = ("fp8",)
    ladder = ("fp8", "w4a16")

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.vllm import cache

        return cache.allocate(architecture, work, _own(options), *(options.get(name) for name in _BESIDE))

    def limits(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> None:
        from archcalc.engines.vllm import attention, cache
        from archcalc.errors import UsageError

        own = _own(options)
        if own.block_size is not None and (why := attention.lacks_block(architecture, work.kv_dtype, own)):
            raise UsageError(*why)
        dtype = cache.cache_dtype(architecture, work.kv_dtype, own)
        if why := attention.unshared(architecture, dtype, own):
            raise UsageError(*why)
        if not own.expanded and (why := attention.lacks_latent_fp8(architecture, own.version, dtype, own.capability, "--kv-dtype")):
            raise UsageError(*why)

    def span(self) -> tuple[str, str]:
        from archcalc.engines.vllm.rules import NEWEST, RELEASES

        return RELEASES[0], NEWEST

    def serves(self, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
        from archcalc.engines.served import check
        from archcalc.engines.vllm.served import REGISTRY

        return check(REGISTRY, architecture, version, planned=planned)

    def length(self, architecture: Architecture, version: str | None, own: Any) -> Length:
        from archcalc.engines.vllm.lengths import length

        return length(architecture, version, own)

    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        from archcalc.engines.loading import as_stored
        from archcalc.engines.plan import capability

        held, name = as_stored(architecture, quant, self.title)
        if (held.use or (held.returned and held.encodes)) and held.head_rows >= held.facts.vocab_size:
            # A class of decoders that pools has no head (model_executor/models/adapters.py `_create_pooling_model_cls`).
            held = held._replace(groups=tuple(g for g in held.groups if g.part != "head"))
        cuda = capability(device)
        if name == "bf16" and quant is None and ((cuda is not None and cuda[0] < 8) or not held.writes):
            from archcalc.engines.vllm.cache import served_dtype

            name = served_dtype(held, None, cuda and cuda[0])
        return held, name

    def asked(self, read: Read) -> Asked:
        from archcalc.engines.vllm.flags import asked

        return asked(read)

    def check_command(self, program: str, version: str | None) -> None:
        from archcalc.engines.vllm.flags import check_known

        check_known(version)

    def cache_settings(self, architecture: Architecture, asked: Asked, sequences: int) -> Mapping[str, Any]:
        from archcalc.engines.vllm.pool import settings_of

        values, own = asked.values, asked.own
        step = values.get("batched_tokens")
        sizes = {"available_bytes": own.cache_bytes, "blocks": own.blocks, "max_num_batched_tokens": step, "version": asked.version}
        found = {**{name: values[name] for name in ("tp", "pp", "dcp")}, **settings_of(own), **sizes}
        return {name: value for name, value in found.items() if value is not None}

    def weight_options(self, own: Any) -> dict[str, Any]:
        from archcalc.engines.vllm.weights import options_of

        return options_of(own)

    def weigh(self, model: Candidate, placement: Placement, ask: Ask) -> RankWeights:
        from archcalc.engines.vllm.weights import weigh

        return weigh(model, placement, ask)

    def converts_to(self, architecture: Architecture, quant: str | None) -> str | None:
        from archcalc.quant import plain

        asked = plain(quant)
        return {"bf16": "BF16", "fp16": "F16", "fp32": "F32"}[asked] if asked and architecture.quantization is None else None

    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        from archcalc.engines.vllm.weights import VllmKeep

        return VllmKeep(architecture, options)

    def rotary_bytes(self, architecture: Architecture, size: int) -> int:
        from archcalc.engines.vllm.weights import rotary_bytes

        own = rotary_bytes(architecture)
        return super().rotary_bytes(architecture, size) if own is None else own

    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        from archcalc.engines.vllm import loading

        return loading.loading(version, quant)

    def finest_block(self, version: str | None, device: Device | None = None) -> int:
        from archcalc.engines.plan import capability
        from archcalc.engines.vllm import loading

        return loading.finest_block(version, device and capability(device))

    def loads_whole(self, version: str | None, quant: str) -> bool:
        from archcalc.engines.vllm import loading

        return loading.loads_whole(version, quant)

    def plugin(self, version: str | None, method: str) -> str:
        from archcalc.engines.vllm import loading

        return loading.plugin(version, method)

    def lacks_format(self, version: str | None, quantization: Mapping[str, Any], *, experts: bool = False) -> str | None:
        from archcalc.engines.vllm import served

        return served.lacks_format(version, quantization, experts=experts)

    def lowers_context(self, ask: Ask) -> bool:
        return ask.own is not None and ask.own.lowers_context

    def lacks_start(self, ask: Ask, model: Candidate) -> str | Start | None:
        from archcalc.engines.asks import refused
        from archcalc.engines.plan import Start, capability
        from archcalc.engines.served import TRUST, misnamed, untrusted
        from archcalc.engines.vllm import attention, lengths, quantization, start
        from archcalc.engines.vllm.first_engine import lacking
        from archcalc.engines.vllm.rules import rules
        from archcalc.engines.vllm.served import REGISTRY

        own, architecture, online = ask.own, model.architecture, model.options.online
        cuda, stored = capability(ask.gpus.device), None if online else architecture.quantization
        if why := start.not_built(ask.version, cuda):
            return why
        if own is not None and own.first_engine is False and rules(ask.version).first_engine == "lacking":
            lacks = lacking(ask.gpus.device, ask.version, own, architecture)
            if lacks is not None and lacks.raises:
                said = f"vLLM {ask.version} refuses VLLM_USE_V1=1 with {lacks.feature}"
                return Start(False, said, "without VLLM_USE_V1=1", refused=True)
        if own is not None and not own.trusts:
            why = untrusted("vllm", self.title, architecture, ask.version, tokens=own.reads_tokens)
            if why is not None:
                return Start(False, why, TRUST, refused=True)
        if own is not None and own.pools is False and architecture.encodes and not architecture.returned:
            # config/model.py: "Embedding models do not support `--runner generate`".
            return "vLLM runs a model that reads its whole input at once to pool alone, and the command says that it generates"
        if own is not None and (why := misnamed(REGISTRY, architecture, ask.version)):
            return why
        if own is not None and (why := lengths.window_refused(architecture, ask.version, own)):
            return why
        if own is not None and own.mtp and not architecture.mtp_layers:
            return start.NO_MTP
        if own is not None and (why := start.no_draft_model(own, ask.version)):
            return why
        if own is not None and (why := start.other_vocabulary(own, architecture, ask.version)):
            return why
        if own is not None and (why := start.for_experts(ask, architecture.facts.moe is not None)):
            return Start(False, why, "without --enable-expert-parallel" if own.spreads_experts else None, refused=True)
        if own is not None and (why := attention.unfit(architecture, ask.version, own.attention, cuda, expanded=own.expanded)):
            return why
        if own is not None and own.method is not None:
            why = quantization.refused(
                ask.version, own.method, stored, architecture, moe=architecture.facts.moe is not None,
                amd=ask.gpus.device.vendor == "amd",
            )  # fmt: skip
            if why is not None:
                return Start(False, why, "without --quantization", refused=True)
        if own is not None and own.draft is not None and own.draft_method:
            why = quantization.refused(
                ask.version, own.draft_method, own.draft.quantization, own.draft, moe=own.draft.facts.moe is not None,
                amd=ask.gpus.device.vendor == "amd", flag=f"quantization {own.draft_method} of --speculative-config",
            )  # fmt: skip
            if why is not None:
                return f"the draft: {why}"
        if why := quantization.off_platform(ask, architecture.quantization, online, cuda):
            return why
        from archcalc.engines.vllm.cache import overflows_in_fp16, served_dtype
        from archcalc.engines.vllm.pool import stated_unread
        from archcalc.quant import plain

        if why := refused(REGISTRY, architecture, ask.version) or attention.mixed_windows(architecture, ask.version):
            return why
        why = attention.missing(architecture, ask.version, cuda and cuda[0], expanded=own is not None and own.expanded)
        if why is None and not online:
            why = start.scheme_kernels(ask.version, architecture.quantization, cuda)
        if why is None and not online:
            why = start.modelopt_kernels(ask.version, architecture.quantization, cuda)
        why = why or start.intel_kernels(ask.version, architecture.quantization, ask.gpus.device)
        why = why or start.expert_kernels(ask.version, architecture, cuda)
        why = why or (stated_unread(architecture, ask) if own is None else None)
        if why is not None:
            return why
        asked = own.dtype if own is not None else plain(ask.quant)

        def refuses(dtype: str) -> str | None:
            return quantization.dtype_refused(
                dtype, architecture.quantization, online, cuda, overflows=overflows_in_fp16(architecture, ask.version),
                chosen=asked is None,
            )  # fmt: skip

        taken = asked or served_dtype(architecture, ask.version, cuda[0] if cuda else None)
        if own is not None and asked is None and quantization.asks_for_half(architecture, ask.version, cuda):
            taken = "bf16"
        why = refuses(taken)
        if why is None or own is None:
            return why
        other = next((name for dtype, name in quantization.DTYPES.items() if refuses(dtype) is None), None)
        return Start(False, why, other and f"--dtype {other}", refused=True)

    def lacks_kernels(self, version: str | None, method: str, capability: tuple[int, int] | None) -> str | None:
        from archcalc.engines.vllm import served, start

        return served.lacks_method(version, method) or start.kernels(version, method, capability)

    def runs_on(self, device: Device) -> str:
        """Its own platforms are NVIDIA's, AMD's and Intel's GPUs, TPUs and CPUs (vLLM 0.33, platforms/)."""
        if device.vendor != "apple":
            return ""
        return f"vLLM has no code of its own for {device.name}'s GPU: {_PLUGINS['apple']} brings it, whose memory rules are not modelled"

    def spans(self, layers: int, stages: int) -> tuple[tuple[int, int], ...]:
        """Layers left over go to the stages before the last (vLLM 0.33, distributed/utils.py `get_pp_indices`)."""
        from archcalc.engines.placement import evenly

        return evenly(layers, stages, spare=-2)

    def unstaged(self, architecture: Architecture, version: str | None) -> str:
        from archcalc.engines.served import unstaged

        return unstaged("vllm", self.title, architecture, version)

    def spreads_experts(self, placement: Placement, experts: int) -> str:
        ranks = placement.tp * placement.dp
        if placement.ep == ranks:
            return ""
        return f"ep is {placement.ep}: vLLM spreads experts over all {ranks} ranks of tp x dp, or none"

    def cannot_divide(self, ask: Ask, model: Candidate, placement: Placement) -> str:
        from archcalc.engines._recurrent import cannot_split
        from archcalc.engines.asks import ranks_refused
        from archcalc.engines.plan import machines
        from archcalc.engines.vllm import towers
        from archcalc.engines.vllm.command import cannot_say
        from archcalc.engines.vllm.served import REGISTRY

        why = cannot_say(ask.version, placement, machines(ask.gpus)) if ask.own is None else ""
        why = why or cannot_split(model.architecture, placement.tp)
        why = why or ranks_refused(REGISTRY, model.architecture, ask.version, placement.tp)
        return why or towers.cannot_divide(model.architecture, placement, ask)

    def over_machines(self, placement: Placement, machines: int, moe: bool) -> str:
        """Ray places a replica that machines do not hold in equal shares; replicas have to lie on them evenly (vLLM 0.33,
        config/parallel.py `nnodes_within_dp`, v1/executor/multiproc_executor.py: the world is a multiple of the nodes)."""
        from archcalc.engines.placement import even

        if placement.dp == 1 or even(placement, machines):
            return ""
        size = placement.tp * placement.pp
        return f"{placement.dp} replicas of {size} GPUs do not lie evenly on {machines} machines, as vLLM's nodes have to"

    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        from archcalc.engines.vllm.budget import budget

        return budget(device, architecture, placement, weights, serving)

    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        from archcalc.engines.vllm.pool import pooled

        return pooled(architecture, placement, ask, budget)

    def budget_kind(self, device: Device, architecture: Architecture, version: str | None) -> Hashable:
        from archcalc.engines.vllm.budget import kind

        return kind(device, architecture, version)

    def pool_kind(self, device: Device) -> Hashable:
        """Kernels go by the GPU's generation, and by units for FP8, which part those of 8.x: no other rule of `cache`, `attention` or
        `start.CACHE_KERNELS` parts two GPUs of one."""
        from archcalc.engines.plan import capability

        found = capability(device)
        return found and (found[0], found >= (8, 9))

    def ram(self, ask: Ask, placement: Placement, weights: RankWeights, budget: Budget) -> int:
        """Weights that are offloaded are told of each GPU, the cache of all ranks of a replica (config/offload.py, config/cache.py)."""
        from archcalc.engines._offload import of_machine
        from archcalc.engines.plan import machines

        cache = ask.own.offloaded_cache_bytes * placement.dp if ask.own is not None else 0
        return of_machine(ask, placement, weights.cpu_bytes) + -(-cache // machines(ask.gpus))

    def settles(self, ask: Ask, placement: Placement, budget: Budget, sequences: int) -> tuple[Start, Taken]:
        from archcalc.engines.vllm import start

        return start.settle(ask, budget, sequences, placement.dp)

    def hosted(self, ask: Ask, model: Candidate, placement: Placement) -> tuple[Start | None, tuple[str, ...]]:
        from archcalc.engines.vllm import start
        from archcalc.engines.vllm.first_engine import falls_back

        found, notes = start.hosted(ask, placement)
        said = falls_back(ask.gpus.device, ask.version, ask.own, model.architecture)
        return found, (*notes, said) if said else notes

    def fits_pool(self, ask: Ask, budget: Budget, pooled: Pooled, sequences: int, taken: Taken) -> Taken:
        from archcalc.engines.vllm import start

        return start.fits_pool(ask, budget, pooled, sequences, taken)

    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        from archcalc.engines.vllm import start

        return start.memory(ask, budget, pooled, context)

    def at_once(self, ask: Ask, fit: Fit, tokens: int) -> tuple[int, str] | None:
        """vLLM 0.33, v1/core/sched/scheduler.py `max_num_running_reqs`: of each replica."""
        return fit.budget.sequences * fit.placement.dp, "--max-num-seqs"

    def captured(self, ask: Ask, fit: Fit) -> int | None:
        from archcalc.engines.vllm.budget import largest_whole

        return largest_whole(ask.gpus.device, ask.version, fit.budget.sequences, fit.budget.batched_tokens, ask.own)

    def pieces(self, ask: Ask) -> bool:
        """vLLM 0.33, config/vllm.py `OPTIMIZATION_LEVEL_01`; compilation/backends.py splits a graph at attention."""
        own = ask.own
        return own is not None and own.graphs and own.compiled and own.piece_graphs and not own.whole_graphs

    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        from archcalc.engines.vllm.command import command

        return command(named, ask, model, fit)

    def settings(self, ask: Ask, budget: Budget) -> Sequence[Setting]:
        """A larger share of the memory, and smaller steps; of a command in place of those that it says."""
        from archcalc import units
        from archcalc.engines._offload import less
        from archcalc.engines.plan import Setting

        found = less(ask, (("offloaded_cache_bytes", "--kv-offloading-size"),))
        # Where CPU and GPU share the memory, the share is already all that is free.
        said = ask.own is not None
        if (said or ask.utilization is None) and ask.gpus.device.free_bytes is None and budget.utilization < _LARGER_SHARE:
            left = units.format_bytes(budget.memory_bytes - int(budget.memory_bytes * _LARGER_SHARE))
            what = f"a share of {_LARGER_SHARE:g}: {left} stay for all else"
            found.append(Setting(what, f"--utilization {_LARGER_SHARE:g}", {"utilization": _LARGER_SHARE}))
        if (said or ask.batched_tokens is None) and budget.batched_tokens > _SMALLER_STEP:
            what = f"steps of {_SMALLER_STEP:,} tokens in place of {budget.batched_tokens:,}: slower prompts"
            found.append(Setting(what, f"--max-num-batched-tokens {_SMALLER_STEP}", {"batched_tokens": _SMALLER_STEP}))
        return found

    def notes(self, ask: Ask, model: Candidate, stored: Mapping[str, Any] | None) -> Iterator[str]:
        from archcalc.engines.served import newer_told
        from archcalc.quant import method_of

        if ask.own is not None:
            yield from newer_told("vllm", self.title, model.architecture, ask.version, ask.own.trusts)
        device, held = ask.gpus.device, model.architecture.quantization
        if ask.own is not None and held and (needed := self.plugin(ask.version, method_of(held))):
            yield needed
        kind = "gaudi" if device.architecture.startswith("Gaudi") else device.vendor
        if kind in _PLUGINS:
            way = f"vLLM reaches them with {_PLUGINS[kind]}"
            yield f"vllm keeps to its rules for NVIDIA's GPUs here: those for {device.name} are not known ({way})"


ENGINE = Vllm()
