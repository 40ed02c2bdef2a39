"""Smaller recurrences: RG-LRU, short gated convolutions, RWKV-4's time mixing and xLSTM's matrix memory.

Sources: De et al. 2024, arXiv:2402.19427, section 2.4 (RG-LRU); Liquid AI 2025, LFM2 technical report (gated short convolution);
Peng et al. 2023, arXiv:2305.13048, equations 11-20 (RWKV-4); Beck et al. 2024, arXiv:2405.04517, equations 19-27 (mLSTM);
transformers 5.23, models/recurrent_gemma, models/lfm2, models/rwkv and models/xlstm.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.linear import causal_conv, conv_state
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Attend, Cache, Shard, State, Step, Tensor
from archcalc.records import Frozen


class GatedLinearRecurrence(Frozen):
    """RG-LRU: per channel one number that decays by a gate; beside it a gated branch. Gates are block-diagonal, a block per head."""

    hidden: int
    lru: int
    heads: int
    kernel: int

    def tensors(self) -> Iterator[Tensor]:
        h, w, block = self.hidden, self.lru, self.lru // self.heads
        by_channel, by_head = Shard(0, w), Shard(0, self.heads)
        for name in ("linear_y", "linear_x"):
            yield from linear(name, w, h, "attention", bias=True, shard=by_channel)
        yield from linear("linear_out", h, w, "attention", bias=True, shard=Shard(1, w))
        yield from causal_conv("conv_1d", w, self.kernel, units=w, bias=True)
        yield Tensor("rg_lru.recurrent_param", (w,), "attention", by_channel, acts="recurs")
        for gate in ("input_gate", "recurrent_gate"):
            yield Tensor(f"rg_lru.{gate}_weight", (self.heads, block, block), "attention", by_head)
            yield Tensor(f"rg_lru.{gate}_bias", (self.heads, block), "attention", by_head)

    def caches(self) -> Iterator[Cache]:
        states = (
            conv_state(self.lru, self.kernel, self.lru)._replace(trimmed=True),
            State("recurrent", (self.lru,), self.lru, "fp32"),
        )
        yield Cache("state", states=states, recurrence="rg-lru")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2402.19427, equation 4: h = a h + sqrt(1 - a^2) (i x): three multiplications and an addition a channel."""
        return 4 * self.lru

    def width(self) -> int:
        """Both branches, the convolved one, two gates and the output."""
        return 6 * self.lru

    def label(self) -> str:
        return f"RG-LRU ({self.lru} channels)"


class ShortConvolution(Frozen):
    """A convolution over the last `kernel` tokens between two elementwise gates, all projected from the input."""

    hidden: int
    kernel: int
    bias: bool = False

    def tensors(self) -> Iterator[Tensor]:
        h, by_channel = self.hidden, Shard(0, self.hidden)
        yield from causal_conv("conv", h, self.kernel, units=h, bias=self.bias)
        yield from linear("in_proj", 3 * h, h, "attention", bias=self.bias, shard=by_channel)
        yield from linear("out_proj", h, h, "attention", bias=self.bias, shard=Shard(1, h))

    def caches(self) -> Iterator[Cache]:
        yield Cache("state", states=(conv_state(self.hidden, self.kernel, self.hidden),), recurrence="short-conv")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """The two gates; the convolution itself is counted with its weights."""
        return 2 * self.hidden

    def width(self) -> int:
        """Both gates, the input, its product with the first and the convolved product."""
        return 5 * self.hidden

    def label(self) -> str:
        return f"short convolution ({self.kernel} tokens)"


