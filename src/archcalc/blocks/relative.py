"""Attention with relative positions as learned logits, and short convolutions on keys, values and both of a layer's outputs.

Source: transformers 5.23, models/inkling/modeling_inkling.py `InklingAttention` and models/inkling2/modeling_inkling2.py
`Inkling2SlidingAttention`, `Inkling2FullAttention`.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.linear import causal_conv
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Scores, Shard, State, Step, Tensor
from archcalc.records import Frozen


class RelativeAttention(Frozen):
    """Each query has `rel_dim` numbers of its own, which a table turns into a logit for each of the last `extent` distances.

    Keys, values and the outputs of attention and FFN pass through convolutions of `kernel` tokens. `clipped` is Inkling 2's: clipped
    queries, a gate and a sink that depend on the token in place of QK-norm. `dynamic` makes the kernels of keys and values depend on
    the token too.
    """

    hidden: int
    heads: int
    kv_heads: int
    dim: int
    rel_dim: int
    extent: int
    kernel: int
    window: int | None = None
    clipped: bool = False
    dynamic: bool = False

    def tensors(self) -> Iterator[Tensor]:
        h, width, kv, by_head, by_kv = (
            self.hidden,
            self.heads * self.dim,
            self.kv_heads * self.dim,
            Shard(0, self.heads),
            self.kv_heads,
        )
        yield from linear("q_proj", width, h, "attention", shard=by_head)
        for name in ("k", "v"):
            yield from linear(f"{name}_proj", kv, h, "attention", shard=Shard(0, by_kv))
            if self.dynamic:
                yield Tensor(f"{name}_sconv.static_weight", (self.kernel, kv), "attention", Shard(1, by_kv))
                yield from linear(f"{name}_sconv.weight_proj", self.kv_heads * self.kernel, h, "attention", shard=Shard(0, by_kv))
            else:
                yield from causal_conv(f"{name}_sconv.conv1d", kv, self.kernel, units=by_kv)
        yield from linear("r_proj", self.heads * self.rel_dim, h, "attention", shard=by_head)
        yield from linear("o_proj", h, width, "attention", shard=Shard(1, self.heads))
        yield Tensor("rel_logits_proj.proj", (self.rel_dim, self.extent), "attention")
        if self.clipped:
            yield from linear("gate_proj", width, h, "attention", shard=by_head)
            yield from linear("sink_proj", self.heads, h, "attention", shard=by_head)
            yield Tensor("q_l2_clip.scale", (self.heads, self.dim), "norm", by_head)
            yield Tensor("rel_l2_clip.scale", (self.heads, self.rel_dim), "norm", by_head)
        else:
            yield rms_norm("q_norm", self.dim)
            yield rms_norm("k_norm", self.dim)

    def caches(self) -> Iterator[Cache]:
        """Keys and values, and the inputs of four convolutions, which the reference implementation keeps in fp32."""
        yield Cache("full" if self.window is None else "sliding", self.kv_heads, self.dim, self.dim, self.window)
        past, kv = self.kernel - 1, self.kv_heads * self.dim
        inputs = (State("conv", (kv, past), self.kv_heads, "fp32"),) * 2 + (
            State("conv", (self.hidden, past), self.hidden, "fp32"),
        ) * 2
        yield Cache("state", states=inputs, recurrence="short-conv")

    def attends(self) -> Iterator[Attend]:
        yield Attend(self.heads, self.dim, self.dim, self.window)

    def steps(self) -> Iterator[Step]:
        yield Scores(sinks="column" if self.clipped else "none", relative=self.extent, rank=self.rel_dim)

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Queries, keys and values before and after their convolutions, relative logits, the output and, if there is one, its gate."""
        width = self.heads * self.dim
        return (3 if self.clipped else 2) * width + 4 * self.kv_heads * self.dim + self.heads * (self.rel_dim + self.extent)

    def label(self) -> str:
        text = f"{head_sharing(self.heads, self.kv_heads)} ({self.heads}/{self.kv_heads} x {self.dim})"
        if self.window is not None:
            text += f", window {self.window}"
        return f"{text}, relative logits {self.extent}" + (", gated" if self.clipped else "")
