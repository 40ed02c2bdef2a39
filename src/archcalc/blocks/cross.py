"""Cross-attention: a decoder's queries over what an encoder made of the other sequence.

Its keys and values are as long as the encoder's output, not as the decoder's text, so they are no part of a layer's `Cache`.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear, transpose
from archcalc.model import Shard, Tensor
from archcalc.records import Frozen


class CrossAttention(Frozen):
    """Multi-head attention of `hidden` over a source of width `source`. `fused` names one projection for keys and values.

    `transposed` stores weights [in, out]."""

    hidden: int
    heads: int
    head_dim: int
    source: int = 0
    bias: bool = True
    output_bias: bool = True
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "out_proj")
    fused: str = ""
    transposed: bool = False

    def tensors(self) -> Iterator[Tensor]:
        return map(transpose, self._tensors()) if self.transposed else self._tensors()

    def _tensors(self) -> Iterator[Tensor]:
        q, k, v, o = self.names
        width, source, rows = self.heads * self.head_dim, self.source or self.hidden, Shard(0, self.heads)
        yield from linear(q, width, self.hidden, "attention", bias=self.bias, shard=rows)
        if self.fused:
            yield from linear(self.fused, 2 * width, source, "attention", bias=self.bias, shard=rows)
        else:
            yield from linear(k, width, source, "attention", bias=self.bias, shard=rows)
            yield from linear(v, width, source, "attention", bias=self.bias, shard=rows)
        yield from linear(o, self.hidden, width, "attention", bias=self.output_bias, shard=Shard(1, self.heads))
