"""What training takes on each GPU: weights, gradients, optimizer states, activations, logits; and what it costs.

Memory is that of the fullest of four moments of a step (the end of the forward pass, the start of the backward pass, a layer made
again, the optimizer's step), each a sum of what is alive then. Sources stand at the formulas.
"""

from __future__ import annotations

from typing import Literal

from archcalc.analysis import activations as act
from archcalc.analysis.activations import Loss
from archcalc.records import NamedTuple

Optimizer = Literal[
    "adamw", "adamw-fused", "adamw-8bit", "paged-adamw", "paged-adamw-8bit", "sgd", "sgd-momentum", "adafactor", "lion",
    "lion-8bit", "muon", "adamw-4bit", "adamw-fp8",
]  # fmt: skip
Precision = Literal["mixed", "amp", "pure", "fp32"]
Offload = Literal["none", "optimizer", "params", "all"]

OPTIMIZERS: tuple[Optimizer, ...] = Optimizer.__args__  # type: ignore[attr-defined]

CONTEXT_BYTES = 750_000_000
"""What CUDA, its libraries and kernels take outside of PyTorch's allocator: measured on an RTX A6000 with CUDA 13 (vramcalc 0.1.2,
README)."""
CUBLAS_BYTES = 8_519_680
"""cuBLAS's workspace, which PyTorch allocates (2.9, aten/src/ATen/cuda/CublasHandlePool.cpp `parseChosenWorkspaceSize`; 32 MiB on
Hopper)."""
CHINCHILLA_TOKENS = 20
"""Tokens a parameter at which a budget of compute is best spent (Hoffmann et al. 2022, arXiv:2203.15556, table 3)."""


