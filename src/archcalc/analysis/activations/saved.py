"""The words of the accounting: what is saved, how a run computes, and the matrices of a layer."""

from __future__ import annotations

from typing import Literal

from archcalc.model import Layer, Tensor
from archcalc.records import NamedTuple

Implementation = Literal["transformers", "megatron"]
Attention = Literal["eager", "sdpa", "sdpa-mask", "flash"]
Recompute = Literal["none", "selective", "full"]
Block = Literal["norm", "attention", "scores", "mlp", "experts", "recurrence", "adapters", "embedding", "head", "loss", "position"]
Loss = Literal["none", "full", "compiled", "chunked", "fused", "scalar"]

FP32 = 4
INT64 = 8
CHUNKS = {"mamba1": 2048, "mamba2": 256, "rg-lru": 1}
"""Tokens between two kept states of a recurrence, 64 for those not named (flash-linear-attention,
fla/ops/gated_delta_rule/chunk.py; mamba_ssm 2.2, csrc/selective_scan: kChunkSize; ops/triton/ssd_combined.py: chunk_size as in
published configs; an elementwise scan keeps each)."""


class Saved(NamedTuple):
    """One kept storage, in elements of `size` bytes.

    `per_token` counts for each token, `per_pair` for each pair of tokens of a sequence, `per_position` once for all sequences, and
    `fixed` once. `split` is true where tensor parallelism divides it; the rest is whole on every rank, unless sequence parallelism
    splits it.
    """

    block: Block
    name: str
    size: int
    per_token: int = 0
    per_pair: int = 0
    per_position: int = 0
    fixed: int = 0
    split: bool = False

    def bytes(self, batch: int, tokens: int) -> int:
        """The whole of it."""
        elements = batch * tokens * (self.per_token + self.per_pair * tokens) + self.per_position * tokens + self.fixed
        return elements * self.size


class How(NamedTuple):
    """How the model is run. `attention` is `sdpa` without a mask where causality is enough, `sdpa-mask` with a mask made for every
    layer (as transformers 4.53 to 4.57 do in training), `flash` the kernel of its own, `eager` with scores in memory.

    `amp` keeps weights and the residual stream in fp32 and computes matrices in `size` bytes. `trains` says whether the weights of
    the model are trained; `adapters` is rank and element size of low-rank adapters beside the matrices named in `targets`.
    With `inputs` frozen matrices keep what they read too, as nf4's did before bitsandbytes 0.45 (autograd/_functions.py
    `MatMul4Bit`). With `adapter_dropout` each adapter reads a copy of its own, and keeps the mask. With `dora` each has a magnitude for
    each output, and `whole` says that its matrix is cast or dequantized for what is dropped. `joined` projects queries, keys
    and values with one matrix, whose values stay a view of it, or are copied for all heads, and has one kernel for each GELU
    (LitGPT 0.5, model.py). Rows of experts are `exchanged` where ranks share the experts. Under
    `autocast`, where weights are in half precision and adapters in fp32, what an adapter reads is `cast` to fp32 and back, or `kept` as it
    is, as beside a 4-bit matrix (PEFT 0.21, tuners/lora/layer.py and bnb.py). A model that is
    `compiled` keeps no cast and no step of an elementwise chain whose input is kept: those are made again (PyTorch 2.13,
    torch/_functorch/partitioners.py `min_cut_rematerialization_partition`), but what a matrix's gradient reads is kept.
    `cpu` computes as the CPU's kernels do: LayerNorm's statistics in the input's type, attention with unequal heads in fp32 steps,
    dropout with factors for a mask. With `fused_norms` RMSNorms are one kernel each, which keeps its input and the deviation, and with
    `fused_glu` so is a gate's activation with the product behind it, which keeps what both projections wrote (Liger 0.8.5,
    ops/rms_norm.py, swiglu.py, geglu.py: `save_for_backward`).
    """

    size: int = 2
    attention: Attention = "sdpa"
    amp: bool = False
    trains: bool = True
    targets: frozenset[str] = frozenset()
    rank: int = 0
    adapter_size: int = FP32
    tokens: int = 0
    batch: int = 1
    cpu: bool = False
    inputs: bool = False
    capacity: int = 100
    adapter_dropout: bool = False
    dora: bool = False
    whole: bool = False
    autocast: Literal["", "cast", "kept"] = ""
    joined: bool = False
    exchanged: bool = False
    compiled: bool = False
    fused_norms: bool = False
    fused_glu: bool = False

    @property
    def reads(self) -> bool:
        """Whether matrices keep what they read."""
        return self.trains or self.inputs

    @property
    def adapter_kept(self) -> int:
        """Bytes of an element of what adapters read and make: autocast computes in half precision, whatever their own type is."""
        return self.size if self.amp or self.autocast else self.adapter_size

    @property
    def embeds(self) -> bool:
        """Whether something at the embedding is trained beside a frozen model: an adapter, or a copy."""
        return any(name.removeprefix("saved:").startswith("embedding.") for name in self.targets)

    @property
    def residual(self) -> int:
        """Bytes of an element of the residual stream."""
        return FP32 if self.amp else self.size


class Linear(NamedTuple):
    """A matrix by its name below the layer: what it reads, and whether it ends a tensor-parallel block."""

    name: str
    read: int
    write: int
    tensor: Tensor
    row: bool

    @property
    def leaf(self) -> str:
        return self.name.rpartition(".")[2]


def linears_of(layer: Layer) -> list[Linear]:
    found = []
    biases = {t.name: t.shape[0] for t in layer.tensors if t.name.endswith(".bias")}
    for t in layer.tensors:
        if len(t.shape) != 2 or not t.name.endswith(".weight") or t.role in ("norm", "embedding") or t.convolves:
            continue
        name = t.name[: -len(".weight")]
        bias = biases.get(f"{name}.bias")
        # GPT-2 stores matrices [in, out].
        transposed = name.rpartition(".")[2] in ("c_attn", "c_fc", "c_proj") and (
            bias == t.shape[1] != t.shape[0] or _conv1d(layer)
        )
        read, write = t.shape if transposed else (t.shape[1], t.shape[0])
        found.append(Linear(name, read, write, t, t.shard is not None and t.shard.axis == (0 if transposed else 1)))
    return found


def _conv1d(layer: Layer) -> bool:
    """Whether the layer's matrices are stored [in, out]: its first projection then splits along axis 1."""
    first = next((t for t in layer.tensors if t.name.endswith("c_attn.weight")), None)
    return first is not None and first.shard is not None and first.shard.axis == 1
