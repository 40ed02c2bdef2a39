"""RWKV-7's time mixing: per head a matrix that decays channel by channel and replaces what it held under a removal key.

Decay, removal rate, value residual and gate each come from a projection of low rank.

Source: Peng et al. 2025, arXiv:2503.14456, section 4; flash-linear-attention 0.4, fla/layers/rwkv7.py (`RWKV7Attention`) and
fla/models/rwkv7/modeling_rwkv7.py (`RWKV7FeedForward`).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Attend, Cache, Shard, State, Step, Tensor
from archcalc.records import Frozen


class GeneralizedDelta(Frozen):
    """`heads` states of `head` x `head`; `ranks` are those of decay, removal rate, value residual and gate.

    The first layer has no value residual, as it has no earlier values: `residual` is false there.
    """

    hidden: int
    heads: int
    head: int
    ranks: tuple[int, int, int, int]
    residual: bool = True

    @property
    def inner(self) -> int:
        return self.heads * self.head

    def tensors(self) -> Iterator[Tensor]:
        h, w, by_head = self.hidden, self.inner, Shard(0, self.heads)
        for name in "rwkvag":
            yield Tensor(f"x_{name}", (1, 1, h), "attention")
        for name in ("k_k", "k_a"):
            yield Tensor(name, (w,), "attention", by_head)
        yield Tensor("r_k", (self.heads, self.head), "attention", by_head)
        for name in "rkv":
            yield from linear(f"{name}_proj", w, h, "attention", shard=by_head)
        yield from linear("o_proj", h, w, "attention", shard=Shard(1, self.heads))
        for name, rank in zip("wavg", self.ranks, strict=True):
            if name != "v" or self.residual:
                yield from linear(f"{name}_lora.lora.0", rank, h, "attention")
                yield from linear(f"{name}_lora.lora.2", w, rank, "attention", bias=name != "g", shard=by_head)
        yield from layer_norm("g_norm", w)

    def caches(self) -> Iterator[Cache]:
        """The matrices in fp32, and the predecessor that this block and the FFN mix in."""
        states = State("recurrent", (self.hidden, 2), self.hidden), State("recurrent", (self.inner, self.head), self.heads, "fp32")
        yield Cache("state", states=states, recurrence="rwkv")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2503.14456, equation 17: per element of the state one operation to decay it, two each for what the removal key reads,
        for its replacement, for the new value and for the output."""
        return 9 * self.inner * self.head

    def width(self) -> int:
        """Six mixed inputs; receptance, key, value, decay, rate, gate and the output."""
        return 6 * self.hidden + 7 * self.inner

    def label(self) -> str:
        return f"RWKV-7 time mixing ({self.heads} heads x {self.head})"


class SquaredMixing(Frozen):
    """RWKV-7's FFN: squared ReLU of the token mixed with its predecessor, without a gate."""

    hidden: int
    intermediate: int

    def tensors(self) -> Iterator[Tensor]:
        h, i = self.hidden, self.intermediate
        yield Tensor("x_k", (h,), "mlp")
        yield from linear("key", i, h, "mlp", shard=Shard(0, i))
        yield from linear("value", h, i, "mlp", shard=Shard(1, i))

    def width(self) -> int:
        """The mixed input, the key and its square."""
        return self.hidden + 2 * self.intermediate

    def label(self) -> str:
        return f"ReLU² {self.intermediate}"
