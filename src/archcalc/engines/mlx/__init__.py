"""MLX, Apple's mlx-lm: caches that grow in steps, on a Mac's shared memory, and no budget taken in advance.

`cache` says what grows, `budget` what is left for it, `served.json` which model types there is a module for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archcalc.engines.engine import Server

if TYPE_CHECKING:
    from archcalc.commands.flags import Read
    from archcalc.engines._allocation import Allocation, Workload
    from archcalc.engines.asked import Asked
    from archcalc.engines.budget import Budget, Serving
    from archcalc.engines.placement import Placement, RankWeights
    from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, Pooled, Start, Taken
    from archcalc.engines.weights import Keep, WeightOptions
    from archcalc.hardware import Device
    from archcalc.model import Architecture

# What is packed as MLX packs it, in a checkpoint (mlx-lm 0.32.2, utils.py `load_model`); what it makes of the rest is not modelled.
_READ = frozenset({"mlx", "mxfp4", "mxfp8"})


_QUANTIZED = {"--kv-bits": (2, 3, 4, 5, 6, 8), "--kv-group-size": (32, 64, 128)}
"""What a cache can be quantized with (ml-explore/mlx 0087b78, mlx/ops.cpp `affine_quantize`)."""


_AT_ONCE = 32
"""Requests that share a batch where a command names no number (mlx-lm 0.32.2, server.py `--decode-concurrency`)."""


class Mlx(Server):
    name = "mlx"
    title = "mlx-lm"
    reports_tokens = False
    newest = "0.32.2"
    # No layers of Mamba here: the dtype of their states follows what is multiplied, and was not measured.
    kinds = frozenset({"full", "sliding", "latent", "state"})
    recurrences = frozenset({"", "gated-delta", "kda", "short-conv"})
    axes = frozenset({"pp"})
    torch = False
    runs_alone = True
    towers = False
    smaller_caches = ("int8", "int4")
    ladder = ("mlx-int8", "mlx-int4")

    def span(self) -> tuple[str, str]:
        from archcalc.engines.mlx.cache import VERSION

        return "0.19.3", VERSION

    def serves(self, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
        """No module has a head of labels, and weights that a module has no place for stop the start (mlx-lm 0.32.2, utils.py `load_model`,
        `strict`)."""
        from archcalc.engines.mlx.cache import module_of
        from archcalc.errors import UnsupportedError

        module_of(architecture)
        if 0 < architecture.head_rows < architecture.facts.vocab_size:
            name = next(iter(architecture.classes), architecture.model_type)
            raise UnsupportedError(
                f"mlx-lm has no head that classifies, and refuses the weights of {name}'s", "try --engine transformers or vllm"
            )
        return ()

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        from archcalc.engines.mlx import cache

        return cache.allocate(architecture, work)

    def asked(self, read: Read) -> Asked:
        """`mlx_lm.server` takes what it is asked for: a model, and caches that grow with requests."""
        from archcalc.engines.asked import Asked
        from archcalc.errors import UsageError

        model = read.get("--model")
        if model is None:
            raise UsageError(f"{read.command.program} names no model", "--model MODEL")
        used = (
            "--kv-bits",
            "--kv-group-size",
            "--quantized-kv-start",
            "--prefill-step-size",
            "--prompt-cache-size",
            "--prompt-cache-bytes",
        )
        for flag, takes in _QUANTIZED.items():
            if (given := read.get(flag)) is not None and given not in takes:
                raise UsageError(
                    f"{flag} {given}: MLX quantizes with {', '.join(map(str, takes))}", "name one of them, or leave it out"
                )
        for flag in ("--prefill-step-size", "--decode-concurrency", "--prompt-concurrency"):
            if (given := read.get(flag)) is not None and given < 1:
                raise UsageError(f"{flag} {given}: a number above 0 was expected", "such as 8")
        missing = [flag for flag in (*used, "--decode-concurrency") if read.get(flag) is not None]
        values: dict[str, Any] = {"sequences": read.get("--decode-concurrency") or _AT_ONCE}
        if read.get("--kv-bits") in (4, 8):
            values["kv_dtype"] = f"int{read.get('--kv-bits')}"
            missing.remove("--kv-bits")
        return Asked("mlx", str(model), None, values, None, unmodelled=tuple(missing))

    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        from archcalc.engines.loading import half
        from archcalc.errors import UnsupportedError
        from archcalc.figures.checkpoint import base_dtype
        from archcalc.quant import is_plain, method_of, quantize_as

        # llama.cpp's names of so many bits are taken for MLX's own groups of as many, and a note says so.
        bits = re.fullmatch(r"i?q([34568])_[a-z0-9_]+|mlx_([0-9])bit", (quant or "").lower().replace("-", "_"))
        quant = f"mlx-int{bits[1] or bits[2]}" if bits else quant
        asked = architecture if quant is None else quantize_as(architecture, quant)
        if asked.quantization is None:
            return asked, quant if quant is not None and is_plain(quant) else half(base_dtype(asked)[0])
        method = method_of(asked.quantization)
        if method not in _READ:
            raise UnsupportedError(
                f"mlx-lm: how it holds {quant or method} weights is not known here",
                "--quant mlx-int4 is what mlx_lm.convert -q makes",
            )
        return asked, quant or method

    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        from archcalc.engines.weights import Keep

        return Keep(architecture, options)

    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        """Nothing is quantized as it loads: mlx_lm.convert makes a checkpoint first."""
        return None

    def dtype_words(self, dtype: str) -> tuple[str, ...]:
        """Weights are held as the checkpoint has them."""
        return ()

    def runs_on(self, device: Device) -> str:
        return "" if device.vendor == "apple" else f"mlx-lm runs on Apple's chips, and {device.name} is none"

    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        from archcalc.engines.mlx.budget import budget

        return budget(device, architecture, weights, serving)

    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        from archcalc.engines._layered import pooled

        return pooled(self, architecture, placement, ask)

    def settles(self, ask: Ask, placement: Placement, budget: Budget, sequences: int) -> tuple[Start, Taken]:
        from archcalc.engines.plan import Start, Taken

        if placement.gpus > 1:
            return Start(False, "how mlx-lm spreads a model over several Macs is not known here", None), Taken()
        return Start(), Taken()

    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        """Nothing is allocated before the first token."""
        from archcalc.engines.plan import Start

        enough = budget.kv_room_bytes >= 0
        return Start(enough, None if enough else "the weights and one step of a prompt are more than the memory", None), ()

    def at_once(self, ask: Ask, fit: Fit, tokens: int) -> tuple[int, str] | None:
        """mlx-lm 0.32.2, server.py: so many requests share a batch. A plan's own command names as many as are asked for."""
        return None if ask.sequences is None else (ask.sequences, "--decode-concurrency")

    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        from archcalc.engines._command import not_set, word
        from archcalc.engines.mlx.cache import BITS, GROUP
        from archcalc.engines.plan import Command

        words = [f"mlx_lm.server --model {word(named)}"]
        if fit.kv_dtype in BITS:
            words.append(f"--kv-bits {BITS[fit.kv_dtype]} --kv-group-size {GROUP} --quantized-kv-start 0")
        if fit.concurrency > 1:
            words.append(f"--decode-concurrency {fit.concurrency}")
        return Command(" ".join(words), not_set("mlx_lm.server", named))

    def notes(self, ask: Ask, model: Candidate, stored: Mapping[str, Any] | None) -> Iterator[str]:
        from archcalc.quant import file_type_of

        if ask.quant is not None and file_type_of(ask.quant) and model.quant != ask.quant:
            yield f"mlx-lm reads no GGUF: for {ask.quant} stands {model.quant}, MLX's own groups of as many bits"
        if model.architecture.use:
            # mlx-lm 0.32.2, server.py `APIHandler.do_POST`: completions and chats alone.
            use = model.architecture.use
            yield f"mlx_lm.server answers with text alone: its publisher makes {use} of this model, for which it has no path"
        yield "mlx-lm reserves nothing: its caches grow as prompts come, and no flag holds them back"


ENGINE = Mlx()
