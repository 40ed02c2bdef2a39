"""Mixers that convolve keys and values: ZAYA1's compressed convolutional attention, with experts chosen by a small network; Gear's.

Sources: Figliolia et al. 2025, arXiv:2510.04476 (CCA and CCGQA); Zyphra, ZAYA1 technical report 2025, arXiv:2511.17127 (the
router, which adds what the router before it saw); transformers 5.23, models/zaya/modeling_zaya.py; mlx-lm 0.32, models/gear.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.linear import causal_conv, conv_state
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Rotation, Shard, State, Step, Tensor
from archcalc.records import Frozen


class ConvolvedAttention(Frozen):
    """GQA whose queries and keys pass through two convolutions, per channel and then per head, over `kernels` tokens.

    Half of a value is projected from the token before.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    kernels: tuple[int, int]
    bias: bool = False
    window: int | None = None

    def _channels(self) -> int:
        return (self.heads + self.kv_heads) * self.head_dim

    def _half(self) -> int:
        return self.kv_heads * self.head_dim // 2

    def tensors(self) -> Iterator[Tensor]:
        h, units, channels = self.hidden, self.kv_heads, self._channels()
        q, k = self.heads * self.head_dim, self.kv_heads * self.head_dim
        by_head = Shard(0, units)
        widths = {"q_proj": q, "k_proj": k, "v_proj_current": self._half(), "v_proj_delayed": self._half()}
        for name, width in widths.items():
            yield from linear(f"qkv_proj.{name}", width, h, "attention", bias=self.bias, shard=by_head)
        yield from causal_conv("qkv_proj.conv_qk_depthwise", channels, self.kernels[0], units=units, bias=True)
        grouped = (channels, self.head_dim, self.kernels[1])
        yield Tensor("qkv_proj.conv_qk_grouped.weight", grouped, "attention", by_head)
        yield Tensor("qkv_proj.conv_qk_grouped.bias", (channels,), "attention", by_head)
        yield Tensor("qk_norm.temp", (self.kv_heads,), "norm", by_head)
        yield from linear("o_proj", h, q, "attention", bias=self.bias, shard=Shard(1, units))

    def caches(self) -> Iterator[Cache]:
        """Beside keys and values, what both convolutions reach back to, and the half of the next value that is already known."""
        yield Cache("full" if self.window is None else "sliding", self.kv_heads, self.head_dim, self.head_dim, self.window)
        convolved = conv_state(self._channels(), sum(self.kernels) - 1, self.kv_heads)._replace(trimmed=True)
        yield Cache("state", states=(convolved, State("recurrent", (self._half(),), self.kv_heads)), recurrence="short-conv")

    def attends(self) -> Iterator[Attend]:
        yield Attend(self.heads, self.head_dim, self.head_dim, self.window)

    def steps(self) -> Iterator[Step]:
        """The channels that turn are the config's to say."""
        yield Rotation(0)

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Queries and keys before and after each convolution, the value and the attention's output."""
        return 3 * self._channels() + (self.heads + self.kv_heads) * self.head_dim

    def label(self) -> str:
        text = f"convolved {head_sharing(self.heads, self.kv_heads)} ({self.heads}/{self.kv_heads} x {self.head_dim})"
        return text if self.window is None else f"{text}, window {self.window}"


class DeeplyRouted(Frozen):
    """Experts whose router is a network of width `router`, with a class more than experts: that of skipping them.

    With `carries` it adds what the layer before's router saw, scaled.
    """

    routed: MixtureOfExperts
    router: int
    carries: bool

    def steps(self) -> Iterator[Step]:
        return self.routed.steps()

    def tensors(self) -> Iterator[Tensor]:
        w, classes = self.router, self.routed.experts + 1
        yield from (t for t in self.routed.tensors() if t.role == "experts")
        yield from linear("gate.down_proj", w, self.routed.hidden, "router", bias=True)
        if self.carries:
            yield Tensor("gate.router_states_scale", (w,), "router")
        yield from prefixed("gate.router_mlp", (rms_norm("norm", w), *linear("fc1", w, w, "router", bias=True)))
        yield from linear("gate.router_mlp.fc2", w, w, "router", bias=True)
        yield from linear("gate.router_mlp.out_proj", classes, w, "router")
        yield Tensor("gate.balancing_biases", (classes,), "router", kind="router_bias")

    def width(self) -> int:
        """What the experts hold, and the router's layers."""
        return self.routed.width() + 4 * self.router

    def label(self) -> str:
        return f"{self.routed.label()} or none"


class ConvolvedGate(Frozen):
    """Values convolved over `kernel` tokens, gated by queries times convolved keys: no token sees further back than the kernel."""

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    kernel: int
    bias: bool = False

    def tensors(self) -> Iterator[Tensor]:
        h, q, kv = self.hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim
        for name in ("key_conv", "value_conv"):
            yield from causal_conv(name, kv, self.kernel, units=self.kv_heads, bias=self.bias)
        for name, width, units in (("q_proj", q, self.heads), ("k_proj", kv, self.kv_heads), ("v_proj", kv, self.kv_heads)):
            yield from linear(name, width, h, "attention", bias=self.bias, shard=Shard(0, units))
        yield from linear("o_proj", h, q, "attention", bias=self.bias, shard=Shard(1, self.heads))
        yield rms_norm("q_norm", self.head_dim)
        yield rms_norm("k_norm", self.head_dim)

    def caches(self) -> Iterator[Cache]:
        one = conv_state(self.kv_heads * self.head_dim, self.kernel, self.kv_heads)
        yield Cache("state", states=(one, one), recurrence="short-conv")

    def attends(self) -> Iterator[Attend]:
        return iter(())

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        """Queries times keys, a sigmoid and the product with values; the convolutions are counted with their weights."""
        return 3 * self.heads * self.head_dim

    def width(self) -> int:
        """Queries, keys and values, the convolved ones written out for each head, and the output."""
        return 4 * self.heads * self.head_dim + 2 * self.kv_heads * self.head_dim

    def label(self) -> str:
        return f"gated convolution of keys and values ({self.kernel} tokens)"
