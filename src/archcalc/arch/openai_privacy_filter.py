"""OpenAI's privacy filter: gpt-oss's layers with a window to both sides, and a label for each token.

Source: transformers 5.23, models/openai_privacy_filter/modeling_openai_privacy_filter.py
(`OpenAIPrivacyFilterForTokenClassification`) and configuration_openai_privacy_filter.py (defaults).
"""

from archcalc.arch import gpt_oss
from archcalc.arch._alternating import SLIDING
from archcalc.arch._decoder import group
from archcalc.arch._heads import labels_of, task_of, unrooted
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Layer, both_ways

LABELS = 33


class Schema(gpt_oss.Schema):
    inert_keys = ()
    own_heads = True

    architectures: list[str] | None = None
    vocab_size: Size = 200064
    hidden_size: Size = 640
    intermediate_size: Size = 640
    num_hidden_layers: Layers = 8
    num_attention_heads: Size = 14
    num_key_value_heads: Size | None = 2

    def kinds(self) -> list[str]:
        return [SLIDING] * self.num_hidden_layers

    def layer(self, window: int | None) -> Layer:
        return both_ways(super().layer(window))

    def architecture(self, prefix: str) -> Architecture:
        a, labels = super().architecture(prefix), labels_of(self.model_extra or {}, LABELS)
        facts = a.facts._replace(attention=f"{a.facts.attention}, bidirectional", tied_embeddings=False)
        body = tuple(g for g in a.groups if g.part != "head")
        if task_of(self.architectures) == "bare":
            facts = facts._replace(more=(*facts.more, ("head", "none")))
            return unrooted(a._replace(groups=body, facts=facts))
        head = group("head", linear("score", labels, self.hidden_size, "head", bias=True))
        facts = facts._replace(more=(*facts.more, ("head", f"{labels} labels")))
        return a._replace(groups=(*body, head), facts=facts)
