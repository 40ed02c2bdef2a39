"""YOLOS: ViT with tokens for what it may detect, and positions again before every layer.

Source: transformers 5.24, models/yolos/modeling_yolos.py (`YolosModel`, `YolosForObjectDetection`) and configuration_yolos.py (defaults);
Fang et al. 2021, arXiv:2106.00666.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Count, Flag, Size
from archcalc.arch._vit import ViTSchema, bert_named
from archcalc.blocks._tensor import linear
from archcalc.model import Layer, Tensor


def perceptron(name: str, hidden: int, out: int) -> Iterator[Tensor]:
    """DETR's head of three layers."""
    for i, rows in enumerate((hidden, hidden, out)):
        yield from linear(f"{name}.layers.{i}", rows, hidden, "head", bias=True)


class Schema(ViTSchema):
    inert_keys = (*ViTSchema.inert_keys, "class_cost", "bbox_cost", "giou_cost")
    root = "vit"
    layers_name = "encoder.layer"

    image_size: tuple[Size, Size] = (512, 864)
    patch_size: Size = 16
    num_detection_tokens: Count = 100
    use_mid_position_embeddings: Flag = True

    def layer(self) -> Layer:
        return bert_named(self)

    def rows(self) -> int:
        return super().rows() + self.num_detection_tokens

    def tokens(self, named: str) -> Iterator[Tensor]:
        yield from super().tokens(named)
        yield Tensor("embeddings.detection_tokens", (1, self.num_detection_tokens, self.hidden_size), "embedding")

    def behind(self, named: str) -> Iterator[Tensor]:
        yield from super().behind(named)
        if self.use_mid_position_embeddings:
            height, width = self.image_size
            rows = 1 + height * width // self.patch_size**2 + self.num_detection_tokens  # parts of patches count here
            shape = (self.num_hidden_layers - 1, 1, rows, self.hidden_size)
            yield Tensor("encoder.interpolation.mid_position_embeddings", shape, "embedding")
        if self.bare(named):
            yield from linear("pooler.dense", self.hidden_size, self.hidden_size, "other", bias=True)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForObjectDetection"):
            labels = labels_of(self.model_extra or {}) + 1  # and nothing at all
            boxes = perceptron("bbox_predictor", self.hidden_size, 4)
            return (*perceptron("class_labels_classifier", self.hidden_size, labels), *boxes)
        return super().head_of(name)
