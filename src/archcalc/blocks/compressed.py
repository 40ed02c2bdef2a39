"""Attention over a window and, beyond it, over tokens compressed into few rows: CSA and HCA of DeepSeek-V4.

Sources: DeepSeek-V4 technical report 2026, section 2 (compressed sparse and heavily compressed attention); transformers 5.23,
models/deepseek_v4/modeling_deepseek_v4.py `DeepseekV4Attention`, `DeepseekV4CSACompressor`, `DeepseekV4HCACompressor`; vLLM 0.33,
models/deepseek_v4/ (compressor states).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Attend, Cache, Rotation, Scores, Shard, State, Step, Tensor
from archcalc.records import Frozen

# Checkpoints leave the compressors and the indexer's weights out of quantization.
PLAIN = "BF16"


class Compressor(Frozen):
    """Turns every `rate` tokens into one row of `dim` by a gated sum with a learned weight for each place.

    Rows that `overlap` sum over their own tokens and those of the row before, with a projection for either.
    """

    hidden: int
    dim: int
    rate: int
    overlap: bool

    @property
    def width(self) -> int:
        return self.dim * (2 if self.overlap else 1)

    def tensors(self) -> Iterator[Tensor]:
        yield Tensor("position_bias", (self.rate, self.width), "attention")
        for name in ("kv_proj", "gate_proj"):
            yield Tensor(f"{name}.weight", (self.width, self.hidden), "attention", dtype=PLAIN)
        yield rms_norm("kv_norm", self.dim)

    def buffer(self) -> State:
        """Projections and gates of the tokens of one row or, where rows overlap, of two."""
        return State("buffer", (2 * self.width, self.rate * (2 if self.overlap else 1)), 1, "fp32")


class CompressedAttention(Frozen):
    """One key of `dim`, which is its value too, serves all heads; queries and the output are projected in two steps.

    Every layer sees the last `window` tokens. `rate` compresses those before by so much: all rows are seen, or, with an indexer of
    `index_heads` x `index_dim`, the `topk` rows it scores highest. Output groups of `o_rank` each read an equal share of the heads.
    """

    hidden: int
    heads: int
    dim: int
    q_rank: int
    groups: int
    o_rank: int
    window: int
    rate: int | None = None
    index_heads: int = 0
    index_dim: int = 0
    topk: int = 0

    def tensors(self) -> Iterator[Tensor]:
        h, width, mid = self.hidden, self.heads * self.dim, self.groups * self.o_rank
        yield Tensor("sinks", (self.heads,), "attention", Shard(0, self.heads), acts="sinks")
        yield from linear("q_a_proj", self.q_rank, h, "attention")
        yield rms_norm("q_a_norm", self.q_rank)
        yield from linear("q_b_proj", width, self.q_rank, "attention", shard=Shard(0, self.heads))
        yield from linear("kv_proj", self.dim, h, "attention")
        yield rms_norm("kv_norm", self.dim)
        yield from linear("o_a_proj", mid, width // self.groups, "attention", shard=Shard(0, self.groups))
        yield from linear("o_b_proj", h, mid, "attention", shard=Shard(1, self.groups))
        for name, compressor in self._compressors():
            for t in compressor.tensors():
                yield t._replace(name=f"{name}.{t.name}")
        if self.topk:
            index = self.index_heads * self.index_dim
            yield from linear("compressor.indexer.q_b_proj", index, self.q_rank, "attention")
            yield Tensor("compressor.indexer.scorer.weights_proj.weight", (self.index_heads, h), "attention", dtype=PLAIN)

    def _compressors(self) -> Iterator[tuple[str, Compressor]]:
        if self.rate is not None:
            yield "compressor", Compressor(self.hidden, self.dim, self.rate, self.topk > 0)
            if self.topk:
                yield "compressor.indexer", Compressor(self.hidden, self.index_dim, self.rate, True)

    def caches(self) -> Iterator[Cache]:
        """Key and value are one row, which the reference keeps twice where no compressor stands beside it. The
        compressed rows' tokens wait in fp32 buffers, as engines keep them."""
        yield Cache("sliding", 1, self.dim, 0, self.window, twice=self.rate is None)
        for name, c in self._compressors():
            yield Cache("index" if name.endswith("indexer") else "latent", 1, c.dim, 0, states=(c.buffer(),), compress=c.rate)

    def attends(self) -> Iterator[Attend]:
        yield Attend(self.heads, self.dim, self.dim, self.window)
        if self.rate is not None:
            yield Attend(self.heads, self.dim, self.dim, self.topk or None, self.rate)
        if self.topk:
            yield Attend(self.index_heads, self.index_dim, 0, None, self.rate or 1)

    def steps(self) -> Iterator[Step]:
        yield Rotation(0)
        yield Scores(sinks="column")

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Compressed and full queries, the key, the heads' output and its groups, and what is to be compressed."""
        compressed = sum(2 * c.width for _, c in self._compressors())
        return self.q_rank + 2 * self.heads * self.dim + self.dim + self.groups * self.o_rank + compressed

    def label(self) -> str:
        text = f"MQA ({self.heads}/1 x {self.dim}, K = V), window {self.window}"
        if self.rate is None:
            return text
        return f"{text}, {f'CSA 1/{self.rate} top-{self.topk}' if self.topk else f'HCA 1/{self.rate}'}"
