"""Attention over a window and over compressed rows that few layers make and many read (CSA2 of DeepSeek-V4.1).

Source: deepseek-ai/DeepSeek-V4.1-Flash, inference/model.py (`Attention`, `Compressor`, `Indexer`).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Rotation, Scores, Shard, State, Step, Tensor
from archcalc.records import Frozen

# Compressors and index keys are never quantized.
PLAIN = "BF16"


class SharedLatentAttention(Frozen):
    """One key of `dim`, its value too, serves all heads; queries and the output are projected in two steps.

    Every layer sees the last `window` tokens and, with `ratio`, the `topk` best of rows that stand for `ratio` tokens each. A layer
    that `owns` makes and keeps those rows and their index keys; one that `indexes` chooses anew, the others read the last choice.
    """

    hidden: int
    heads: int
    dim: int
    q_rank: int
    groups: int
    o_rank: int
    window: int
    ratio: int = 0
    owns: bool = False
    indexes: bool = False
    index_heads: int = 0
    index_dim: int = 0
    topk: int = 0

    def tensors(self) -> Iterator[Tensor]:
        h, width, mid = self.hidden, self.heads * self.dim, self.groups * self.o_rank
        yield Tensor("attn_sink", (self.heads,), "attention", Shard(0, self.heads), dtype="F32")
        yield from linear("wq_a", self.q_rank, h, "attention")
        yield rms_norm("q_norm", self.q_rank)
        yield from linear("wq_b", width, self.q_rank, "attention", shard=Shard(0, self.heads))
        yield from linear("wkv", self.dim, h, "attention")
        yield rms_norm("kv_norm", self.dim)
        yield from linear("wo_a", mid, width // self.groups, "attention", shard=Shard(0, self.groups))
        yield from linear("wo_b", h, mid, "attention", shard=Shard(1, self.groups))
        if self.owns:
            for name in ("wkv", "wgate") if self.ratio > 1 else ("wkv",):
                yield Tensor(f"compressor.{name}.weight", (self.dim, h), "attention", dtype=PLAIN)
            yield rms_norm("compressor.norm", self.dim)
        if self.indexes:
            yield from linear("indexer.wq_b", self.index_heads * self.index_dim, self.q_rank, "attention")
            yield Tensor("indexer.weights_proj.weight", (self.index_heads, h), "attention", dtype=PLAIN)
            if self.owns:
                yield Tensor("indexer.wk.weight", (self.index_dim, self.dim), "attention", dtype=PLAIN)
                yield rms_norm("indexer.k_norm", self.index_dim)

    def caches(self) -> Iterator[Cache]:
        yield Cache("sliding", 1, self.dim, 0, self.window)
        if self.owns:
            # Projections and gates of the tokens of a row that is not full yet.
            waiting = (State("buffer", (2 * self.dim, self.ratio), 1, "fp32"),) if self.ratio > 1 else ()
            yield Cache("latent", 1, self.dim, 0, states=waiting, compress=self.ratio)
            yield Cache("index", 1, self.index_dim, 0, compress=self.ratio)

    def attends(self) -> Iterator[Attend]:
        yield Attend(self.heads, self.dim, self.dim, self.window)
        if self.ratio:
            yield Attend(self.heads, self.dim, self.dim, self.topk, self.ratio)
        if self.indexes:
            yield Attend(self.index_heads, self.index_dim, 0, None, self.ratio)

    def steps(self) -> Iterator[Step]:
        yield Rotation(0)
        yield Scores(sinks="column")

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Compressed and full queries, the key, the heads' output and its groups, and what is to be compressed."""
        compressed = 2 * self.dim if self.owns else 0
        return self.q_rank + 2 * self.heads * self.dim + self.dim + self.groups * self.o_rank + compressed

    def label(self) -> str:
        text = f"MQA ({self.heads}/1 x {self.dim}, K = V), window {self.window}"
        if not self.ratio:
            return text
        part = "makes rows" if self.owns else "chooses rows" if self.indexes else "reads rows"
        return f"{text}, CSA2 1/{self.ratio} top-{self.topk} ({part})"
