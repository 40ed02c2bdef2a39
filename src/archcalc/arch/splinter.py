"""Splinter: BERT that answers by choosing where an answer begins and ends.

Source: transformers 5.24, models/splinter/modeling_splinter.py (`SplinterModel`, `SplinterForQuestionAnswering`,
`QuestionAwareSpanSelectionHead`) and configuration_splinter.py (defaults); Ram et al. 2021, arXiv:2101.00438.
"""

from collections.abc import Iterable

from archcalc.arch._bert_alone import BertAlone
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(BertAlone):
    root = "splinter"
    inert_keys = (*BertAlone.inert_keys,)

    def pooled(self, named: str) -> bool:
        return False

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith(("ForQuestionAnswering", "ForPreTraining")):
            return super().head_of(name)
        h, made = self.hidden_size, list[Tensor]()
        for end in ("query_start", "query_end", "start", "end"):
            made += linear(f"splinter_qass.{end}_transform.dense", h, h, "head", bias=True)
            made += layer_norm(f"splinter_qass.{end}_transform.LayerNorm", h)
        for end in ("start", "end"):
            made += linear(f"splinter_qass.{end}_classifier", h, h, "head")
        return made
