"""DETR: a detector of an encoder and a decoder over a ResNet's features.

Source: transformers 5.24, models/detr/modeling_detr.py (`DetrModel`, `DetrForObjectDetection`, `DetrForSegmentation`) and
configuration_detr.py (defaults); Carion et al. 2020, arXiv:2005.12872.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._detr import LAYERS, DetrSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Tensor


def block(name: str, outer: int, inner: int) -> Iterator[Tensor]:
    yield from conv(f"{name}.conv", outer, inner, 3, 3, role="head")
    yield from layer_norm(f"{name}.norm", outer)


class Schema(DetrSchema):
    other_names = LAYERS

    def masks(self) -> Iterator[Tensor]:
        """The head that draws what each query found, over the backbone's feature maps."""
        h, width = self.d_model, self.d_model + self.encoder_attention_heads
        maps = self.channels()[::-1][-3:]
        if len(maps) < 3:
            raise UnsupportedError(
                f"the mask head needs three of the backbone's feature maps, and out_indices asks for {len(maps)}"
            )
        yield from block("mask_head.conv1", width, width)
        yield from block("mask_head.conv2", h // 2, width)
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
    other_names = LAYERS
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    ffn_name = ""
    encoder_norm = True
    backbone_name = "backbone.conv_encoder"
