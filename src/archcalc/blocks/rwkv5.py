"""RWKV-5's time mixing: per head a matrix that decays channel by channel, a bonus for the current token, and a gated output.

Source: Peng et al. 2024, arXiv:2404.05892, section 4 (Eagle); RWKV/rwkv-5-world-3b, modeling_rwkv5.py (`Rwkv5SelfAttention`).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Attend, Cache, Shard, State, Step, Tensor
from archcalc.records import Frozen


class MatrixTimeMixing(Frozen):
    """`heads` states of `head` x `head`; `inner` is `heads * head`."""

    hidden: int
    heads: int
    head: int

    @property
    def inner(self) -> int:
        return self.heads * self.head

    def tensors(self) -> Iterator[Tensor]:
        h, w, by_head = self.hidden, self.inner, Shard(0, self.heads)
        for name in ("time_decay", "time_faaaa"):
            yield Tensor(name, (self.heads, self.head), "attention", by_head)
        for name in ("time_mix_gate", "time_mix_key", "time_mix_value", "time_mix_receptance"):
            yield Tensor(name, (1, 1, h), "attention")
        for name in ("key", "value", "receptance", "gate"):
            yield from linear(name, w, h, "attention", shard=by_head)
        yield from linear("output", h, w, "attention", shard=Shard(1, self.heads))
        yield from layer_norm("ln_x", h)

    def caches(self) -> Iterator[Cache]:
        """The matrices in fp32, and the predecessor that this block and the FFN mix in."""
        states = State("recurrent", (self.hidden, 2), self.hidden), State("recurrent", (self.inner, self.head), self.heads, "fp32")
        yield Cache("state", states=states, recurrence="rwkv")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """Outer product of key and value, bonus and decay, and the product with the receptance: three operations each."""
        return 6 * self.inner * self.head

    def width(self) -> int:
        """Four mixed inputs, key, value, receptance, gate and the output."""
        return 4 * self.hidden + 5 * self.inner

    def label(self) -> str:
        return f"RWKV-5 time mixing ({self.heads} heads x {self.head})"
