"""Multi-head latent attention (MLA), with or without the lightning indexer of sparse attention.

Sources: DeepSeek-V2, arXiv:2405.04434, section 2.1 and equations 9-19; DeepSeek-V3.2, arXiv:2512.02556 (indexer);
transformers 5.23, models/deepseek_v3/modeling_deepseek_v3.py `DeepseekV3Attention`.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Attend, Cache, Rotation, Shard, State, Step, Tensor
from archcalc.records import Frozen


class Indexer(Frozen):
    """Scores cached tokens with small heads and keeps the best `topk`: one key of `dim` a token, cached once.

    `pool` sums the keys of so many tokens into one, gated and weighted by place, and scores those (GLM-5.3-Flash).
    """

    hidden: int
    q_rank: int
    heads: int
    dim: int
    topk: int
    pool: int | None = None

    def tensors(self) -> Iterator[Tensor]:
        yield from linear("wq_b", self.heads * self.dim, self.q_rank, "attention")
        yield from linear("wk", self.dim, self.hidden, "attention")
        yield from layer_norm("k_norm", self.dim)
        yield from linear("weights_proj", self.heads, self.hidden, "attention")
        if self.pool is not None:
            yield Tensor("index_kpool_compress_ape", (self.pool, self.dim), "attention")
            yield Tensor("index_kpool_compress_gate", (self.dim, self.hidden), "attention")

    def cache(self) -> Cache:
        """Where keys are pooled, those of the last few tokens wait with their gates."""
        if self.pool is None:
            return Cache("index", 1, self.dim, 0)
        return Cache(
            "index", 1, self.dim, 0, states=(State("buffer", (2 * self.dim, self.pool), 1),), compress=self.pool, unpooled=True
        )


class LatentAttention(Frozen):
    """Keys and values are up-projections of one cached latent of `kv_rank`, beside one rotary key of `rope_dim` for all heads.

    `q_rank` None projects queries at full rank. `topk` without an `indexer` attends to the tokens that an earlier layer's indexer
    chose. The latent is replicated on every tensor-parallel rank: it has no heads to split. `window` is how many tokens a query sees.
    """

    hidden: int
    heads: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int
    q_rank: int | None = None
    bias: bool = False
    indexer: Indexer | None = None
    topk: int | None = None
    window: int | None = None
    query_dim: int | None = None

    def tensors(self) -> Iterator[Tensor]:
        qk_dim = self.query_dim or self.nope_dim + self.rope_dim
        by_head = Shard(0, self.heads)
        if self.q_rank is None:
            yield from linear("q_proj", self.heads * qk_dim, self.hidden, "attention", shard=by_head)
        else:
            yield from linear("q_a_proj", self.q_rank, self.hidden, "attention", bias=self.bias)
            yield rms_norm("q_a_layernorm", self.q_rank)
            yield from linear("q_b_proj", self.heads * qk_dim, self.q_rank, "attention", shard=by_head)
        yield from linear("kv_a_proj_with_mqa", self.kv_rank + self.rope_dim, self.hidden, "attention", bias=self.bias)
        yield rms_norm("kv_a_layernorm", self.kv_rank)
        yield from linear("kv_b_proj", self.heads * (self.nope_dim + self.v_dim), self.kv_rank, "attention", shard=by_head)
        yield from linear("o_proj", self.hidden, self.heads * self.v_dim, "attention", bias=self.bias, shard=Shard(1, self.heads))
        if self.indexer is not None:
            for t in self.indexer.tensors():
                yield t._replace(name=f"indexer.{t.name}")

    def caches(self) -> Iterator[Cache]:
        yield Cache("latent", 1, self.kv_rank, self.rope_dim, self.window)
        if self.indexer is not None:
            yield self.indexer.cache()

    def attends(self) -> Iterator[Attend]:
        """As computed in prefill, per head on the up-projected keys and values; sparse attention sees `topk` of them."""
        topk = self.indexer.topk if self.indexer is not None else self.topk
        yield Attend(self.heads, self.nope_dim + self.rope_dim, self.v_dim, topk or self.window)
        if self.indexer is not None:
            yield Attend(self.indexer.heads, self.indexer.dim, 0, None, self.indexer.pool or 1)

    def steps(self) -> Iterator[Step]:
        """Queries and keys are put together of a part that turns and one that does not."""
        if self.rope_dim:
            yield Rotation(self.rope_dim, joined=True)

    def scan_flops(self) -> int:
        return 0

    def width(self) -> int:
        """Compressed and full queries, latent, up-projected keys and values, output."""
        qk_dim = self.nope_dim + self.rope_dim
        compressed = (self.q_rank or 0) + self.kv_rank + self.rope_dim
        return compressed + self.heads * (2 * qk_dim + 2 * self.v_dim)

    def label(self) -> str:
        text = f"MLA ({self.heads} heads, latent {self.kv_rank}+{self.rope_dim})"
        if self.indexer is not None:
            text += f", sparse top-{self.indexer.topk}"
        elif self.topk is not None:
            text += f", sparse top-{self.topk} (shared index)"
        if self.window is not None:
            text += f", window {self.window}"
        return text
