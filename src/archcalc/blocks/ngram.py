"""Embeddings of hashed n-grams, which a gate admits into each residual stream of a layer.

Each head hashes n-grams of one length into a table of its own, whose rows are a prime: those from a base on, in order, so that no two
tables of a model have the same.

Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py (`Qwen4ExpTextNGramEmbedding`, `Qwen4ExpTextPLELayer`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from archcalc.blocks._tensor import linear
from archcalc.blocks.linear import causal_conv
from archcalc.blocks.norm import rms_norm
from archcalc.model import Shard, State, Tensor
from archcalc.records import Frozen

# Enough for any number below 3.3e24 (Sorenson and Webster 2015, arXiv:1509.00986).
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)


def _is_prime(n: int) -> bool:
    """The test of Miller and Rabin, exact for numbers of this size."""
    if n < 2:
        return False
    for p in _WITNESSES:
        if n % p == 0:
            return n == p
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    # The least number that four witnesses take for a prime (Jaeschke 1993, Mathematics of Computation 61, table 1).
    for base in _WITNESSES[:4] if n < 3_215_031_751 else _WITNESSES:
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


@lru_cache(maxsize=8)
def primes(base: int, count: int) -> tuple[int, ...]:
    """The first `count` primes from `base` on.

    >>> primes(10, 3)
    (11, 13, 17)
    """
    found: list[int] = []
    n = base
    while len(found) < count:
        if _is_prime(n):
            found.append(n)
        n += 1
    return tuple(found)


class NGrams(Frozen):
    """What one layer adds to its `streams` streams of `hidden`: the `index`-th of the model's layers that do so.

    `heads` tables for each length from 2 to `size`; their rows together are padded to a multiple of `multiple`, and published in
    `parts` pieces.
    """

    hidden: int
    streams: int
    width: int
    size: int
    heads: int
    base: int
    multiple: int
    parts: int
    kernel: int
    index: int

    def rows(self) -> int:
        tables = (self.size - 1) * self.heads
        total = sum(primes(self.base, (self.index + 1) * tables)[self.index * tables :])
        return -(-total // self.multiple) * self.multiple

    def tensors(self) -> Iterator[Tensor]:
        tables, width, rows = (self.size - 1) * self.heads, self.streams * self.hidden, self.rows()
        name = "ple_embedding.ngram_embedding"
        pieces = tuple(f"{name}.shard_{i}.weight" for i in range(self.parts)) if rows % self.parts == 0 else ()
        yield Tensor(f"{name}.weight", (rows, self.width // tables), "embedding", Shard(0, rows), stored=pieces, rows_read=tables)
        for end, count in (("layer_multipliers", self.size), ("ngram_heads_vocab_sizes", tables), ("ngram_heads_offsets", tables)):
            yield Tensor(f"ple_embedding.{end}", (count,), "other", kind="copy", dtype="I64", acts="indexes")
        yield from linear("key_proj", width, self.width, "other")
        yield from linear("value_proj", self.hidden, self.width, "other")
        for end in ("key", "query", "conv"):
            yield rms_norm(f"norm_{end}", width)
        yield from causal_conv("conv1d", width, self.kernel, units=1)

    def states(self) -> tuple[State, State]:
        """What the convolution still needs, whose taps are as far apart as an n-gram is long, and the tokens of an unfinished n-gram."""
        width = State("recurrent", (self.streams * self.hidden, (self.kernel - 1) * self.size), 1)
        return width, State("ids", (self.size - 1,), 1, "int64")
