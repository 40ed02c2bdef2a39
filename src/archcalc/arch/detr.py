"""DETR: a detector of an encoder and a decoder over a ResNet's features.

Source: transformers 5.24, models/detr/modeling_detr.py (`DetrModel`, `DetrForObjectDetection`, `DetrForSegmentation`) and
configuration_detr.py (defaults); Carion et al. 2020, arXiv:2005.12872.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._detr import DetrSchema, perceptron
from archcalc.arch._schema import Flag, Size
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError
from archcalc.model import Tensor


def block(name: str, outer: int, inner: int) -> Iterator[Tensor]:
    yield from conv(f"{name}.conv", outer, inner, 3, 3, role="head")
    yield from layer_norm(f"{name}.norm", outer)


class Schema(DetrSchema):
    def masks(self) -> Iterator[Tensor]:
        """The head that draws what each query found, over the backbone's feature maps."""
        h, wide = self.d_model, self.d_model + self.encoder_attention_heads
        maps = self.channels()[::-1][-3:]
        if len(maps) < 3:
            raise UnsupportedError(
                f"the mask head needs three of the backbone's feature maps, and out_indices asks for {len(maps)}"
            )
        yield from block("mask_head.conv1", wide, wide)
        yield from block("mask_head.conv2", h // 2, wide)
        for i, inner in enumerate(maps):
            stage, outer = f"mask_head.fpn_stages.{i}", h // 2 ** (i + 1)
            yield from conv(f"{stage}.fpn_adapter", outer, inner, 1, 1, role="head")
            yield from block(f"{stage}.refine", outer // 2, outer)
        yield from conv("mask_head.output_conv", 1, h // 16, 3, 3, role="head")
        for name in ("q_proj", "k_proj"):
            yield from linear(f"bbox_attention.{name}", h, h, "head", bias=True)

    def body(self, prefix: str, named: str) -> Pieces:
        return super().body("detr.model" if named.endswith("ForSegmentation") else prefix, named)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForSegmentation"):
            detector = super().head_of("DetrForObjectDetection") or ()
            return (*prefixed("detr", detector), *self.masks())
        return super().head_of(name)


class TableTransformer(DetrSchema):
    """Table Transformer: DETR with norms before the blocks, and one behind the encoder, that finds tables and their parts.
    Source: transformers 5.24, models/table_transformer/modeling_table_transformer.py (`TableTransformerForObjectDetection`) and
    configuration_table_transformer.py (defaults); Smock et al. 2021, arXiv:2110.00061."""

    name = "table-transformer"
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    ffn_name = ""
    encoder_norm = True
    backbone_name = "backbone.conv_encoder"


class ConditionalDetr(DetrSchema):
    """Conditional DETR: what a query is and where it looks are projected apart.
    Source: transformers 5.24, models/conditional_detr/modeling_conditional_detr.py (`ConditionalDetrModel`,
    `ConditionalDetrForObjectDetection`) and configuration_conditional_detr.py (defaults); Meng et al. 2021, arXiv:2108.06152."""

    name = "conditional_detr"

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


class DeformableDetr(DetrSchema):
    """Deformable DETR: attention to a few places that a query chooses, on several feature maps.
    Source: transformers 5.24, models/deformable_detr/modeling_deformable_detr.py (`DeformableDetrModel`,
    `DeformableDetrForObjectDetection`) and configuration_deformable_detr.py (defaults); Zhu et al. 2020, arXiv:2010.04159."""

    name = "deformable_detr"
    usual: ClassVar[dict[str, Any]] = {"model_type": "timm_backbone", "backbone": "resnet50", "out_indices": [2, 3, 4]}

    num_queries: Size = 300
    encoder_ffn_dim: Size = 1024
    decoder_ffn_dim: Size = 1024
    num_feature_levels: Size = 4
    encoder_n_points: Size = 4
    decoder_n_points: Size = 4
    with_box_refine: Flag = False
    tie_word_embeddings: Flag = True

    def levels(self) -> int:
        """How many feature maps a query looks at."""
        return self.num_feature_levels

    def sampling(self, heads: int, points: int) -> Iterator[Tensor]:
        """Attention to `points` places of each feature map."""
        h, places = self.d_model, heads * self.levels() * points
        yield from linear("sampling_offsets", 2 * places, h, "attention", bias=True)
        yield from linear("attention_weights", places, h, "attention", bias=True)
        for name in ("value_proj", "output_proj"):
            yield from linear(name, h, h, "attention", bias=True)

    def cross(self) -> Iterable[Tensor]:
        return self.sampling(self.decoder_attention_heads, self.decoder_n_points)

    def replaced(self, t: Tensor, decodes: bool) -> bool:
        return not decodes and t.name.startswith("self_attn.")

    def instead(self, decodes: bool) -> Iterable[Tensor]:
        return () if decodes else prefixed("self_attn", self.sampling(self.encoder_attention_heads, self.encoder_n_points))

    def outside(self) -> Iterator[Tensor]:
        h, levels, inner = self.d_model, self.num_feature_levels, self.channels()
        yield Tensor("level_embed", (levels, h), "embedding")
        # Further feature maps are convolved out of the last one.
        kernels = [(width, 1) for width in inner] if levels > 1 else [(inner[-1], 1)]
        kernels += [(inner[-1] if i == 0 else h, 3) for i in range(levels - len(kernels))]
        for i, (width, kernel) in enumerate(kernels):
            yield from conv(f"input_proj.{i}.0", h, width, kernel, kernel)
            yield from layer_norm(f"input_proj.{i}.1", h)
        if self.two_stage:
            for name, wide in (("enc_output", h), ("pos_trans", 2 * h)):
                yield from linear(name, wide, wide, "other", bias=True)
                yield from layer_norm(f"{name}_norm", wide)
        else:
            yield table("query_position_embeddings", self.num_queries, 2 * h)
            yield from linear("reference_points", 2, h, "other", bias=True)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForObjectDetection"):
            return super().head_of(name)
        boxes = self.heads("bbox_embed", self.with_box_refine, lambda at: perceptron(at, self.d_model, 4))
        return (
            *self.heads("class_embed", self.two_stage, lambda at: linear(at, self.labels(), self.d_model, "head", bias=True)),
            *boxes,
        )

    def heads(self, name: str, own: bool, made: Callable[[str], Iterable[Tensor]]) -> Iterator[Tensor]:
        """A head for each layer, and for the proposals of a first stage: one for all where the decoder has none of its own."""
        for i in range(self.decoder_layers + self.two_stage):
            if own:
                yield from made(f"model.decoder.{name}.{i}")
            shared = self.tie_word_embeddings and (own or i > 0)
            yield from (t._replace(kind="tied") if shared else t for t in made(f"{name}.{i}"))
