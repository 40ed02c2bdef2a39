"""llama.cpp: buffers of cells, allocated for all sequences together, and weights of one GGUF file.

`cache` lays out the buffers, `budget` says what is left for them, `served.json` which classes the converter reads, and as what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from archcalc.engines.engine import SYSTEM_LEAST, Server

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

# What llama.cpp is compiled for (0c1e57098, src/llama-cparams.h `LLAMA_MAX_SEQ`, ggml/include/ggml-backend.h).
MAX_SEQUENCES, MAX_DEVICES = 256, 16
# What ggml calls the same numbers, each as a file type of its own.
_FILE_TYPES = {"mxfp4": "mxfp4_moe"}

_CONVERTED = frozenset(
    {"bitnet", "fp8", "mxfp8", "gptq", "compressed-tensors", "modelopt", "modelopt_fp4", "modelopt_mixed", "nvfp4", "mxfp4"}
)
"""Methods whose checkpoints the converter reads (llama.cpp at 0c1e57098, conversion/base.py `dequant_model` and `prepare_tensors`)."""


def _too_many(sequences: int) -> str:
    return f"llama.cpp runs up to {MAX_SEQUENCES} sequences in one server, and {sequences:,} are asked for"


class LlamaCpp(Server):
    name = "llama.cpp"
    title = "llama.cpp"
    options: ClassVar[Mapping[str, str]] = {
        "np": "n_parallel",
        "unified": "kv_unified",
        "ubatch": "n_ubatch",
        "swa_full": "swa_full",
    }
    kinds = frozenset({"full", "sliding", "chunked", "latent", "index", "state"})
    recurrences = frozenset({"", "mamba1", "mamba2", "gated-delta", "kda", "lightning", "rg-lru", "short-conv", "rwkv"})
    axes = frozenset({"pp"})
    by_layers = True
    torch = False
    runs_alone = True
    towers = False
    one_file = True
    # 0c1e57098, common/arg.cpp; tools/rpc/README.md.
    spreads = frozenset({"--rpc"})
    longer = True
    smaller_caches = ("q8_0", "q4_0")
    ladder = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")

    def released(self, version: str | None) -> tuple[str, ...]:
        """Builds are numbered by commits, as b9452."""
        from archcalc.engines.llamacpp.flags import released

        return released(version)

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.llamacpp import cache

        return cache.allocate(architecture, work, cache.CacheOptions(**options))

    def limits(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> None:
        from archcalc.errors import UsageError

        if (sequences := options.get("n_parallel") or work.batch) > MAX_SEQUENCES:
            raise UsageError(_too_many(sequences), f"--np {MAX_SEQUENCES} or fewer, and several servers for more")

    def resolved(self, architecture: Architecture, asked: Asked) -> Asked:
        from archcalc.engines.llamacpp.ollama import cache_of

        own = cache_of(architecture, asked.own)
        if own is asked.own:
            return asked
        values = {**asked.values, "kv_dtype": None if own.type_k == "f16" else own.type_k}
        return asked._replace(own=own, values=values, notes=(*asked.notes, *own.fitted))

    def cache_settings(self, architecture: Architecture, asked: Asked, sequences: int) -> Mapping[str, Any]:
        from archcalc.engines.llamacpp.budget import options_of

        return options_of(asked.own, sequences)._asdict()

    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        """One GGUF file: of the type asked for, as it is, or as the converter makes it."""
        from archcalc.errors import UnsupportedError, UsageError
        from archcalc.figures.checkpoint import as_gguf
        from archcalc.quant import (
            canonical,
            check_file_type,
            file_type_of,
            is_plain,
            method_of,
            plain,
            quantizations,
            quantize_as,
        )

        own = architecture.quantization
        if quant is not None:
            if canonical(quant) not in quantizations():
                check_file_type(quant)
            wanted = _FILE_TYPES.get(canonical(quant), quant)
            if not is_plain(wanted) and not file_type_of(wanted):
                raise UsageError(
                    f"llama.cpp reads GGUF, which has no {quant}",
                    "its types are --quant q8_0, q6_k, q4_k_m, mxfp4_moe and the like",
                )
            if (kept := self._kept_in_fp4(architecture)) is not None:
                named = file_type_of(wanted) or str(plain(wanted)).replace("fp", "f")
                return kept._replace(quantization={**(kept.quantization or {}), "file_type": named}), quant
            return quantize_as(architecture, wanted), quant
        if own and method_of(own) == "gguf":
            return architecture, str(own.get("file_type", "gguf"))
        if own and not self.converts(method_of(own)):
            raise UnsupportedError(
                f"llama.cpp's converter reads no {method_of(own)} checkpoint",
                "give the model's own repository, of which GGUF files are made; --quant q4_k_m and the like name one",
            )
        return as_gguf(architecture)

    def converts(self, method: str) -> bool:
        return method == "gguf" or method in _CONVERTED

    def storages(self, architecture: Architecture) -> tuple[str | None, ...]:
        """What is published in FP4 stays so, and file types hardly change its size."""
        return self.ladder if self._kept_in_fp4(architecture) is None else (None,)

    def _kept_in_fp4(self, architecture: Architecture) -> Architecture | None:
        """The model as a GGUF file that keeps what is published in FP4, or None where nothing is.

        The converter keeps it, and llama-quantize refuses to store it otherwise (llama.cpp 0c1e57098, src/llama-quant.cpp
        `llama_tensor_get_type`, "requantizing from type ... is disabled"): unsloth/gpt-oss-20b-GGUF has 11.6 GB as Q4_K_M, 13.8 as F16."""
        from archcalc.figures.checkpoint import as_gguf
        from archcalc.quant import method_of
        from archcalc.quant.gguf import four_bit_type

        own = architecture.quantization
        if own is None or method_of(own) == "gguf" or method_of(own) not in _CONVERTED:
            return None
        if four_bit_type(method_of(own), own) not in ("MXFP4", "NVFP4"):
            return None
        kept = as_gguf(architecture)[0]
        return kept if "held" in (kept.quantization or {}) else None

    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        from archcalc.engines.llamacpp.weights import LlamaKeep

        return LlamaKeep(architecture, options)

    def check_command(self, program: str, version: str | None) -> None:
        from archcalc.engines.llamacpp.flags import of_ollama

        if program == "ollama":
            of_ollama(version)
        else:
            self.released(version)

    def asked(self, read: Read) -> Asked:
        from archcalc.engines.llamacpp.flags import asked

        return asked(read)

    def lacks_start(self, ask: Ask, model: Candidate) -> str | None:
        """llama.cpp 0c1e57098, src/llama-context.cpp `llama_init_from_model`, tools/server/server-context.cpp `load_model`."""
        if ask.own is None or not ask.own.mtp or model.architecture.mtp_layers:
            return None
        return "llama-server drafts with MTP layers of the file, and the model has none: failed to create MTP context"

    def length(self, architecture: Architecture, version: str | None, own: Any) -> Length:
        """Every slot gets the trained length where `--fit` is on; else all share it, or what an old build takes."""
        found = super().length(architecture, version, own)
        if own is None or own.fits or found.usual is None:
            return found
        cells = found.usual if own.unset is None else own.unset
        return found._replace(usual=cells if own.unified else max(1, cells // own.slots))

    def fitted(self, model: Candidate, ask: Ask) -> Ask:
        from archcalc.engines.llamacpp.fitting import fitted

        return fitted(model, ask)

    def weigh(self, model: Candidate, placement: Placement, ask: Ask) -> RankWeights:
        from archcalc.engines.llamacpp.budget import weigh

        # One GPU has all of it.
        return super().weigh(model, placement, ask) if ask.own is None and placement.pp == 1 else weigh(model, ask)

    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        """No flag is needed: the file is of that type."""
        return ()

    def runs_on(self, device: Device) -> str:
        """llama.cpp 0c1e57098, ggml/src/: CUDA, HIP, Metal, SYCL, Vulkan and others, and nothing for these."""
        if device.vendor in ("google", "aws") or device.architecture.startswith("Gaudi"):
            return f"llama.cpp has no backend for {device.name}"
        return ""

    def spans(self, layers: int, stages: int) -> tuple[tuple[int, int], ...]:
        """The head counts as one more layer behind the last, and equal GPUs get equal shares (0c1e57098, src/llama-model.cpp
        `load_tensors`)."""
        from itertools import pairwise

        starts = [min(layers, -(-stage * (layers + 1) // stages)) for stage in range(stages + 1)]
        return tuple(pairwise(starts))

    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        from archcalc.engines.llamacpp.budget import budget

        return budget(device, architecture, weights, serving)

    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        from archcalc.engines._layered import pooled
        from archcalc.engines.llamacpp.pool import planned
        from archcalc.engines.llamacpp.pool import pooled as by_layers

        if ask.own is not None:
            return by_layers(architecture, ask, budget)
        alone = placement.pp == 1
        return planned(
            pooled(self, architecture, placement, ask, {"computes": False}) if alone else by_layers(architecture, ask, budget), ask
        )

    def ram_of_cache(self, architecture: Architecture, ask: Ask, context: int, sequences: int) -> int:
        from archcalc.engines.llamacpp.pool import on_cpu

        return on_cpu(architecture, ask, context, sequences) if ask.own is not None else 0

    def settles(self, ask: Ask, placement: Placement, budget: Budget, sequences: int) -> tuple[Start, Taken]:
        from archcalc.engines.plan import Start, Taken

        gpus = placement.gpus
        if sequences > MAX_SEQUENCES:
            return Start(False, _too_many(sequences), f"-np {MAX_SEQUENCES}", refused=True), Taken()
        if gpus > MAX_DEVICES:
            return Start(
                False, f"llama.cpp spreads a model over up to {MAX_DEVICES} GPUs, and {gpus:,} are named", refused=True
            ), Taken()
        return Start(), Taken()

    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        """All sequences' cells are allocated at once."""
        from archcalc.engines.plan import Start

        room = budget.kv_room_bytes
        if pooled.needed(context, sequences) <= room:
            return Start(), ()
        if ask.own is not None and ask.own.moved:
            return Start(), (ask.own.moved,)
        if room < 0:
            return Start(False, "the weights and what the engine needs leave no memory for the cache", None), ()
        return Start(False, f"one sequence of {context:,} tokens needs more memory than is left for the cache", None), ()

    def offloaded(self, ask: Ask, layers: int) -> tuple[int | None, int]:
        own = ask.own
        if own is None:
            return None, 0
        held = None if own.gpu_layers is None or own.gpu_layers > layers else own.gpu_layers
        return held, len(own.experts_on_cpu) or min(own.cpu_experts, layers)

    def beyond(self, ask: Ask) -> str:
        if ask.own is None or not ask.own.moved:
            return ""
        from archcalc import units

        size = units.format_bytes(ask.own.moved_bytes)
        return f"llama.cpp starts with {size} of it in the CPU's memory: it fits with {size} of RAM that is not known here (--ram)"

    def at_once(self, ask: Ask, fit: Fit, tokens: int) -> tuple[int, str] | None:
        """A server's slots, or as many as the cells that they share have room for (0c1e57098, tools/server/server-context.cpp)."""
        own = ask.own
        if own is None:
            return None
        # The last token is not read again.
        room = fit.kv_tokens // max(1, tokens - 1) if own.unified else own.slots
        return (
            (own.slots, own.slots_flag)
            if room >= own.slots
            else (max(1, room), f"--ctx-size {fit.kv_tokens}, which all slots share")
        )

    def unmeasured(self, ask: Ask, fit: Fit) -> str:
        from archcalc.engines.llamacpp.kernels import unmeasured

        return unmeasured(ask, fit)

    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        from archcalc.engines.llamacpp.command import command

        return command(named, ask, model, fit)

    def settings(self, ask: Ask, budget: Budget) -> Sequence[Setting]:
        """Layers by what each GPU has free, where a command says its own shares (src/llama-model.cpp `load_tensors`)."""
        from archcalc.engines.plan import Setting

        if ask.own is None or ask.own.shares is None or ask.gpus.count == 1:
            return ()
        return (Setting("layers by what each GPU has free", "", {"shares": None}),)

    def spills(self, model: Candidate, ask: Ask, fit: Fit) -> Sequence[tuple[str, str]]:
        """Experts first, of which a token visits few; then whole layers. No more than the RAM, of which a GPU may have its part."""
        from archcalc import units
        from archcalc.engines.llamacpp.command import experts_away, offload

        device = ask.gpus.device
        shared = device.shared_memory
        if shared and (device.ram_bytes is None or device.ram_bytes <= device.visible_bytes + SYSTEM_LEAST):
            return ()
        if ask.own is not None and ask.own.moved:
            size = ask.own.moved_bytes
            what = f"the command as it stands, where the CPU's memory has room for the {units.format_bytes(size)} that --fit leaves there"
            return ((what, f"--ram {-(-size >> 30)}GiB"),)
        limit = float("inf") if ask.ram_bytes is None else ask.ram_bytes
        if shared and device.ram_bytes is not None:
            # Of one memory, what the system does not let the GPU have.
            limit = device.ram_bytes - device.visible_bytes - SYSTEM_LEAST
        gpus = "GPU" if fit.placement.pp == 1 else "GPUs"
        ways = []
        margin = sum(term.bytes for term in fit.budget.overhead_terms if term.name == "margin")
        if ask.own is None and 0 < -fit.headroom_bytes <= margin:
            left = units.format_bytes(margin + fit.headroom_bytes)
            what = (
                f"all layers on the {gpus}, without the {units.format_bytes(margin)} that --fit keeps free ({left} to spare then)"
            )
            ways.append((what, f"-ngl {max(99, model.architecture.layers + 1)} (llama-server)"))
        if (away := experts_away(model, ask, fit)) and away[2] <= limit:
            ram = units.format_bytes(away[2])
            what = f"the experts of {away[0]} of {away[1]} layers in the CPU's memory ({ram} there), all else on the {gpus}"
            ways.append((what, f"--n-cpu-moe {away[0]} (llama-server)"))
        held = offload(model, ask, fit)
        if held and held[0] < held[1] and held[2] <= limit:
            ram = units.format_bytes(held[2])
            what = f"{held[0]} of {held[1]} layers on the {gpus}, the rest in the CPU's memory ({ram} there)"
            ways.append((what, f"-ngl {held[0]} (llama-server)"))
        return ways

    def notes(self, ask: Ask, model: Candidate, stored: Mapping[str, Any] | None) -> Iterator[str]:
        from archcalc import units
        from archcalc.engines._allocation import unread
        from archcalc.engines.llamacpp.lengths import served_length

        if ask.own is not None:
            yield from ask.own.fitted
            each = ask.own.cells if ask.own.unified else ask.own.cells // ask.own.slots
            trained = served_length(model.architecture, ask.own)
            if unread(model.architecture) and each > ask.own.ubatch:
                most = f"inputs of more than {ask.own.ubatch:,} tokens, as it reads each in one batch"
                yield f"llama-server refuses {most}: -b {each} -ub {each} takes them"
            if trained and each > trained:
                # tools/server/server-context.cpp `load_model`: "exceeds the training context of the model - capping".
                what = "trained" if trained == model.architecture.facts.context_tokens else "that its YaRN reaches"
                yield f"memory is taken for {each:,} tokens of a sequence, and llama-server serves no more than the {trained:,} {what}"
        from archcalc.engines.llamacpp import projector

        beside, own = projector.stored(model.architecture), ask.own
        if own is None or not own.projector:
            if beside:
                size = units.format_bytes(beside)
                yield f"towers are a file of their own, {size} in F16: not counted here, and loaded beside the model with --mmproj"
            return
        if not projector.weights(own, model.architecture):
            if "--mmproj" in own.projector_named:
                yield f"the projector {own.projector_named} is not here, and the file says nothing of its towers: it is not counted"
            return
        size = units.format_bytes(projector.weights(own, model.architecture))
        where = "on the first GPU" if own.towers else "in the CPU's memory"
        if not own.projector_named:
            yield f"-hf loads the repository's projector too, where it has one: {size} {where} are counted; --no-mmproj leaves it out"
        else:
            yield f"the projector takes {size} {where}"
        if own.towers and projector.reserved(model.architecture) is None:
            yield "the buffer in which the projector computes is not counted: its graph is not known here"


ENGINE = LlamaCpp()