class TimeMixing(Frozen):
    """RWKV-4: per channel a weighted mean of all values so far that decays, and a gate; tokens are mixed with their predecessor."""

    hidden: int
    inner: int

    def tensors(self) -> Iterator[Tensor]:
        h, w, by_channel = self.hidden, self.inner, Shard(0, self.inner)
        yield Tensor("time_decay", (w,), "attention", by_channel, acts="recurs")
        yield Tensor("time_first", (w,), "attention", by_channel, acts="recurs")
        for name in ("time_mix_key", "time_mix_value", "time_mix_receptance"):
            yield Tensor(name, (1, 1, h), "attention", acts="recurs")
        for name in ("key", "value", "receptance"):
            yield from linear(name, w, h, "attention", shard=by_channel)
        yield from linear("output", h, w, "attention", shard=Shard(1, w))

    def caches(self) -> Iterator[Cache]:
        """Numerator, denominator and largest exponent in fp32, and the predecessor that this block and the FFN mix in."""
        inputs = State("recurrent", (self.hidden, 2), self.hidden)
        yield Cache("state", states=(inputs, State("recurrent", (self.inner, 3), self.inner, "fp32")), recurrence="rwkv")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2305.13048, equations 16-20: decay and add to numerator and denominator, twice (for output and state), and divide."""
        return 9 * self.inner

    def width(self) -> int:
        """Three mixed inputs, key, value, receptance and the output."""
        return 3 * self.hidden + 4 * self.inner

    def label(self) -> str:
        return f"RWKV-4 time mixing ({self.inner} channels)"


class ChannelMixing(Frozen):
    """RWKV-4's FFN: squared ReLU of the token mixed with its predecessor, gated by the receptance."""

    hidden: int
    intermediate: int

    def tensors(self) -> Iterator[Tensor]:
        h, i = self.hidden, self.intermediate
        for name in ("time_mix_key", "time_mix_receptance"):
            yield Tensor(name, (1, 1, h), "mlp", acts="recurs")
        yield from linear("key", i, h, "mlp", shard=Shard(0, i))
        yield from linear("receptance", h, h, "mlp", shard=Shard(0, h))
        yield from linear("value", h, i, "mlp", shard=Shard(1, i))

    def width(self) -> int:
        """Two mixed inputs, the key and its square, and the gate."""
        return 3 * self.hidden + 2 * self.intermediate

    def label(self) -> str:
        return f"ReLU² {self.intermediate}, gated"


class MatrixMemory(Frozen):
    """mLSTM: per head a matrix `qk_dim x v_dim` with exponential gates, normalized by a vector and a running maximum.

    `state_dims` are the head sizes of the cache, which the reference implementation rounds apart. `fused` joins the projections.
    """

    hidden: int
    heads: int
    qk: int
    v: int
    state_dims: tuple[int, int]
    bias: bool = False
    fused: bool = False

    def tensors(self) -> Iterator[Tensor]:
        h, heads, qk, v, bias, by_head = self.hidden, self.heads, self.qk, self.v, self.bias, Shard(0, self.heads)
        if self.fused:
            yield from linear("qkv_opreact", 2 * (qk + v), h, "attention", bias=bias, shard=by_head)
            yield from linear("ifgate_preact", 2 * heads, h, "attention", bias=True, shard=by_head)
        else:
            for name, width in (("q", qk), ("k", qk), ("v", v), ("ogate_preact", v)):
                yield from linear(name, width, h, "attention", bias=bias, shard=by_head)
            for name in ("igate_preact", "fgate_preact"):
                yield from linear(name, heads, h, "attention", bias=True, shard=by_head)
        normed = v // heads * heads
        if bias:
            yield from layer_norm("multihead_norm", normed)
        else:
            yield rms_norm("multihead_norm", normed)
        yield from linear("out_proj", h, v, "attention", bias=bias, shard=Shard(1, heads))

    def caches(self) -> Iterator[Cache]:
        heads, (qk, v) = self.heads, self.state_dims
        states = tuple(State("recurrent", shape, heads) for shape in ((heads, qk, v), (heads, qk), (heads, 1)))
        yield Cache("state", states=states, recurrence="xlstm")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2405.04517, equations 19-21: C = f C + i v k^T, then C q. As for a gated delta rule without its correction.

        Per element of C: one multiplication to decay it, two operations each for the rank-one update and for C q.
        """
        qk, v = self.state_dims
        return 5 * self.heads * qk * v

    def width(self) -> int:
        """Queries, keys, values, the output gate and the output."""
        return 2 * self.qk + 3 * self.v

    def label(self) -> str:
        return f"mLSTM ({self.heads} x {self.qk // self.heads}/{self.v // self.heads})"
