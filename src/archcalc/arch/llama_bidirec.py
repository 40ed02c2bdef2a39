"""Llama that sees both ways, as an embedding model (Llama-Nemotron-Embed) or with one label (its reranker): it caches nothing.

Source: nvidia/llama-nemotron-embed-1b-v2, llama_bidirectional_model.py (`LlamaBidirectionalModel`); vLLM 0.33, models/llama.py
(`LlamaBidirectionalModel`, `LlamaBidirectionalForSequenceClassification`).
"""

from archcalc.arch import llama
from archcalc.arch._decoder import group
from archcalc.arch._heads import labels_of, task_of, unrooted
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, bidirectional


class Schema(llama.Schema):
    inert_keys = ("pooling",)
    own_heads = True

    architectures: list[str] | None = None

    def architecture(self, prefix: str) -> Architecture:
        a = bidirectional(super().architecture(prefix))
        groups = tuple(g for g in a.groups if g.part != "head")
        a = a._replace(groups=groups, facts=a.facts._replace(tied_embeddings=False))
        if task_of(self.architectures) != "sequence":
            return unrooted(a)
        labels = labels_of(self.model_extra or {}, 1)
        return a._replace(groups=(*a.groups, group("head", linear("score", labels, self.hidden_size, "head"))))
