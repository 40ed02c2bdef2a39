"""State-space mixers: Mamba and Mamba-2.

Sources: Gu and Dao 2023, arXiv:2312.00752 (Mamba, algorithm 2); Dao and Gu 2024, arXiv:2405.21060 (Mamba-2, section 7); transformers
5.23, models/mamba/modeling_mamba.py `MambaMixer` and models/mamba2/modeling_mamba2.py `Mamba2Mixer`; splits as in vLLM 0.33,
model_executor/layers/mamba/mamba_mixer.py and mamba_mixer2.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.linear import causal_conv, conv_state
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Shard, State, Step, Tensor
from archcalc.records import Frozen


class Mamba(Frozen):
    """Per channel a state of `state` numbers, with a step size, input and output that the token chooses.

    `inner` channels pass through a short convolution of `kernel` tokens; the step size comes from `step_rank` numbers. `norms` puts an
    RMSNorm on step, input and output (Jamba). `heads` keeps the small projections in one piece per head (Zamba).
    """

    hidden: int
    inner: int
    state: int
    step_rank: int
    kernel: int
    bias: bool = False
    conv_bias: bool = True
    norms: bool = False
    heads: int | None = None

    def tensors(self) -> Iterator[Tensor]:
        inner, by_channel, columns = self.inner, Shard(0, self.inner), Shard(1, self.inner)
        yield from linear("in_proj", 2 * inner, self.hidden, "attention", bias=self.bias, shard=by_channel)
        yield from causal_conv("conv1d", inner, self.kernel, units=inner, bias=self.conv_bias)
        if self.heads is None:
            yield from linear("x_proj", self.step_rank + 2 * self.state, inner, "attention", shard=columns)
            yield from linear("dt_proj", inner, self.step_rank, "attention", bias=True, shard=by_channel)
            yield Tensor("A_log", (inner, self.state), "attention", by_channel, acts="recurs")
            yield Tensor("D", (inner,), "attention", by_channel, acts="recurs")
        else:
            yield from self._by_head(self.heads, inner // self.heads)
        if self.norms:
            yield rms_norm("dt_layernorm", self.step_rank)
            yield rms_norm("b_layernorm", self.state)
            yield rms_norm("c_layernorm", self.state)
        yield from linear("out_proj", self.hidden, inner, "attention", bias=self.bias, shard=columns)

    def _by_head(self, heads: int, dim: int) -> Iterator[Tensor]:
        by_head = Shard(0, heads)
        yield Tensor("x_proj_weight", (heads, self.step_rank + 2 * self.state, dim), "attention", by_head)
        yield Tensor("dt_proj_weight", (heads, dim, self.step_rank), "attention", by_head)
        yield Tensor("dt_proj_bias", (heads, dim), "attention", by_head)
        yield Tensor("A_log", (heads, dim, self.state), "attention", by_head, acts="recurs")
        yield Tensor("D", (heads, dim), "attention", by_head, acts="recurs")

    def caches(self) -> Iterator[Cache]:
        recurrent = State("recurrent", (self.inner, self.state), self.inner, "fp32")
        yield Cache("state", states=(conv_state(self.inner, self.kernel, self.inner), recurrent), recurrence="mamba1")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2312.00752, equation 2a with 4 (discretized by the step size): h = exp(d A) h + d B x, then C h.

        Per element of h: one multiplication each for d A and the decay, two operations each for the new input and for C h.
        """
        return 6 * self.inner * self.state

    def width(self) -> int:
        """Input and gate, the input after the convolution, step size and output, and the small projections."""
        return 5 * self.inner + self.step_rank + 2 * self.state

    def label(self) -> str:
        return f"Mamba ({self.inner} channels x {self.state})"


class Mamba2(Frozen):
    """Per head a state `head_dim x state` with one decay for all of it; `groups` share the projections into and out of the state.

    One projection gives gate, input, both of those and the step size; input and those pass through a short convolution of `kernel`
    tokens. `gated_norm` normalizes the gated output. `asked` is the dtype that the config asks engines to keep the state in.
    """

    hidden: int
    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int
    bias: bool = False
    output_bias: bool = False
    conv_bias: bool = True
    gated_norm: bool = True
    asked: str | None = None

    def tensors(self) -> Iterator[Tensor]:
        inner, shared, by_head = self.heads * self.head_dim, 2 * self.groups * self.state, Shard(0, self.heads)
        yield from linear("in_proj", 2 * inner + shared + self.heads, self.hidden, "attention", bias=self.bias, shard=by_head)
        yield from causal_conv("conv1d", inner + shared, self.kernel, units=self.heads, bias=self.conv_bias)
        for name in ("dt_bias", "A_log", "D"):
            yield Tensor(name, (self.heads,), "attention", by_head, acts="recurs")
        if self.gated_norm:
            yield rms_norm("norm", inner)._replace(shard=by_head)
        yield from linear("out_proj", self.hidden, inner, "attention", bias=self.output_bias, shard=Shard(1, self.heads))

    def caches(self) -> Iterator[Cache]:
        """Input and group projections apart: past `groups` ranks, ranks hold copies of the latter only."""
        yield Cache(
            "state",
            states=(
                conv_state(self.heads * self.head_dim, self.kernel, self.heads),
                conv_state(2 * self.groups * self.state, self.kernel, self.groups),
                State("recurrent", (self.heads, self.head_dim, self.state), self.heads, "fp32", self.asked),
            ),
            recurrence="mamba2",
        )

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """arXiv:2405.21060, equation 2 with a scalar decay a: h = a h + B x, then C h.

        Per element of h: one multiplication to decay it, two operations each for the new input and for C h.
        """
        return 5 * self.heads * self.head_dim * self.state

    def width(self) -> int:
        """Gate, input and group projections, the last two once more after the convolution, and the output."""
        return 4 * self.heads * self.head_dim + 4 * self.groups * self.state

    def label(self) -> str:
        return f"Mamba-2 ({self.heads} x {self.head_dim}, state {self.state})"
