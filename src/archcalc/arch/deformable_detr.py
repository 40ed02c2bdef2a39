"""Deformable DETR: attention to a few places that a query chooses, on several feature maps.

Source: transformers 5.24, models/deformable_detr/modeling_deformable_detr.py (`DeformableDetrModel`,
`DeformableDetrForObjectDetection`) and configuration_deformable_detr.py (defaults); Zhu et al. 2020, arXiv:2010.04159.
"""

from collections.abc import Callable, Iterable, Iterator

from archcalc.arch._detr import DetrSchema, perceptron, sampling
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(DetrSchema):
    usual = {"model_type": "timm_backbone", "backbone": "resnet50", "out_indices": [2, 3, 4]}

    num_queries: Size = 300
    encoder_ffn_dim: Size = 1024
    decoder_ffn_dim: Size = 1024
    num_feature_levels: Layers = 4
    encoder_n_points: Size = 4
    decoder_n_points: Size = 4
    with_box_refine: Flag = False
    tie_word_embeddings: Flag = True

    def levels(self) -> int:
        """How many feature maps a query looks at."""
        return self.num_feature_levels

    def cross(self) -> Iterable[Tensor]:
        return sampling(self.d_model, self.decoder_attention_heads, self.levels(), self.decoder_n_points)

    def replaced(self, t: Tensor, decodes: bool) -> bool:
        return not decodes and t.name.startswith("self_attn.")

    def instead(self, decodes: bool) -> Iterable[Tensor]:
        own = sampling(self.d_model, self.encoder_attention_heads, self.levels(), self.encoder_n_points)
        return () if decodes else prefixed("self_attn", own)

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
            for name, inner_width in (("enc_output", h), ("pos_trans", 2 * h)):
                yield from linear(name, inner_width, inner_width, "other", bias=True)
                yield from layer_norm(f"{name}_norm", inner_width)
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