class Run(NamedTuple):
    """A training run. `dp` counts replicas; with `fsdp` each of them is sharded over so many ranks (so `dp` above one is hybrid
    sharding).

    `precision`: `mixed` keeps half-precision weights and gradients beside an fp32 master copy (Micikevicius et al. 2017,
    arXiv:1710.03740; under `fsdp` the sharded weights are the fp32 ones), `amp` fp32 weights under autocast, `pure` everything in half
    precision, `fp32`. `step_in_backward` steps each tensor when its gradient is there, and frees it; `quantized_experts` has routed
    experts in nf4 too, or those alone that checkpoints hold `apart`; `offload_inputs` moves the inputs that checkpointing keeps to the
    CPU; with `sharded_scales` those of nf4 are shared as the weights are; `nf4_half` has nf4 matrices whole in fp16 before they are cast,
    without `reentrant` checkpointing cannot free what functions keep as attributes, `dora` gives each adapter a magnitude for each output
    (Liu et al. 2024, arXiv:2402.09353), `adapter_dropout` drops what adapters read, with `adapter_autocast` they compute under autocast
    beside weights in half precision, `joined` has queries, keys and values in one matrix, `quantized_head` the head in nf4 too, and
    `untied` a head of its own where the model shares it with the embedding. With `pass_before` the graph of the micro- batch before lives
    until its successor's logits are there, with its logits and what is no saved tensor; `shifted` says what a full loss shifts by one
    token: `labels`, or a copy of the `logits`, which with `fp32-logits` an output in fp32 stands beside; with `output_freed` the model's
    output is gone before the backward pass, with `gathered_logits` tensor-parallel ranks have whole ones; `fp32_logits` casts whole
    logits before a chunked loss, `head_in_chunks` has the head multiply and run backwards chunk by chunk too. Without
    `reshard` gathered weights stay whole from the forward to the backward pass, `buffers` are bytes of communication;
    `fp32_shards` has FSDP shard frozen weights in fp32 too, as mixed precision has trained ones; `no_sync` sums whole
    gradients on every rank over micro-batches, `ends_apart` shards embedding and head as units of their own, `gathered_fp8` has layers'
    matrices gathered in fp8. `modules` are what selective checkpointing makes again by Megatron's accounting, its attention where they
    are empty; `moment_size` are the bytes of each moment of its precision-aware optimizer, 0 without it.
    With `unfrozen` those parameters alone are trained, or have adapters beside them, whose name begins as one of these regular
    expressions says (axolotl 0.19, utils/freeze.py `LayerNamePattern`).
    Full checkpointing makes groups of `every` layers again, or one layer in `one_in`, beside which the others keep all that they need.
    `fused_norms` and `fused_glu` are Liger's kernels (activations/saved.py `How`).
    `compiled` says that the model is compiled as a whole, `all_forward` that a pipeline runs all micro-batches forward
    first, `frozen_size` in how many bytes an element the `frozen_models` stand beside it, `headed` that a head of one number stands beside
    that for the vocabulary.
    Beside an adapter whole copies of the modules that `saved` names are trained (PEFT's `modules_to_save`), in `saved_size` bytes
    an element where that is not the model's type. With `pairs` a micro-batch holds both sequences of each. `micro_batches` are
    those of one step on each pipeline. `ep` ranks share the routed experts; they are taken from `dp`, `fsdp` and `cp`, and from
    `tp` where experts are split over `etp` ranks in its place.
    """

    seq: int
    micro_batch: int = 1
    precision: Precision = "mixed"
    optimizer: Optimizer = "adamw"
    implementation: act.Implementation = "transformers"
    attention: act.Attention = "sdpa"
    recompute: act.Recompute = "none"
    modules: tuple[str, ...] = ()
    every: int = 1
    one_in: int = 1
    loss: Loss = "full"
    chunks: int = 8
    dp: int = 1
    fsdp: int = 1
    zero: int = 0
    tp: int = 1
    sequence: bool = False
    pp: int = 1
    interleave: int = 1
    micro_batches: int = 1
    cp: int = 1
    ep: int = 1
    etp: int = 0
    ema: bool = False
    grad_size: int | None = None
    moment_size: int = 0
    lora: int = 0
    targets: tuple[str, ...] = ("all-linear",)
    saved: tuple[str, ...] = ()
    saved_size: int = 0
    quant: Literal["", "nf4", "int8"] = ""
    double_quant: bool = True
    nf4_inputs: bool = False
    nf4_half: bool = False
    sharded_scales: bool = False
    reentrant: bool = False
    adapter_size: int = 4
    adapter_autocast: bool = False
    dora: bool = False
    adapter_dropout: bool = False
    joined: bool = False
    quantized_head: bool = False
    untied: bool = False
    pass_before: bool = False
    fp32_logits: bool = False
    head_in_chunks: bool = False
    output_freed: bool = False
    gathered_logits: bool = False
    shifted: Literal["labels", "logits", "fp32-logits"] = "labels"
    frozen: frozenset[str] = frozenset()
    unfrozen: tuple[str, ...] = ()
    offload: Offload = "none"
    dropout: bool = True
    capacity: int = 100
    keep_gradients: bool = False
    step_in_backward: bool = False
    quantized_experts: bool | Literal["apart"] = False
    offload_inputs: bool = False
    reshard: bool = True
    buffers: int = 0
    fp32_shards: bool = False
    no_sync: bool = False
    ends_apart: bool = False
    gathered_fp8: bool = False
    frozen_models: int = 0
    frozen_size: int = 2
    value_model: bool = False
    headed: bool = False
    engine_bytes: int = 0
    scored: int = 0
    pairs: bool = False
    compiled: bool = False
    all_forward: bool = False
    fused_norms: bool = False
    fused_glu: bool = False

    @property
    def keeps_gradients(self) -> bool:
        """Whether gradients live through the passes: where they are summed over micro-batches, or in buffers of their own (DDP's
        buckets, ZeRO 1's and 2's, Megatron's), or are set to zero in place (PyTorch's `zero_grad(set_to_none=False)`)."""
        buffers = self.implementation == "megatron" or (self.fsdp == 1 and self.dp > 1 and self.zero < 3)
        return self.keep_gradients or self.micro_batches > 1 or buffers

    @property
    def expert_tp(self) -> int:
        """Ranks that split each routed expert."""
        return self.etp or self.tp

    @property
    def autocast(self) -> bool:
        """Whether matrices are cast as they are used. Shards that are gathered are cast before (accelerate 1.15, utils/dataclasses.py
        `FullyShardedDataParallelPlugin.set_mixed_precision`: `param_dtype`; Lightning 2.4, plugins/precision/fsdp.py)."""
        return self.precision == "amp" and self.stage < 3

    @property
    def gpus(self) -> int:
        return self.dp * self.fsdp * self.tp * self.pp * self.cp

    @property
    def shards(self) -> int:
        """Ranks over which states are sharded: context-parallel ranks hold the same weights, so they share them too."""
        if self.fsdp > 1:
            return self.fsdp * self.cp
        return self.dp * self.cp if self.zero else 1

    @property
    def stage(self) -> int:
        """ZeRO's stage; FSDP is the third."""
        return 3 if self.fsdp > 1 else self.zero

    @property
    def size(self) -> int:
        """Bytes of an element that matrices compute with."""
        return 4 if self.precision == "fp32" else 2

    @property
    def sequences(self) -> int:
        """Sequences in one optimizer step."""
        return self.micro_batch * self.micro_batches * self.dp * self.fsdp


class Term(NamedTuple):
    """One row of the table: what it is, on the fullest GPU, and by which formula."""

    group: Literal["weights", "gradients", "optimizer", "activations", "logits"]
    name: str
    bytes: int
    formula: str


class Memory(NamedTuple):
    """The memory of the fullest GPU (of pipeline stage `stage`): the most that PyTorch's allocator holds, which is at `moment`.

    `terms` add up to `total`: those of the loss, and where another moment takes more, what that is more. `moments` are the totals
    of all of them, `stages` those of all stages, and `static` what these hold between two steps. `cpu_bytes` is what is offloaded,
    `kept` are activation bytes by block at the end of
    the forward pass, `segments` what the allocator has taken from the GPU by then as far as that is replayed (else 0), `logits` the most
    that logits and loss take, whatever the fullest moment is.
    """

    total: int
    terms: tuple[Term, ...]
    moment: str
    moments: tuple[tuple[str, int], ...]
    stage: int
    stages: tuple[int, ...]
    static: tuple[int, ...]
    cpu_bytes: int
    kept: tuple[tuple[str, int], ...]
    logits: int = 0
    segments: int = 0

    def of(self, *groups: str) -> int:
        return sum(t.bytes for t in self.terms if t.group in groups)


class Work(NamedTuple):
    """Operations of one token: `model` by PaLM's convention (three times the forward pass, all pairs of tokens: Chowdhery et al.
    2022, arXiv:2204.02311, appendix B), `hardware` with what checkpointing computes again (Korthikanti et al. 2022, appendix A)."""

    model: int
    hardware: int
    six_n: int
    attention: int


# Which weights are trained, and the adapters
