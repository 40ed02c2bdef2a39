"""Towers of timm by the names of its models: Perception Encoder (PE-Lang) and FastViT, those that published models stand on.

Source: transformers 5.24, models/timm_wrapper/modeling_timm_wrapper.py (`TimmWrapperModel`); timm 1.0, timm/models/eva.py
(`vit_pe_lang_*`) and timm/models/fastvit.py (`fastvit_mci3`, `fastvit_mci4`, fused for inference).
"""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from archcalc.arch import _fastvit
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import square
from archcalc.arch._schema import Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, head_width, patch_conv
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Encoder, Tensor, stack

# Width, layers, width of the FFN, whether there is a class token.
PERCEPTION = {
    "vit_pe_lang_large_patch14_448": (1024, 23, 4096, True),
    "vit_pe_lang_gigantic_patch14_448": (1536, 47, 8960, False),
}  # fmt: skip
# What configs say of the model again, as it is anyway.
_FIXED = {
    "global_pool": "", "use_post_transformer_norm": False, "init_values": 0.1, "ref_feat_shape": [32, 32], "img_size": [448, 448],
    "use_pre_transformer_norm": True,
}  # fmt: skip
HEADS, PATCH, IMAGE = 16, 14, 448


class Schema(TowerSchema):
    inert_keys = ("do_pooling", "label_names", "num_classes", "global_pool", "pretrained_cfg", "num_features", "hidden_size")

    architecture_name: str = Field("resnet50", validation_alias="architecture")
    model_args: dict[str, Any] | None = None

    @property
    def hidden_size(self) -> int:
        if self.architecture_name in PERCEPTION:
            return PERCEPTION[self.architecture_name][0]
        return _fastvit.width(self.stages())

    @property
    def image_size(self) -> Size | None:
        return IMAGE if self.architecture_name in PERCEPTION else None

    @property
    def patch_size(self) -> Size:
        return PATCH

    def stages(self) -> _fastvit.Stages:
        name = self.architecture_name
        if name not in _fastvit.VARIANTS:
            known = ", ".join((*PERCEPTION, *_fastvit.VARIANTS))
            raise UnsupportedError(f"vision_config.architecture is {json_text(name)}: of timm's models archcalc knows {known}")
        if (self.model_args or {}) != {"inference_mode": True}:
            raise UnsupportedError(
                f"vision_config.model_args is {json_text(self.model_args)}: FastViT is known with inference_mode true alone"
            )
        return _fastvit.VARIANTS[name]

    def perception(self, prefix: str) -> Pieces:
        h, depth, width, classed = PERCEPTION[self.architecture_name]
        own = {**_FIXED, "embed_dim": h, "depth": depth}
        for key, value in (self.model_args or {}).items():
            if key not in own or own[key] != value:
                raise UnsupportedError(
                    f"vision_config.model_args.{key} is {json_text(value)}: a changed timm model is not modelled"
                )
        outside: list[Tensor] = [Tensor("cls_token", (1, 1, h), "embedding")] if classed else []
        outside += (Tensor("pos_embed", (1, grid(IMAGE, PATCH) + classed, h), "embedding"),)
        outside += (*patch_conv("patch_embed.proj", h, 3, PATCH, PATCH, bias=False), *layer_norm("norm_pre", h))
        attention = GroupedQueryAttention(
            h, HEADS, HEADS, head_width(h, HEADS), True, True, fused="qkv", names=("", "", "", "proj")
        )
        norms = (*layer_norm("norm1", h), *layer_norm("norm2", h))
        scales = [Tensor(f"gamma_{i}", (h,), "other") for i in (1, 2)]
        layer = encoder_layer(attention, FeedForward(h, width), norms, attention_name="attn", extra=scales)
        return [group("vision", prefixed(prefix, outside))], [stack(join(prefix, "blocks"), "vision", [layer] * depth)]

    def tower(self, prefix: str) -> Pieces:
        prefix = join(prefix, "timm_model")
        if self.architecture_name in PERCEPTION:
            return self.perception(prefix)
        outside, stacks = _fastvit.tower(prefix, self.stages())
        return [group("vision", outside)], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        return square(self) if self.architecture_name in PERCEPTION else ()

    def head_of(self, name: str) -> Iterator[Tensor] | None:
        return None
