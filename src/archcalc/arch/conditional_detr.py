"""Conditional DETR: what a query is and where it looks are projected apart.

Source: transformers 5.24, models/conditional_detr/modeling_conditional_detr.py (`ConditionalDetrModel`,
`ConditionalDetrForObjectDetection`) and configuration_conditional_detr.py (defaults); Meng et al. 2021, arXiv:2108.06152.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._detr import LAYERS, DetrSchema, perceptron
from archcalc.arch._schema import Size
from archcalc.arch._vit import below
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(DetrSchema):
    other_names = LAYERS
    num_queries: Size = 300

    def cross(self) -> Iterable[Tensor]:
        return ()

    def replaced(self, t: Tensor, decodes: bool) -> bool:
        return decodes and t.name.startswith(("self_attn.q_proj", "self_attn.k_proj"))

    def instead(self, decodes: bool) -> Iterator[Tensor]:
        h = self.d_model
        names = {"self_attn": ("q_content", "q_pos", "k_content", "k_pos"),
                 "encoder_attn": ("q_content", "k_content", "k_pos", "v", "q_pos_sine", "o")}  # fmt: skip
        for part, inside in names.items() if decodes else ():
            for name in inside:
                yield from linear(f"{part}.{name}_proj", h, h, "attention", bias=True)

    def outside(self) -> Iterator[Tensor]:
        yield from super().outside()
        yield from perceptron("decoder.query_scale", self.d_model, self.d_model, 2)
        yield from perceptron("decoder.ref_point_head", self.d_model, 2, 2)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        # The first layer alone has one projection more, of where a query looks.
        first = linear("decoder.layers.0.encoder_attn.q_pos_proj", self.d_model, self.d_model, "attention", bias=True)
        return [*groups[:-1], groups[-1]._replace(tensors=(*groups[-1].tensors, *below(prefix, first)))], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForObjectDetection"):
            labels = linear("class_labels_classifier", self.labels(), self.d_model, "head", bias=True)
            return (*labels, *perceptron("bbox_predictor", self.d_model, 4))
        return super().head_of(name)
