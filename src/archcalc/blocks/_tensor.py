"""The few shapes that weights come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from archcalc.model import Attend, Cache, Experts, Layer, Role, Shard, Step, Tensor

# Activations that the reference implementation computes in steps (transformers 5.23, activations.py), not with one kernel.
STEPWISE = ("gelu_new", "gelu_fast", "quick_gelu", "xielu")
# ReLU's output is all that its derivative needs.
TOLD = (*STEPWISE, "relu")


class Block(Protocol):
    """What every block says of itself.

    `width` is the number of elements per token alive at once inside the block in a forward pass, beyond its input.
    """

    def tensors(self) -> Iterator[Tensor]: ...
    def width(self) -> int: ...
    def label(self) -> str: ...


class Mixer(Block, Protocol):
    """A block that moves information between tokens, and so keeps something of the past."""

    def caches(self) -> Iterator[Cache]: ...
    def attends(self) -> Iterator[Attend]: ...
    def scan_flops(self) -> int: ...
    def steps(self) -> Iterator[Step]: ...


@runtime_checkable
class Routed(Protocol):
    """An FFN with steps of its own: a router before experts."""

    def steps(self) -> Iterator[Step]: ...


def linear(
    name: str,
    out_features: int,
    in_features: int,
    role: Role,
    *,
    bias: bool = False,
    shard: Shard | None = None,
) -> Iterator[Tensor]:
    """`torch.nn.Linear`: weight [out, in] and bias [out]. The bias follows the weight's split along axis 0 only."""
    yield Tensor(f"{name}.weight", (out_features, in_features), role, shard)
    if bias:
        yield Tensor(f"{name}.bias", (out_features,), role, shard if shard and shard.axis == 0 else None)


def fused_experts(
    name: str,
    experts: Experts,
    shape: tuple[int, ...],
    *,
    stored: tuple[str, ...] = (),
    shard: Shard | None = None,
) -> Tensor:
    """The routed experts' weights in one tensor, [experts, *shape]."""
    return Tensor(name, (experts.total, *shape), "experts", shard, experts, "param", stored)


def transpose(t: Tensor) -> Tensor:
    """The same weight stored [in, out]; biases are left alone."""
    if len(t.shape) != 2:
        return t
    shard = Shard(1 - t.shard.axis, t.shard.units) if t.shard else None
    return t._replace(shape=(t.shape[1], t.shape[0]), shard=shard)


def prefixed(prefix: str, tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same tensors, one level further down: `prefix.name`."""
    for t in tensors:
        # Field by field: `_replace` takes twice as long, and this is where most of the time of reading a config goes.
        stored = tuple(f"{prefix}.{s}" for s in t.stored) if t.stored else ()
        yield Tensor(
            f"{prefix}.{t.name}", t.shape, t.role, t.shard, t.experts, t.kind, stored, t.dtype, t.fp32, t.rows_read, t.norm, t.acts
        )


def _steps(ffn: Block | None) -> Iterator[Step]:
    """What an FFN says beyond its tensors: a routed one how it routes, any other nothing."""
    # A look at the name: a check against the protocol takes longer than all that a layer is made of.
    steps = getattr(ffn, "steps", None)
    return steps() if steps is not None else iter(())


def make_layer(
    mixer: Mixer | None,
    ffn: Block | None,
    norms: Iterable[Tensor] = (),
    *,
    mixer_name: str = "self_attn",
    ffn_name: str = "mlp",
    extra: Iterable[Tensor] = (),
) -> Layer:
    """A layer from its blocks. `norms` and `extra` are tensors named below the layer."""
    tensors: list[Tensor] = []
    if mixer is not None:
        tensors += prefixed(mixer_name, mixer.tensors()) if mixer_name else mixer.tensors()
    if ffn is not None:
        tensors += prefixed(ffn_name, ffn.tensors()) if ffn_name else ffn.tensors()
    tensors += norms
    tensors += extra
    return Layer(
        mixer=mixer.label() if mixer else "none",
        ffn=ffn.label() if ffn else "none",
        tensors=tuple(tensors),
        caches=tuple(mixer.caches()) if mixer else (),
        attends=tuple(mixer.attends()) if mixer else (),
        scan_flops=mixer.scan_flops() if mixer else 0,
        mixer_width=mixer.width() if mixer else 0,
        ffn_width=ffn.width() if ffn else 0,
        steps=(*(mixer.steps() if mixer else ()), *_steps(ffn)),
        activation=activation if (activation := getattr(ffn, "activation", "")) in TOLD else "",
    )
