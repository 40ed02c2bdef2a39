"""MaskFormer: Swin or a ResNet, a pyramid over its maps, and DETR's decoder of queries that each draw one mask.

Source: transformers 5.24, models/maskformer/modeling_maskformer.py (`MaskFormerModel`, `MaskFormerForInstanceSegmentation`,
`MaskFormerFPNModel`) and configuration_maskformer.py (defaults); Cheng et al. 2021, arXiv:2107.06278.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from archcalc.arch import detr
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import labels_of
from archcalc.arch._masks import BACKBONES, MaskSchema
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.arch._vit import as_backbone, below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor, stack

SWIN = {"model_type": "swin", "image_size": 384, "num_channels": 3, "patch_size": 4, "embed_dim": 128, "depths": [2, 2, 18, 2],
        "num_heads": [4, 8, 16, 32], "window_size": 12, "drop_path_rate": 0.3,
        "out_features": ["stage1", "stage2", "stage3", "stage4"]}  # fmt: skip


class Schema(MaskSchema):
    outcome = "picture"

    root = "model"
    inert_keys = (
        "no_object_weight", "use_auxiliary_loss", "init_xavier_std", "dice_weight", "cross_entropy_weight", "mask_weight",
        "output_auxiliary_logits", "num_attention_heads", "num_hidden_layers", *BACKBONES,
    )  # fmt: skip

    backbone_config: Annotated[TowerSchema, nested("swin", absent=SWIN), DEFAULT]
    decoder_config: Annotated[detr.Schema, nested("detr", fixed=True), DEFAULT]
    fpn_feature_size: Size = 256
    mask_feature_size: Size = 256

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """A Swin is MaskFormer's own (modeling_maskformer.py, `MaskFormerPixelLevelModule`)."""
        stated = config.get("backbone_config") or SWIN
        if isinstance(stated, dict) and stated.get("model_type") == "swin":
            return {**config, "backbone_config": {**stated, "model_type": "maskformer-swin"}}
        return config

    @property
    def hidden_size(self) -> int:
        return self.decoder_config.d_model

    @property
    def num_attention_heads(self) -> int:
        return self.decoder_config.decoder_attention_heads

    def pyramid(self) -> Iterator[Tensor]:
        h, widths = self.fpn_feature_size, self.channels()
        yield from conv("fpn.stem.0", h, widths[-1], 3, 3, bias=False, role="other")
        yield from layer_norm("fpn.stem.1", h)
        for i, width in enumerate(widths[-2::-1]):
            for name, inner, kernel in (("proj", width, 1), ("block", h, 3)):
                yield from conv(f"fpn.layers.{i}.{name}.0", h, inner, kernel, kernel, bias=False, role="other")
                yield from layer_norm(f"fpn.layers.{i}.{name}.1", h)
        yield from conv("mask_projection", self.mask_feature_size, h, 3, 3, role="other")

    def queries(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield table("queries_embedder", self.decoder_config.num_queries, h)
        if self.channels()[-1] != h:
            yield from conv("input_projection", h, self.channels()[-1], 1, 1, role="other")
        yield from layer_norm("decoder.layernorm", h)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = as_backbone(self.backbone_config, join(prefix, "pixel_level_module.encoder"))
        own = (*prefixed("pixel_level_module.decoder", self.pyramid()), *prefixed("transformer_module", self.queries()))
        d = self.decoder_config
        layers = [d.layer(d.decoder_attention_heads, d.decoder_ffn_dim, decodes=True)] * d.decoder_layers
        stacks = [*stacks, stack(join(prefix, "transformer_module.decoder.layers"), "vision", layers)]
        return [*groups, group("vision", below(prefix, own))], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForInstanceSegmentation"):
            return super().head_of(name)
        h, made = (
            self.hidden_size,
            list(linear("class_predictor", labels_of(self.model_extra or {}) + 1, self.hidden_size, "head", bias=True)),
        )
        for i in range(3):
            made += linear(f"mask_embedder.{i}.0", self.mask_feature_size if i == 2 else h, h, "head", bias=True)
        return made
