"""Jina's reranker v3: Qwen 3 whose tokens two linear layers turn into short vectors, in place of the vocabulary's head.

Source: vLLM 0.33, models/jina.py (`JinaForRanking`).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch import llama, qwen2_vl, qwen3
from archcalc.arch._decoder import group
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Layer, Tensor, both_ways


def headed(a: Architecture, tensors: Iterable[Tensor]) -> Architecture:
    """The model with these in place of the vocabulary's head."""
    groups = tuple(g for g in a.groups if g.part != "head")
    return a._replace(groups=(*groups, group("head", tensors)), facts=a.facts._replace(tied_embeddings=False))


def _both_ways(layer: Layer) -> Layer:
    """A layer of EuroBERT: without norms of queries and keys, and without a cache."""
    kept = (t for t in layer.tensors if not t.name.endswith(("q_norm.weight", "k_norm.weight")))
    return both_ways(layer._replace(tensors=tuple(kept)))


class Schema(qwen3.Schema):
    own_heads = True

    embedding_size: Size = 512

    def architecture(self, prefix: str) -> Architecture:
        h, half = self.hidden_size, self.hidden_size // 2
        tensors = (*linear("projector.0", half, h, "head"), *linear("projector.2", self.embedding_size, half, "head"))
        return headed(super().architecture(prefix), tensors)


class JinaVlReranker(qwen2_vl.Schema):
    """Jina's reranker m0: Qwen2-VL with two linear layers that give one score.
    Source: vLLM 0.33, models/jina_vl.py (`JinaVLScorer`, `JinaVLForSequenceClassification`)."""

    own_heads = True

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        h = a.facts.hidden_size
        return headed(a, (*linear("score.0", h, h, "head", bias=True), *linear("score.2", 1, h, "head", bias=True)))


class VoyageQwen3(qwen3.Schema):
    """Voyage 4 nano: Qwen 3 that sees both ways, with one linear layer that makes the vector; it caches nothing.
    Source: vLLM 0.33, models/voyage.py (`VoyageQwen3BidirectionalEmbedModel`)."""

    own_heads = True
    inert_keys = (*qwen3.Schema.inert_keys, "use_bidirectional_attention")

    num_labels: Size = 2048

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        stacks = tuple(s._replace(kinds=tuple(map(both_ways, s.kinds))) for s in a.stacks)
        a = a._replace(stacks=stacks, facts=a.facts._replace(attention=f"{a.facts.attention}, bidirectional"))
        return headed(a, linear("linear", self.num_labels, self.hidden_size, "head"))


class LlamaWeighted(llama.Schema):
    """Llama's reward model with weights: a score and three linear layers that weigh it.
    Source: SGLang 0.5.23, srt/models/llama_reward.py (`LlamaForSequenceClassificationWithNormal_Weights`)."""

    own_heads = True

    def architecture(self, prefix: str) -> Architecture:
        h, labels = self.hidden_size, labels_of(self.model_extra or {})
        weights = projector(("weights.fc.0", "weights.fc.2", "weights.fc.4"), (h, h, h, labels // 2))
        score = linear("score", labels, h, "head")
        return headed(super().architecture(prefix), (*score, *(t._replace(role="head") for t in weights)))


class JinaEmbeddingsV5(qwen3.Schema):
    """Jina Embeddings v5: Qwen 3, or EuroBERT where `is_decoder` is false, whose hidden states are the vectors.
    Source: vLLM 0.33, models/jina.py (`JinaEmbeddingsV5Model`; a task's LoRA adapter, stored beside, is merged into the weights)."""

    prefix = ""
    own_heads = True
    inert_keys = (*qwen3.Schema.inert_keys, "task_names", "jina_task", "matryoshka_dims", "truncate_dim", "pad_token")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        if config.get("is_decoder") is False and "head_dim" not in config and config.get("num_attention_heads"):
            return {**config, "head_dim": int(config.get("hidden_size", 0)) // int(config["num_attention_heads"])}
        return config

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if (self.model_extra or {}).get("is_decoder") is False:
            stacks = (s._replace(kinds=tuple(map(_both_ways, s.kinds))) for s in a.stacks)
            words = f"{a.facts.attention}, bidirectional"
            a = a._replace(stacks=tuple(stacks), facts=a.facts._replace(attention=words, more=()))
        made = headed(a, ())
        groups = tuple(g for g in made.groups if g.tensors)
        return made._replace(groups=groups, notes=(*made.notes, "the LoRA adapters of its tasks, stored beside, are not counted"))
