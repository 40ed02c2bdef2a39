"""LXMERT: BERT, layers over what a detector saw, and layers in which each reads the other.

Source: transformers 5.24, models/lxmert/modeling_lxmert.py (`LxmertModel`, `LxmertXLayer`, `LxmertVisualFeatureEncoder`) and
configuration_lxmert.py (defaults); Tan and Bansal 2019, arXiv:1908.07490.
"""

from collections.abc import Iterator

from pydantic import Field

from archcalc.arch._bert_alone import BertAlone
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size
from archcalc.arch.layoutlmv3 import bert_layer
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Layer, Tensor, stack


class Depths(ConfigSchema):
    """The three depths, as the reference writes them."""

    text: Layers = Field(9, validation_alias="language")
    cross_encoder: Layers = 5
    vision: Layers = 5


class Schema(BertAlone):
    alone = "a model of images and text that writes nothing: it keeps no cache"
    root = "lxmert"
    inert_keys = (
        *BertAlone.inert_keys, "num_qa_labels", "num_object_labels", "num_attr_labels", "task_matched", "task_mask_lm",
        "task_obj_predict", "task_qa",
    )  # fmt: skip

    # The reference writes it, and builds by the three below.
    num_hidden_layers: Depths | None = None  # type: ignore[assignment]
    l_layers: Layers = 9
    x_layers: Layers = 5
    r_layers: Layers = 5
    visual_feat_dim: Size = 2048
    visual_pos_dim: Size = 4
    tie_word_embeddings: Flag = True

    def extras(self) -> Iterator[Tensor]:
        h = self.hidden_size
        for name, norm, width in (
            ("visn_fc", "visn_layer_norm", self.visual_feat_dim),
            ("box_fc", "box_layer_norm", self.visual_pos_dim),
        ):
            yield from linear(f"encoder.visn_fc.{name}", h, width, "embedding", bias=True)
            yield from layer_norm(f"encoder.visn_fc.{norm}", h)

    def plain(self) -> Layer:
        return bert_layer(self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act)

    def crossing(self) -> Layer:
        """Attention from each to the other, with one set of weights, then a layer of its own for each."""
        layer, made = self.plain(), list[Tensor]()
        for old, new in (
            ("attention.self.", "visual_attention.att."),
            ("attention.", "lang_self_att."),
            ("attention.", "visn_self_att."),
        ):
            for t in layer.tensors:
                if t.name.startswith("attention."):
                    start = old if t.name.startswith(old) else "attention."
                    made.append(t._replace(name=(new if start == old else "visual_attention.") + t.name.removeprefix(start)))
        for one in ("lang", "visn"):
            for part, short in (("intermediate.", "inter."), ("output.", "output.")):
                made += (
                    t._replace(name=f"{one}_{short}{t.name.removeprefix(part)}") for t in layer.tensors if t.name.startswith(part)
                )
        return layer._replace(tensors=tuple(made))

    def body(self, prefix: str, named: str) -> Pieces:
        groups, _ = self.model_copy(update={"num_hidden_layers": 1}).around(prefix, named)
        width, both = self.plain(), self.crossing()
        kinds = (("layer", width, self.l_layers), ("x_layers", both, self.x_layers), ("r_layers", width, self.r_layers))
        return groups, [stack(join(prefix, f"encoder.{name}"), "other", [layer] * n) for name, layer, n in kinds]

    def around(self, prefix: str, named: str) -> Pieces:
        return super().body(prefix, named)

    def pooled(self, named: str) -> bool:
        return True
