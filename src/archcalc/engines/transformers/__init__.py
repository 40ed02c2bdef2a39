"""Hugging Face transformers: caches that grow with each token, weights as a checkpoint has them, and no budget taken in advance.

`cache` says what grows, `weights` and `load` what is kept, `served.json` which class a model type is built as.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from archcalc.engines.engine import Server
from archcalc.errors import UnsupportedError

if TYPE_CHECKING:
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.engines.budget import Budget, Serving
    from archcalc.engines.placement import Placement, RankWeights
    from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, Pooled, Start
    from archcalc.engines.weights import Keep, WeightOptions
    from archcalc.hardware import Device
    from archcalc.model import Architecture

# Code, for `from_pretrained` (transformers 5.24, utils/quantization_config.py `BitsAndBytesConfig`, `FineGrainedFP8Config`).
_FOUR_BITS = 'load_in_4bit=True, bnb_4bit_quant_type="nf4"'
_LOADING = {
    "nf4": (f"BitsAndBytesConfig({_FOUR_BITS})",),
    "nf4-dq": (f"BitsAndBytesConfig({_FOUR_BITS}, bnb_4bit_use_double_quant=True)",),
    "bnb-int8": ("BitsAndBytesConfig(load_in_8bit=True)",),
    "fp8": ("FineGrainedFP8Config(weight_block_size=(128, 128))",),
}


class Transformers(Server):
    name = "transformers"
    title = "transformers"
    reports_tokens = False
    options: ClassVar[Mapping[str, str]] = {"static": "static", "engine_version": "version"}
    kinds = frozenset({"full", "sliding", "chunked", "latent", "index", "state"})
    recurrences = frozenset({"", "mamba1", "mamba2", "gated-delta", "kda", "lightning", "rg-lru", "short-conv", "rwkv", "xlstm"})
    axes = frozenset({"pp"})
    runs_alone = True
    leaves_by = 'device_map="auto"'
    takes = frozenset({"max_num_batched_tokens"})
    ladder = ("bnb-int8", "nf4")

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.transformers import cache

        return cache.allocate(architecture, work, cache.CacheOptions(**options))

    def span(self) -> tuple[str, str]:
        from archcalc.engines.transformers.cache import NEWEST, VERSIONS

        return VERSIONS[0].since, NEWEST

    def serves(self, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
        """A type that transformers has a config for, or code beside the checkpoint; who wrote what no library saved is not known."""
        from archcalc.engines.served import needs_code

        if not needs_code("transformers", architecture) or not architecture.saved:
            return ()
        if not architecture.coded:
            raise UnsupportedError(
                f"transformers has no class for {architecture.model_type}, and the config's auto_map names no code for it",
                "its publisher's own code runs it",
            )
        return ()

    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        from archcalc.engines.transformers.weights import load

        return load(architecture, quant, device)

    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        from archcalc.engines.transformers.weights import TransformersKeep

        return TransformersKeep(architecture, options)

    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        return _LOADING.get(quant)

    def dtype_words(self, dtype: str) -> tuple[str, ...]:
        """The call states the dtype of every model."""
        return ()

    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        from archcalc.engines.transformers.budget import budget

        return budget(device, architecture, weights, serving)

    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        from archcalc.engines._layered import pooled

        return pooled(self, architecture, placement, ask)

    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        """Nothing is allocated before the first token."""
        from archcalc.engines.plan import Start

        enough = budget.kv_room_bytes >= 0
        return Start(enough, None if enough else "the weights and one forward pass are more than the memory", None), ()

    def over_machines(self, placement: Placement, machines: int, moe: bool) -> str:
        """transformers 5.24, integrations/accelerate.py: `device_map` takes the GPUs that one process sees."""
        return f"device_map spreads a model over the GPUs of one machine, and these are in {machines:,}"

    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        from archcalc.engines.transformers.command import command

        return command(named, ask, model)

    def notes(self, ask: Ask, model: Candidate, stored: Mapping[str, Any] | None) -> Iterator[str]:
        from archcalc.quant import method_of

        if ask.quant is not None or not stored:
            return
        own, held, moe = method_of(stored), model.architecture.quantization, model.architecture.facts.moe
        if held is None:
            yield f"transformers writes {own} weights out to bf16 as it loads them on {ask.gpus.device.name}"
        elif own == "bitsandbytes" and moe:
            yield "transformers 5 has one parameter for all experts, which experts that bitsandbytes packed one by one do not load into"
        elif held.get("loader") and moe:
            yield f"transformers writes {own}'s routed experts out in half precision: they are one parameter there, which holds no scales"


ENGINE = Transformers()
