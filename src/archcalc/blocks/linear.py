"""Attention whose past is a state of fixed size: Gated DeltaNet and lightning attention.

Sources: Yang et al. 2024, arXiv:2412.06464 (Gated DeltaNet); Qin et al. 2024, arXiv:2401.04658 (Lightning Attention-2), and
MiniMax-01, arXiv:2501.08313, section 2.2 (as used there, with an output gate); transformers 5.23,
models/qwen3_next/modeling_qwen3_next.py `Qwen3NextGatedDeltaNet` and models/minimax/modeling_minimax.py
`MiniMaxLightningAttention`.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Shard, State, Step, Tensor
from archcalc.records import Frozen


def causal_conv(name: str, channels: int, kernel: int, *, units: int, bias: bool = False) -> Iterator[Tensor]:
    """A depthwise convolution over the last `kernel` tokens: one filter per channel."""
    yield Tensor(f"{name}.weight", (channels, 1, kernel), "attention", Shard(0, units))
    if bias:
        yield Tensor(f"{name}.bias", (channels,), "attention", Shard(0, units))


def conv_state(channels: int, kernel: int, units: int) -> State:
    """The inputs that the next step's convolution still needs: `kernel - 1`, as the newest input is the step's own."""
    return State("conv", (channels, kernel - 1), units)


class GatedDeltaNet(Frozen):
    """Per value head a matrix `value_dim x key_dim` that decays, forgets what it held under the new key, and learns the new pair.

    Each of `key_heads` serves `value_heads / key_heads` value heads. Queries, keys and values pass through one short convolution
    of `kernel` tokens; the output is normalized per head and gated. `fused` is the layout of Qwen3-Next: one projection for
    queries, keys, values and gate, one for beta and decay; without it Qwen3.5's four projections. `asked` is the dtype that the
    config asks engines to keep the matrices in. `apart` is OLMo Hybrid's: a projection for each.
    """

    hidden: int
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    fused: bool = False
    asked: str | None = None
    apart: bool = False

    def _widths(self) -> tuple[int, int]:
        return self.key_heads * self.key_dim, self.value_heads * self.value_dim

    def tensors(self) -> Iterator[Tensor]:
        h, heads = self.hidden, self.value_heads
        keys, values = self._widths()
        by_key, by_value = Shard(0, self.key_heads), Shard(0, heads)
        if self.apart:
            yield from self._apart(keys, values)
            return
        if self.fused:
            yield from linear("in_proj_qkvz", 2 * keys + 2 * values, h, "attention", shard=by_key)
            yield from linear("in_proj_ba", 2 * heads, h, "attention", shard=by_key)
        else:
            yield from linear("in_proj_qkv", 2 * keys + values, h, "attention", shard=by_key)
            yield from linear("in_proj_z", values, h, "attention", shard=by_value)
            yield from linear("in_proj_b", heads, h, "attention", shard=by_value)
            yield from linear("in_proj_a", heads, h, "attention", shard=by_value)
        yield from causal_conv("conv1d", 2 * keys + values, self.kernel, units=self.key_heads)
        yield Tensor("dt_bias", (heads,), "attention", by_value, acts="recurs")
        yield Tensor("A_log", (heads,), "attention", by_value, acts="recurs")
        yield rms_norm("norm", self.value_dim)
        yield from linear("out_proj", h, values, "attention", shard=Shard(1, heads))

    def _apart(self, keys: int, values: int) -> Iterator[Tensor]:
        h, heads, by_key, by_value = self.hidden, self.value_heads, Shard(0, self.key_heads), Shard(0, self.value_heads)
        for name, width, shard in (("q", keys, by_key), ("k", keys, by_key), ("v", values, by_value)):
            yield from linear(f"{name}_proj", width, h, "attention", shard=shard)
        for name, width in (("a", heads), ("b", heads), ("g", values)):
            yield from linear(f"{name}_proj", width, h, "attention", shard=by_value)
        yield from causal_conv("conv1d", 2 * keys + values, self.kernel, units=self.key_heads)
        yield Tensor("A_log", (heads,), "attention", by_value, acts="recurs")
        yield Tensor("dt_bias", (heads,), "attention", by_value, acts="recurs")
        yield rms_norm("o_norm", self.value_dim)
        yield from linear("o_proj", h, values, "attention", shard=Shard(1, heads))

    def caches(self) -> Iterator[Cache]:
        """The reference implementation keeps the matrices in fp32 whatever the model's dtype."""
        keys, values = self._widths()
        recurrent = State("recurrent", (self.value_heads, self.value_dim, self.key_dim), self.value_heads, "fp32", self.asked)
        states = (conv_state(2 * keys + values, self.kernel, self.key_heads), recurrent)
        yield Cache("state", states=states, recurrence="gated-delta")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2412.06464, equation 10, step by step: S = a S (I - b k k^T) + b v k^T, then S q.

        Per element of S: one multiplication to decay it, two operations each for S k, for the rank-one update and for S q.
        Lower-order terms (the gates, the L2 norms of q and k) are left out.
        """
        return 7 * self.value_heads * self.value_dim * self.key_dim

    def width(self) -> int:
        """Projected queries, keys, values and gate, the first three once more after the convolution, and the output."""
        keys, values = self._widths()
        return 4 * keys + 4 * values

    def label(self) -> str:
        return f"Gated DeltaNet ({self.value_heads}/{self.key_heads} x {self.value_dim}/{self.key_dim})"


class JetBlock(GatedDeltaNet):
    """Gated DeltaNet (Gu et al. 2025, arXiv:2508.15884, section 2.3) where values alone pass a convolution, whose kernel a small network
    makes anew for each token: `reduction` is how much narrower that network is inside than the values."""

    reduction: int = 1

    def tensors(self) -> Iterator[Tensor]:
        values, inside = self._widths()[1], self._widths()[1] // self.reduction
        yield from (t for t in self._apart(*self._widths()) if not t.name.startswith("conv1d."))
        generator = "dynamic_conv1d.kernel_generator"
        yield from linear(f"{generator}.w1", inside, self.hidden, "attention")
        yield from linear(f"{generator}.w2", values * self.kernel, inside, "attention", bias=True)

    def caches(self) -> Iterator[Cache]:
        values = self._widths()[1]
        recurrent = State("recurrent", (self.value_heads, self.value_dim, self.key_dim), self.value_heads, "fp32", self.asked)
        yield Cache("state", states=(conv_state(values, self.kernel, self.value_heads), recurrent), recurrence="gated-delta")


class LightningAttention(Frozen):
    """Attention without a softmax: per head a matrix `head_dim x head_dim` with a fixed decay, its output normalized and gated."""

    hidden: int
    heads: int
    head_dim: int

    def tensors(self) -> Iterator[Tensor]:
        width, by_head = self.heads * self.head_dim, Shard(0, self.heads)
        yield from linear("qkv_proj", 3 * width, self.hidden, "attention", shard=by_head)
        yield from linear("output_gate", width, self.hidden, "attention", shard=by_head)
        yield rms_norm("norm", width)._replace(shard=by_head)
        yield from linear("out_proj", self.hidden, width, "attention", shard=Shard(1, self.heads))

    def caches(self) -> Iterator[Cache]:
        state = State("recurrent", (self.heads, self.head_dim, self.head_dim), self.heads)
        yield Cache("state", states=(state,), recurrence="lightning")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2401.04658, linear attention with decay in its recurrent form: S = r S + k^T v, then q S.

        Per element of S: one multiplication to decay it, two operations each for the rank-one update and for q S.
        """
        return 5 * self.heads * self.head_dim**2

    def width(self) -> int:
        """Queries, keys, values, the gate and the output."""
        return 5 * self.heads * self.head_dim

    def label(self) -> str:
        return f"lightning attention ({self.heads} x {self.head_dim})"
