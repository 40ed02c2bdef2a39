"""ViLT: one encoder that reads a text's words and an image's patches together.

Source: transformers 5.24, models/vilt/modeling_vilt.py (`ViltModel`, `ViltForQuestionAnswering`, `ViltForMaskedLM` and the others) and
configuration_vilt.py (defaults); Kim et al. 2021, arXiv:2102.03334.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Sides
from archcalc.arch._schema import Size
from archcalc.arch._vit import ViTSchema, bert_named, classifier
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError
from archcalc.model import Layer, Shard, Tensor


class Schema(ViTSchema):
    alone = "a model of images and text that writes nothing: it keeps no cache"
    inert_keys = (*ViTSchema.inert_keys, "max_image_length", "tie_word_embeddings")
    root = "vilt"
    layers_name = "encoder.layer"

    vocab_size: Size = 30522
    type_vocab_size: Size = 2
    modality_type_vocab_size: Size = 2
    max_position_embeddings: Size = 40
    image_size: Sides = 384
    patch_size: Sides = 32
    num_images: int = -1

    def layer(self) -> Layer:
        return bert_named(self)

    def outside(self, named: str) -> Iterator[Tensor]:
        h, words = self.hidden_size, "embeddings.text_embeddings"
        yield from super().outside(named)
        yield table(f"{words}.word_embeddings", self.vocab_size, h)._replace(shard=Shard(0, self.vocab_size))
        yield table(f"{words}.position_embeddings", self.max_position_embeddings, h)
        yield table(f"{words}.token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm(f"{words}.LayerNorm", h)
        yield table("embeddings.token_type_embeddings", self.modality_type_vocab_size, h)
        if not named.endswith("ForTokenClassification"):
            yield from linear("pooler.dense", h, h, "other", bias=True)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        h, rows = self.hidden_size, self.vocab_size
        if name.endswith("ForMaskedLM"):  # tied whatever the config says
            return (
                *linear("mlm_score.transform.dense", h, h, "head", bias=True),
                *layer_norm("mlm_score.transform.LayerNorm", h),
                Tensor("mlm_score.decoder.weight", (rows, h), "head", Shard(0, rows), kind="tied"),
                Tensor("mlm_score.decoder.bias", (rows,), "head", Shard(0, rows)),
            )
        if name.endswith("ForImageAndTextRetrieval"):
            return linear("rank_output", 1, h, "head", bias=True)
        if name.endswith("ForTokenClassification"):
            return classifier(self, h)
        if name.endswith(("ForQuestionAnswering", "ForImagesAndTextClassification")):
            joined = name.endswith("ForImagesAndTextClassification")
            if joined and self.num_images < 1:
                raise ConfigError(f"num_images is {self.num_images}, and {name} joins so many", "state num_images", "num_images")
            width, inner = (self.num_images * h,) * 2 if joined else (2 * h, h)
            first = (*linear("classifier.0", width, inner, "head", bias=True), *layer_norm("classifier.1", width))
            return (*first, *classifier(self, width, "classifier.3"))
        return super().head_of(name)
