"""Grounding DINO: Swin and BERT, fused in an encoder, and a decoder of queries that each find what the text names.

Source: transformers 5.24, models/grounding_dino/modeling_grounding_dino.py (`GroundingDinoModel`, `GroundingDinoForObjectDetection`) and
configuration_grounding_dino.py (defaults); Liu et al. 2023, arXiv:2303.05499.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from archcalc.arch import bert, deformable_detr
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import join
from archcalc.arch._detr import perceptron
from archcalc.arch._dual import bert_tower
from archcalc.arch._schema import Flag, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Layer, Tensor

SWIN = {"model_type": "swin", "window_size": 7, "image_size": 224, "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24],
        "out_indices": [2, 3, 4]}  # fmt: skip


class Schema(deformable_detr.Schema):
    alone = "a detector that finds in an image what a text names: it writes no text and keeps no cache"
    name = "grounding-dino"
    inert_keys = (
        *deformable_detr.Schema.inert_keys, "max_text_len", "text_enhancer_dropout", "fusion_droppath", "fusion_dropout",
        "two_stage_bbox_embed_share", "positional_embedding_temperature", "layer_norm_eps",
    )  # fmt: skip
    names = ("query", "key", "value", "out_proj")
    ffn_name = ""
    backbone_name = "backbone.conv_encoder"

    backbone_config: Annotated[TowerSchema, nested("swin", absent=SWIN), DEFAULT]
    text_config: Annotated[bert.Schema, nested("bert", fixed=True), DEFAULT]
    num_queries: Size = 900
    encoder_ffn_dim: Size = 2048
    decoder_ffn_dim: Size = 2048
    two_stage: Flag = True
    embedding_init_target: Flag = True
    query_dim: Size = 4
    decoder_bbox_embed_share: Flag = True

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return config

    def layer(self, heads: int, width: int, *, decodes: bool) -> Layer:
        layer, h = super().layer(heads, width, decodes=decodes), self.d_model
        if decodes:
            text = self.attention(heads).tensors()
            beside = (*prefixed("encoder_attn_text", text), *layer_norm("encoder_attn_text_layer_norm", h))
            return layer._replace(tensors=(*layer.tensors, *beside))
        return layer._replace(tensors=(*prefixed("deformable_layer", layer.tensors), *self.fusion(heads)))

    def fusion(self, heads: int) -> Iterator[Tensor]:
        """A layer of the text's own, and attention both ways between text and image."""
        h, half = self.d_model, self.encoder_ffn_dim // 2
        yield from prefixed("text_enhancer_layer.self_attn", self.attention(heads // 2).tensors())
        yield from linear("text_enhancer_layer.fc1", half, h, "mlp", bias=True)
        yield from linear("text_enhancer_layer.fc2", h, half, "mlp", bias=True)
        for end in ("before", "after"):
            yield from layer_norm(f"text_enhancer_layer.layer_norm_{end}", h)
        for one in ("vision", "text"):
            yield Tensor(f"fusion_layer.{one}_param", (h,), "other")
            yield from layer_norm(f"fusion_layer.layer_norm_{one}", h)
            yield from linear(f"fusion_layer.attn.{one}_proj", half, h, "attention", bias=True)
            yield from linear(f"fusion_layer.attn.values_{one}_proj", half, h, "attention", bias=True)
            yield from linear(f"fusion_layer.attn.out_{one}_proj", h, half, "attention", bias=True)

    def outside(self) -> Iterator[Tensor]:
        h = self.d_model
        own = ("reference_points", "query_position_embeddings", "pos_trans")
        for t in super().outside():
            if not t.name.startswith(own):
                yield t._replace(name=t.name.replace("input_proj.", "input_proj_vision."))
        yield from linear("text_projection", h, self.text_config.hidden_size, "other", bias=True)
        yield from layer_norm("decoder.layer_norm", h)
        yield from perceptron("decoder.reference_points_head", h, h, 2, inner=self.query_dim // 2 * h)
        if self.embedding_init_target or not self.two_stage:
            yield table("query_position_embeddings", self.num_queries, h)
        if self.two_stage:
            yield from perceptron("encoder_output_bbox_embed", h, 4)
        else:
            yield table("reference_points", self.num_queries, 4)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        text = bert_tower(self.text_config, join(prefix, "text_backbone"), pooled=False)
        return [*groups, *text.groups], [*stacks, *text.stacks]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForObjectDetection"):
            return super().head_of(name)
        return self.heads_of(self.decoder_bbox_embed_share, lambda i: perceptron(f"bbox_embed.{i}", self.d_model, 4))

    def heads_of(self, share: bool, made: Callable[[int], Iterable[Tensor]]) -> Iterator[Tensor]:
        """A head for each of the decoder's layers, one for all where they share it, and the same again as the model's."""
        tied = self.tie_word_embeddings
        for i in range(self.decoder_layers):
            for t in made(i):
                yield t._replace(name=f"model.decoder.{t.name}", kind="tied" if tied and share and i > 0 else "param")
                yield t._replace(kind="tied" if tied else "param")
