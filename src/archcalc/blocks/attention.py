"""Softmax attention over cached keys and values: MHA, GQA and MQA, full, sliding or chunked, with sinks, gates and QK-norm.

Sources: Vaswani et al. 2017, arXiv:1706.03762 (MHA); Shazeer 2019, arXiv:1911.02150 (MQA); Ainslie et al. 2023,
arXiv:2305.13245 (GQA); Beltagy et al. 2020, arXiv:2004.05150 (sliding window); Dehghani et al. 2023, arXiv:2302.05442 (QK-norm).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from archcalc.blocks._tensor import linear, transpose
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Attend, Cache, CacheKind, Rotation, Scores, Shard, Step, Tensor
from archcalc.records import Frozen

QkNorm = Literal["head", "full", "layernorm-head", "none"]
NORMALIZED: Mapping[QkNorm, str] = {
    "head": "RMSNorm per head", "full": "RMSNorm over all heads", "layernorm-head": "LayerNorm per head",
}  # fmt: skip
"""How queries and keys are normalized, in words."""


def head_sharing(heads: int, kv_heads: int) -> str:
    """MHA, GQA or MQA by how many keys and values serve the queries."""
    return "MHA" if kv_heads == heads else "MQA" if kv_heads == 1 else "GQA"


class GroupedQueryAttention(Frozen):
    """`kv_heads` keys and values serve `heads` queries (MHA where they are equal, MQA where there is one).

    `window` is how many tokens a query sees, itself included; with `chunked`, how long the chunk is that it shares.
    `qk_norm` normalizes queries and keys before the products: `head` with one gain of `head_dim` for all heads, `full` with a
    gain for every channel. `gated` doubles the query projection: its second half gates the output. `fused` names one projection for
    queries, keys
    and values together. `transposed` stores weights [in, out]. `own_kv=False` reads keys and values that an earlier layer cached.
    `output_width` is the output's where it is not the input's. `value_is_key` takes the key projection for values too; both are
    cached, as only keys are rotated. `gate` is the width of a projection of its own that gates the output: one number a head, or one a
    channel. `topk` is how many tokens an index beside it lets a query see; all are cached.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    bias: bool = False
    output_bias: bool = False
    window: int | None = None
    chunked: bool = False
    qk_norm: QkNorm = "none"
    sinks: bool = False
    gated: bool = False
    rope: bool = True
    own_kv: bool = True
    value_dim: int | None = None
    fused: str = ""
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj")
    norm_names: tuple[str, str] = ("q_norm", "k_norm")
    query_bias: bool | None = None
    transposed: bool = False
    output_width: int | None = None
    value_is_key: bool = False
    gate: int = 0
    gate_name: str = "g_proj"
    topk: int | None = None

    def _value_dim(self) -> int:
        return self.head_dim if self.value_dim is None else self.value_dim

    def tensors(self) -> Iterator[Tensor]:
        return map(transpose, self._tensors()) if self.transposed else self._tensors()

    def _tensors(self) -> Iterator[Tensor]:
        q, k, v, o = self.names
        q_dim, k_dim, v_dim = self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self._value_dim()
        if self.fused:
            yield from linear(
                self.fused, q_dim + k_dim + v_dim, self.hidden, "attention", bias=self.bias, shard=Shard(0, self.kv_heads)
            )
        else:
            query_bias = self.bias if self.query_bias is None else self.query_bias
            yield from linear(
                q, q_dim * (2 if self.gated else 1), self.hidden, "attention", bias=query_bias, shard=Shard(0, self.heads)
            )
            if self.own_kv:
                yield from linear(k, k_dim, self.hidden, "attention", bias=self.bias, shard=Shard(0, self.kv_heads))
                if not self.value_is_key:
                    yield from linear(v, v_dim, self.hidden, "attention", bias=self.bias, shard=Shard(0, self.kv_heads))
        out_dim = self.heads * self._value_dim()
        width = self.output_width or self.hidden
        yield from linear(o, width, out_dim, "attention", bias=self.output_bias, shard=Shard(1, self.heads))
        if self.gate:
            yield from linear(self.gate_name, self.gate, self.hidden, "attention", shard=Shard(0, self.heads))
        yield from self._norms()
        if self.sinks:
            yield Tensor("sinks", (self.heads,), "attention", Shard(0, self.heads), acts="sinks")

    def _norms(self) -> Iterator[Tensor]:
        q, k = self.norm_names
        if self.qk_norm == "head":
            yield rms_norm(q, self.head_dim)
            if self.own_kv:
                yield rms_norm(k, self.head_dim)
        elif self.qk_norm == "full":
            yield rms_norm(q, self.heads * self.head_dim)
            yield rms_norm(k, self.kv_heads * self.head_dim)
        elif self.qk_norm == "layernorm-head":
            yield from layer_norm(q, self.head_dim)
            yield from layer_norm(k, self.head_dim)

    def caches(self) -> Iterator[Cache]:
        if self.own_kv:
            kind: CacheKind = "full" if self.window is None else "chunked" if self.chunked else "sliding"
            yield Cache(kind, self.kv_heads, self.head_dim, self._value_dim(), self.window)

    def attends(self) -> Iterator[Attend]:
        yield Attend(self.heads, self.head_dim, self._value_dim(), self.topk or self.window)

    def steps(self) -> Iterator[Step]:
        """The channels that turn are the config's to say."""
        if self.rope:
            yield Rotation(0)
        if self.sinks:
            yield Scores(sinks="column")

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Queries (and their gate), keys, values and the attention's output."""
        query = self.heads * self.head_dim * (2 if self.gated else 1)
        return query + self.gate + self.kv_heads * (self.head_dim + self._value_dim()) + self.heads * self._value_dim()

    def label(self) -> str:
        text = f"{head_sharing(self.heads, self.kv_heads)} ({self.heads}/{self.kv_heads} x {self.head_dim})"
        if self.window is not None:
            text += f", {'chunk' if self.chunked else 'window'} {self.window}"
        if self.topk is not None:
            text += f", sparse top-{self.topk}"
        if not self.rope:
            text += ", NoPE"
        if self.gated or self.gate:
            text += ", gated"
        if not self.own_kv:
            text += ", shared KV"
        return text


class KeyIndex(Frozen):
    """Small heads beside an attention that choose what its queries see: one key of `dim` a token, cached once.

    `fused` names one projection for the queries and the key.
    """

    hidden: int
    heads: int
    dim: int
    fused: str = ""
    norm_names: tuple[str, str] = ("q_norm", "k_norm")

    def tensors(self) -> Iterator[Tensor]:
        if self.fused:
            yield from linear(self.fused, (self.heads + 1) * self.dim, self.hidden, "attention")
            for name in self.norm_names:
                yield rms_norm(name, self.dim)
            return
        yield from linear("q_proj", self.heads * self.dim, self.hidden, "attention", shard=Shard(0, self.heads))
        yield from linear("k_proj", self.dim, self.hidden, "attention")
        for name in self.norm_names:
            yield rms_norm(name, self.dim)

    def caches(self) -> Iterator[Cache]:
        yield Cache("index", 1, self.dim, 0)

    def attends(self) -> Iterator[Attend]:
        yield Attend(self.heads, self.dim, 0)

    def steps(self) -> Iterator[Step]:
        return iter(())

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Queries and the key."""
        return (self.heads + 1) * self.dim

    def label(self) -> str:
        return f"index ({self.heads} x {self.dim})"
