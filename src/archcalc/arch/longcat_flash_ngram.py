"""LongCat-Flash-Lite: LongCat-Flash with an embedding of hashed n-grams beside that of tokens.

Source: meituan-longcat/LongCat-Flash-Lite, modeling_longcat_ngram.py; vLLM 0.33, models/longcat_flash_ngram.py (`NgramEmbedding`: a table
for each length and split, each two rows longer than the one before, and a projection for each).
"""

from collections.abc import Iterator

from archcalc.arch import longcat_flash
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.model import Architecture, Shard, Tensor


class Schema(longcat_flash.Schema):
    core_keys = (*longcat_flash.Schema.core_keys, "ngram_vocab_size_ratio", "emb_neighbor_num", "emb_split_num")

    ngram_vocab_size_ratio: Size
    emb_neighbor_num: Size
    emb_split_num: Size

    def ngrams(self) -> Iterator[Tensor]:
        h, tables = self.hidden_size, self.emb_split_num * (self.emb_neighbor_num - 1)
        width = divided(h, max(tables, 1), "hidden_size", "emb_split_num x (emb_neighbor_num - 1)")
        for i in range(tables):
            rows = self.ngram_vocab_size_ratio * self.vocab_size + 2 * i + 1
            yield Tensor(f"embedders.{i}.weight", (rows, width), "embedding", Shard(0, rows), rows_read=1)
            yield from linear(f"post_projs.{i}", h, width, "embedding")

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        tables = group("embedding", prefixed(join(prefix, "ngram_embeddings"), self.ngrams()))
        said = ("n-grams", f"of 2 to {self.emb_neighbor_num} tokens, {self.emb_split_num} tables for each length")
        facts = a.facts._replace(more=(*a.facts.more, said))
        return a._replace(groups=(*a.groups, tables), facts=facts)
