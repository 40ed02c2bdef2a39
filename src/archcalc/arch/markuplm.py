"""MarkupLM: BERT that also knows where each word stands in the tree of a page.

Source: transformers 5.24, models/markuplm/modeling_markuplm.py (`MarkupLMModel` and its classes) and configuration_markuplm.py (defaults);
Li et al. 2021, arXiv:2110.08518.
"""

from collections.abc import Iterator

from archcalc.arch._bert_alone import BertAlone
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(BertAlone):
    root = "markuplm"
    inert_keys = (*BertAlone.inert_keys, "tag_pad_id", "subs_pad_id")

    max_xpath_tag_unit_embeddings: Size = 256
    max_xpath_subs_unit_embeddings: Size = 1024
    xpath_unit_hidden_size: Size = 32
    max_depth: Size = 50

    def pooled(self, named: str) -> bool:
        return not named.endswith(("ForQuestionAnswering", "ForTokenClassification"))

    def tables(self) -> Iterator[Tensor]:
        h, unit, depth, at = self.hidden_size, self.xpath_unit_hidden_size, self.max_depth, "xpath_embeddings"
        yield from super().tables()
        yield from linear(f"{at}.xpath_unitseq2_embeddings", h, depth * unit, "embedding", bias=True)
        yield from linear(f"{at}.xpath_unitseq2_inner", 4 * h, depth * unit, "embedding", bias=True)
        yield from linear(f"{at}.inner2emb", h, 4 * h, "embedding", bias=True)
        for i in range(depth):
            yield table(f"{at}.xpath_tag_sub_embeddings.{i}", self.max_xpath_tag_unit_embeddings, unit)
            yield table(f"{at}.xpath_subs_sub_embeddings.{i}", self.max_xpath_subs_unit_embeddings, unit)
