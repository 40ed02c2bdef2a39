"""Kimi Delta Attention: Gated DeltaNet with a decay for each key channel.

Sources: Kimi Linear, arXiv:2510.26692, section 3 and equation 1; transformers 5.23, models/kimi_linear/modeling_kimi_linear.py
`KimiLinearDeltaAttention`; splits as in vLLM 0.33, model_executor/layers/kda.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.linear import causal_conv, conv_state
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Shard, State, Step, Tensor
from archcalc.records import Frozen


class KimiDeltaAttention(Frozen):
    """Per head a matrix `dim x dim` that decays by channel, forgets what it held under the new key, and learns the new pair.

    Queries, keys and values pass through one short convolution of `kernel` tokens, which published checkpoints hold in three pieces.
    Decay and output gate are projected through `dim` numbers, or directly where they are not `low_rank`. `log_shape` is the shape
    that the reference implementation gives the heads' decay.
    """

    hidden: int
    heads: int
    dim: int
    kernel: int
    low_rank: bool = True
    log_shape: tuple[int, ...] | None = None

    def tensors(self) -> Iterator[Tensor]:
        h, width, by_head = self.hidden, self.heads * self.dim, Shard(0, self.heads)
        for name in ("q_proj", "k_proj", "v_proj"):
            yield from linear(name, width, h, "attention", shard=by_head)
        stored = ("q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight")
        for t in causal_conv("conv1d", 3 * width, self.kernel, units=self.heads):
            yield t._replace(stored=stored)
        yield Tensor("forget_gate.dt_bias", (width,), "attention", by_head, acts="recurs")
        yield Tensor(
            "forget_gate.A_log", self.log_shape or (self.heads,), "attention", None if self.log_shape else by_head, acts="recurs"
        )
        if self.low_rank:
            yield from linear("forget_gate.f_a_proj", self.dim, h, "attention")
            yield from linear("forget_gate.f_b_proj", width, self.dim, "attention", shard=by_head)
            yield from linear("g_a_proj", self.dim, h, "attention")
            yield from linear("g_b_proj", width, self.dim, "attention", shard=by_head)
        else:
            yield from linear("forget_gate.f_proj", width, h, "attention", shard=by_head)
            yield from linear("g_proj", width, h, "attention", shard=by_head)
        yield from linear("b_proj", self.heads, h, "attention", shard=by_head)
        yield rms_norm("o_norm", self.dim)
        yield from linear("o_proj", h, width, "attention", shard=Shard(1, self.heads))

    def caches(self) -> Iterator[Cache]:
        conv = conv_state(3 * self.heads * self.dim, self.kernel, self.heads)
        recurrent = State("recurrent", (self.heads, self.dim, self.dim), self.heads, "fp32")
        yield Cache("state", states=(conv, recurrent), recurrence="kda")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2510.26692, equation 1, step by step: S = (I - b k k^T) Diag(a) S + b k v^T, then S^T q.

        Per element of S: one multiplication to decay it, two operations each for k^T S, for the rank-one update and for S^T q.
        """
        return 7 * self.heads * self.dim**2

    def width(self) -> int:
        """Queries, keys and values, once more after the convolution, decay, gate and output."""
        return 9 * self.heads * self.dim

    def label(self) -> str:
        return f"KDA ({self.heads} x {self.dim})"
