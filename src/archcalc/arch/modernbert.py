"""ModernBERT: an encoder with one layer that sees all, then two with a window, a GeGLU, and a head behind one of its own layers.

Source: transformers 5.23, models/modernbert/modeling_modernbert.py and configuration_modernbert.py (defaults, `layer_types`).
"""

from collections.abc import Iterator, Sequence

from archcalc.arch import modernbert_decoder
from archcalc.arch._alternating import FULL, SLIDING
from archcalc.arch._decoder import attention_pattern
from archcalc.arch._heads import labels_of, otherwise, task_of, unrooted
from archcalc.blocks._tensor import Mixer, linear, prefixed
from archcalc.model import Architecture, Group, Layer, Tensor, both_ways


class Schema(modernbert_decoder.Schema):
    reads_head_dim = False
    own_heads = True

    architectures: list[str] | None = None

    def windows(self) -> Sequence[int | None]:
        n, step = self.num_hidden_layers, self.global_attn_every_n_layers
        kinds = self.layer_types or [SLIDING if i % step else FULL for i in range(n)]
        # Half of it on each side, and the token itself.
        return attention_pattern(kinds, n, self.local_attention // 2 * 2 + 1 if self.local_attention else None)

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias = self.attention_bias
        return self.gqa(bias=bias, output_bias=bias, window=window, fused="Wqkv", names=("", "", "", "Wo"))

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        return both_ways(super().layer(window, sparse, variant))

    def head(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from prefixed("head", (*linear("dense", h, h, "head", bias=self.classifier_bias), *self.norm("norm")))

    def architecture(self, prefix: str) -> Architecture:
        a, task = super().architecture(prefix), task_of(self.architectures)
        body = tuple(g for g in a.groups if g.part != "head")
        facts = a.facts._replace(attention=a.facts.attention.replace("MHA", "MHA, bidirectional"))
        if task not in ("bare", "sequence", "token", "questions", "choice"):
            vocabulary = next(g for g in a.groups if any(t.name == "decoder.weight" for t in g.tensors))
            a = a._replace(groups=(*body, Group("head", tuple(self.head())), vocabulary), facts=facts)
            return otherwise(a, self.architectures[0]) if task and self.architectures else a
        labels = 1 if task == "choice" else labels_of(self.model_extra or {})
        said = ("head", "none" if task == "bare" else f"{labels} label{'s' * (labels != 1)}")
        a = a._replace(groups=body, facts=facts._replace(tied_embeddings=False, more=(*facts.more, said)))
        if task == "bare":
            return unrooted(a)
        classifier = linear("classifier", labels, self.hidden_size, "head", bias=True)
        return a._replace(groups=(*body, Group("head", (*self.head(), *classifier))))
