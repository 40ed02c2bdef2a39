"""SGLang: one pool of token slots, of what a share of the memory leaves.

`cache` lays out the pool, `budget` says what is left for it, `weights` what is kept, `served.json` what its models folder lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from archcalc.engines.engine import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archcalc.commands.flags import Read
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.engines.asked import Asked
    from archcalc.engines.budget import Budget, Serving
    from archcalc.engines.placement import Placement, RankWeights
    from archcalc.engines.plan import Ask, Candidate, Command, Fit, Length, Named, Pooled, Setting, Start, Taken
    from archcalc.engines.served import Registry
    from archcalc.engines.weights import Keep, WeightOptions
    from archcalc.hardware import Device
    from archcalc.model import Architecture

# SGLang 0.5.23, srt/arg_groups/choices.py `QUANTIZATION_CHOICES`.
_LOADING = {
    "fp8": ("--quantization", "fp8"),
    "mxfp8": ("--quantization", "mxfp8"),
    "nf4": ("--quantization", "bitsandbytes", "--load-format", "bitsandbytes"),
}

_NOT_SERVED = frozenset({"google", "aws"})
"""Vendors that SGLang 0.5.23 has no platform of its own for (srt/platforms/, srt/utils/common.py `get_device`)."""

_OTHERWISE = frozenset({"autoround", "nvfp4"})
"""Methods that configs name otherwise than SGLang does."""


def registry() -> Registry:
    from archcalc.engines.served import Registry, served

    releases = served("sglang").releases
    return Registry(
        "SGLang", "sglang", releases[-1], releases, backend=releases[0], hint="try --engine vllm or transformers",
        overrides="--json-model-override-args",
    )  # fmt: skip


def halves(device: Device) -> bool:
    """Whether SGLang runs in float16 whatever the config says: the GPU has no bfloat16 (0.5.23, srt/model_executor/
    model_runner_components/load_model_utils.py `maybe_downgrade_dtype_for_legacy_gpu`)."""
    from archcalc.engines.plan import capability

    cuda = capability(device)
    return cuda is not None and cuda < (8, 0)


class Sglang(Server):
    name = "sglang"
    title = "SGLang"
    options: ClassVar[Mapping[str, str]] = {
        "tp": "tp",
        "dcp": "dcp",
        "page_size": "page_size",
        "swa_full_tokens_ratio": "swa_full_tokens_ratio",
    }
    kinds = frozenset({"full", "sliding", "chunked", "latent", "index", "state"})
    recurrences = frozenset({"", "mamba1", "mamba2", "gated-delta", "kda", "lightning", "short-conv"})
    axes = frozenset({"tp", "pp", "ep", "dp", "dcp"})
    absent = frozenset({"rg-lru", "rwkv", "xlstm"})
    dense_over_replicas = True
    takes = frozenset({"engine_version", "utilization"})
    keeps_rotary = True
    whole_blocks = True
    leaves_by = "--cpu-offload-gb"
    graph_flags = (
        "--disable-cuda-graph", "--disable-decode-cuda-graph", "--cuda-graph-max-bs", "--cuda-graph-max-bs-decode", "--cuda-graph-bs",
        "--cuda-graph-bs-decode",
    )  # fmt: skip
    context_flag = "--context-length"
    smaller_caches = ("fp8_e4m3",)
    ladder = ("fp8", "w4a16")

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.sglang import cache

        return cache.allocate(architecture, work, cache.CacheOptions(**options))

    def cache_settings(self, architecture: Architecture, asked: Asked, sequences: int) -> Mapping[str, Any]:
        from archcalc.engines.sglang.pool import settings_of

        own = settings_of(architecture, asked.own)
        return {**own, **{name: asked.values[name] for name in ("tp", "dcp")}, "version": asked.version}

    def limits(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> None:
        from archcalc.commands.flags import lacks
        from archcalc.errors import UsageError

        if options.get("dcp", 1) > 1 and (why := lacks("sglang", "--dcp-size", options.get("version"))):
            raise UsageError(why, "leave --dcp out")

    def span(self) -> tuple[str, str]:
        from archcalc.engines.sglang.rules import FIRST, NEWEST

        return FIRST, NEWEST

    def serves(self, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
        from archcalc.engines._allocation import unread
        from archcalc.engines.served import check, is_one_of

        if unread(architecture) and is_one_of(architecture, {"Gemma3TextModel"}):
            # The loader takes another class for it (0.5.23, srt/model_loader/utils.py `get_model_architecture`).
            architecture = architecture._replace(classes=("EmbeddingGemmaModel",))
        return check(registry(), architecture, version, planned=planned)

    def length(self, architecture: Architecture, version: str | None, own: Any) -> Length:
        from archcalc.engines.sglang.lengths import length

        return length(architecture, version, own)

    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        from archcalc.engines.loading import as_stored

        held, name = as_stored(architecture, quant, self.title)
        return held, "fp16" if name == "bf16" and quant is None and halves(device) else name

    def converts_to(self, architecture: Architecture, quant: str | None) -> str | None:
        return "F32" if quant is not None and architecture.quantization is None and architecture.dtype == "F32" else None

    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        from archcalc.engines.sglang.weights import SglangKeep

        return SglangKeep(architecture, options)

    def asked(self, read: Read) -> Asked:
        from archcalc.engines.sglang.flags import asked

        return asked(read)

    def weight_options(self, own: Any) -> dict[str, Any]:
        # `--dp-size` alone starts whole models apart (srt/managers/data_parallel_controller.py `launch_dp_schedulers`).
        return {"mtp": own.mtp, "apart": not own.attention_dp, "joint": own.attention_dp}

    def loads_whole(self, version: str | None, quant: str) -> bool:
        """FP8 is made of weights that lie on the GPU in the model's dtype (SGLang 0.4.1, sglang#2895, to 0.5.23,
        srt/layers/quantization/fp8.py `create_fp8_weight_`, model_loader/loader.py `load_weights_and_postprocess`)."""
        return quant in ("fp8", "fp8-tensor", "fp8-dynamic")

    def weigh(self, model: Candidate, placement: Placement, ask: Ask) -> RankWeights:
        from archcalc.engines._offload import added, draft_bytes, spared
        from archcalc.engines.placement import rank_weights
        from archcalc.engines.sglang import towers
        from archcalc.engines.sglang.quantization import ONLINE
        from archcalc.engines.weights import undivided

        tensors = model.tensors if not towers.whole(model.architecture, placement, ask) else undivided(model.tensors, "vision")
        found = rank_weights(model.architecture, placement, model.options, tensors)
        if ask.own is not None and ask.own.draft is not None:
            found = added(found, draft_bytes(ask.own.draft, placement, model.options, ONLINE.get(ask.own.draft_method)))
        return spared(found, ask.own.offload_bytes) if ask.own is not None and ask.own.offload_bytes else found

    def ram(self, ask: Ask, placement: Placement, weights: RankWeights, budget: Budget) -> int:
        """Every rank keeps its own: weights that are offloaded, and the hierarchical cache."""
        from archcalc.engines._offload import of_machine

        own = ask.own
        cache = (own.host_cache_bytes or int(max(0, budget.kv_room_bytes) * own.host_ratio)) if own is not None else 0
        return of_machine(ask, placement, weights.cpu_bytes + cache)

    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        return _LOADING.get(quant)

    def lacks_format(self, version: str | None, quantization: Mapping[str, Any], *, experts: bool = False) -> str | None:
        from archcalc.engines._kernels import marlin_alone
        from archcalc.engines.served import listed, served
        from archcalc.quant import method_of

        table, method = served("sglang"), method_of(quantization)
        if method not in _OTHERWISE and not listed(table.methods.get(method), "SGLang", table.releases, version):
            return f"SGLang {version or table.releases[-1]} lists no {method} among its quantization methods"
        kind = str(quantization.get("data_type") or "int")
        if method == "auto-round" and kind != "int":
            # srt/layers/quantization/auto_round.py `SUPPORTED_DTYPES`, 0.5.6 to 0.5.23.
            return f"SGLang reads no {kind} weights of auto-round: it has int"
        # What earlier releases did with other bits was not read.
        newest = version is None or version == table.releases[-1]
        return marlin_alone("SGLang", quantization) if method == "gptq" and newest else None

    def runs_on(self, device: Device) -> str:
        """SGLang 0.5.23, srt/model_executor/model_runner_components/load_model_utils.py `maybe_downgrade_dtype_for_legacy_gpu`."""
        from archcalc.engines.plan import capability

        if device.vendor in _NOT_SERVED:
            return f"SGLang has no code for {device.name}"
        cuda = capability(device)
        if cuda is None or cuda >= (7, 5):
            return ""
        return f"SGLang runs on compute capability 7.5 and newer, and {device.name} has {cuda[0]}.{cuda[1]}"

    def lacks_start(self, ask: Ask, model: Candidate) -> str | Start | None:
        from archcalc.engines.asks import refused
        from archcalc.engines.plan import Start, capability
        from archcalc.engines.served import TRUST, misnamed, untrusted
        from archcalc.engines.sglang import attention, kernels, quantization, settings
        from archcalc.engines.sglang.cache import cache_dtype
        from archcalc.quant import canonical

        named, cuda = ask.own.method if ask.own is not None else None, capability(ask.gpus.device)
        if why := kernels.unbuilt(ask.version, cuda) or kernels.refused(ask.version, model.architecture, cuda, named):
            return why
        if why := refused(registry(), model.architecture, ask.version):
            return why
        backends = ask.own.backends if ask.own is not None else ()
        if why := attention.unread(model.architecture, cache_dtype(model.architecture, ask.kv_dtype, ask.version), backends, cuda):
            return why
        words = self.loading(ask.version, canonical(ask.quant)) if model.options.online and ask.quant is not None else None
        if why := quantization.off_platform(ask, model.architecture, words):
            return why
        if ask.own is None:
            return None
        if not ask.own.trusts:
            why = untrusted("sglang", self.title, model.architecture, ask.version, tokens=ask.own.reads_tokens)
            if why is not None:
                return Start(False, why, TRUST, refused=True)
        if why := misnamed(registry(), model.architecture, ask.version):
            return why
        settings.check_draft(ask.own, model.architecture)
        if any(ask.own.backends) and (why := attention.refused(ask.own.backends, ask.own.cache, ask.gpus.device, ask.version)):
            return why
        if ask.own.draft is not None and ask.own.draft_method not in (None, ask.own.method):
            flag = "--speculative-draft-model-quantization"
            why = quantization.refused(ask.version, ask.own.draft_method, ask.own.draft.quantization, flag)
            if why is not None:
                return f"the draft: {why}"
        if ask.own.method is None:
            return None
        why = quantization.refused(ask.version, ask.own.method, None if model.options.online else model.architecture.quantization)
        return Start(False, why, "without --quantization", refused=True) if why else None

    def unstaged(self, architecture: Architecture, version: str | None) -> str:
        from archcalc.engines.served import unstaged

        return unstaged("sglang", self.title, architecture, version)

    def spreads_experts(self, placement: Placement, experts: int) -> str:
        ranks = placement.tp * placement.dp
        if ranks % placement.ep == 0 == experts % placement.ep:
            return ""
        return f"ep is {placement.ep}: SGLang needs a divisor of tp x dp ({ranks}) and of the {experts} experts"

    def cannot_divide(self, ask: Ask, model: Candidate, placement: Placement) -> str:
        from archcalc.engines._recurrent import cannot_split
        from archcalc.engines.asks import ranks_refused
        from archcalc.engines.sglang import towers
        from archcalc.engines.sglang.command import cannot_say

        why = cannot_say(model.architecture, ask.version, placement) if ask.own is None else ""
        why = why or cannot_split(model.architecture, placement.tp, quantized=bool(model.architecture.quantization))
        why = why or ranks_refused(registry(), model.architecture, ask.version, placement.tp)
        return why or towers.cannot_divide(model.architecture, placement, ask)

    def hosted(self, ask: Ask, model: Candidate, placement: Placement) -> tuple[Start | None, tuple[str, ...]]:
        """All ranks are processes of the host where the command runs, or an equal share of them with `--nnodes` (SGLang 0.5.23,
        srt/entrypoints/engine.py `_calculate_rank_ranges`; so in 0.4.0)."""
        from archcalc.engines.hosts import crowded
        from archcalc.engines.sglang.command import joined

        if ask.own is None or ask.own.launched:
            return None, ()
        hosts = ask.gpus.nodes
        moe = model.architecture.facts.moe is not None
        words, note = joined(hosts) if not self.over_machines(placement, hosts, moe) else ([], "")
        found = crowded(ask, self.title, placement.gpus // ask.own.nodes, " ".join(words))
        return found, (note,) if found and note else ()

    def over_machines(self, placement: Placement, machines: int, moe: bool) -> str:
        """SGLang 0.5.23, srt/entrypoints/engine.py `_launch_scheduler_processes` (ranks of each node), srt/server_args.py
        `check_server_args` (replicas over nodes, as read in 0.4.9)."""
        _, pp, _, dp, _ = placement
        if dp > 1 and not moe:
            return (
                f"SGLang runs {dp} replicas on several machines with data-parallel attention alone, which is for mixtures of experts: "
                "start a server on each machine"
            )
        ranks = placement.tp * dp
        if pp % machines and machines % pp:
            return (
                f"SGLang gives each of {machines} machines whole stages, or each stage whole machines: {pp} stages do not come out"
            )
        if placement.gpus % machines or ranks % max(machines // pp, 1):
            return f"SGLang starts as many ranks on each machine: {placement.gpus} GPUs do not come out on {machines}"
        return ""

    def counting(self, tp: int, pp: int | None, dp: int, gpus: int) -> str:
        if tp * (pp or 1) != gpus or tp % dp:
            return ""
        return f"SGLang's own --tp counts the ranks of data-parallel attention too: here that is --tp {tp // dp} --dp {dp}"

    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        from archcalc.engines.sglang.budget import budget

        return budget(device, architecture, placement, weights, serving)

    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        from archcalc.engines.sglang.pool import pooled

        return pooled(architecture, placement, ask, budget)

    def divides(
        self, ask: Ask, placement: Placement, pooled: Pooled, room: int, context: int, sequences: int, taken: Taken
    ) -> tuple[Pooled, Taken]:
        """SGLang 0.5.23, srt/mem_cache/kv_cache_configurator.py `_handle_max_mamba_cache`, `resolve_max_num_reqs`: states get a share of
        the room that does not depend on how many sequences there will be, and of what length."""
        if ask.own is not None or pooled.divided is None or pooled.needed(context, sequences) > room:
            return pooled, taken
        most, tokens = pooled.held(room, context)
        if most >= sequences:
            return pooled, taken
        made, slots = pooled.divided(sequences)
        flag = f"--max-mamba-cache-size {slots}"
        return made, taken.with_flag(flag, f"{flag}: {_divided(most, tokens)}")

    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        """SGLang 0.5.23, srt/model_executor/pool_configurator.py `MemoryPoolConfig`, srt/managers/tp_worker.py `get_worker_info`."""
        from archcalc.engines.plan import Start
        from archcalc.units import format_bytes

        room = budget.kv_room_bytes
        if room < 0 or tokens <= 0:
            return Start(False, "the weights leave no memory for the pool", None), ()
        reserve = next(term.bytes for term in budget.overhead_terms if term.name == "reserve")
        if budget.step_bytes > reserve:
            share = int((1 - budget.step_bytes * (1 - budget.utilization) / reserve) * 100) / 100 if reserve else 0.9
            limit = (
                f"SGLang starts, and runs out of memory on a prompt: a chunk of it takes {format_bytes(budget.step_bytes)} at least,"
                f" and --mem-fraction-static {budget.utilization:g} leaves {format_bytes(reserve)}"
            )
            return Start(True, limit, f"--mem-fraction-static {share:g}" if share > 0 else None, serves=False), ()
        if ask.own is not None and ask.own.tokens is not None and tokens < context and pooled.needed(context, 1) <= room:
            limit = f"SGLang starts, with a pool of {tokens:,} tokens that serves sequences of up to so many"
            return Start(True, limit, f"--max-total-tokens {context}", serves=False), ()
        if pooled.needed(context, 1) <= room:
            if ask.own is None or pooled.divided is None or pooled.held(room, context)[0] >= sequences:
                return Start(), ()
            if pooled.needed(context, sequences) > room:
                return Start(), ()
            limit = f"SGLang starts, and {_divided(*pooled.held(room, context))}"
            return Start(True, limit, f"--max-mamba-cache-size {pooled.divided(sequences)[1]}", serves=False), ()
        return Start(), (
            f"SGLang starts all the same: its pool of {tokens:,} tokens serves sequences of up to so many, not {context:,}",
        )

    def settings(self, ask: Ask, budget: Budget) -> Sequence[Setting]:
        """The largest share, in whole hundredths, that leaves a chunk of a prompt the memory it takes at least."""
        from archcalc.engines._offload import less
        from archcalc.engines.plan import Setting
        from archcalc.units import format_bytes

        found = less(ask, tuple((name, "--enable-hierarchical-cache") for name in ("host_cache_bytes", "host_ratio")))
        reserve = next((term.bytes for term in budget.overhead_terms if term.name == "reserve"), 0)
        if (ask.utilization is not None and ask.own is None) or not reserve:
            return found
        free = reserve / (1 - budget.utilization)
        share = min(_LARGEST_SHARE, int((1 - budget.step_bytes / free) * 100) / 100)
        if share <= budget.utilization:
            return found
        what = f"a share of {share:g}: {format_bytes(int(free * (1 - share)))} stay for steps"
        return [*found, Setting(what, f"--utilization {share:g}", {"utilization": share})]

    def at_once(self, ask: Ask, fit: Fit, tokens: int) -> tuple[int, str] | None:
        """SGLang 0.5.23, srt/mem_cache/kv_cache_configurator.py `resolve_max_num_reqs`: of each worker, among which attention in data
        parallelism divides what the flag says."""
        flag, dp = "--max-running-requests", fit.placement.dp
        if ask.own is not None and ask.own.running is not None:
            return (max(1, ask.own.running // dp) if ask.own.attention_dp else ask.own.running) * dp, flag
        usual = int(fit.kv_tokens / dp / max(1, ask.context_tokens or fit.context_tokens) * 512)
        return max(min(usual, 4096), 2048) * dp, f"{flag}, left out"

    def captured(self, ask: Ask, fit: Fit) -> int | None:
        """SGLang 0.5.23, srt/model_executor/runner/base_cuda_graph_runner.py `can_run_graph`: larger batches run without."""
        return fit.budget.sequences if ask.own is None or ask.own.graphs else 0

    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        from archcalc.engines.sglang.command import command

        return command(named, ask, model, fit)

    def notes(self, ask: Ask, model: Candidate, stored: Mapping[str, Any] | None) -> Iterator[str]:
        from archcalc.engines.served import newer_told

        device = ask.gpus.device
        if ask.own is not None:
            yield from newer_told("sglang", self.title, model.architecture, ask.version, ask.own.trusts)
        if device.vendor in ("apple", "google", "aws") or device.architecture.startswith("Gaudi"):
            yield f"sglang keeps to its rules for NVIDIA's GPUs here: those for {device.name} are not known"


_LARGEST_SHARE = 0.95
"""Of the share that is advised: what allocators and kernels take beside a step is not known to a hundredth."""


def _divided(most: float, tokens: int) -> str:
    served = f"runs {int(most):,} of these sequences at once" if most >= 1 else f"serves sequences of up to {tokens:,} tokens"
    return f"by its own division of the memory between states and tokens it {served}"


ENGINE = Sglang()
