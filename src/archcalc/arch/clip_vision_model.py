"""CLIP, the vision tower.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPVisionModel`, `CLIPVisionModelWithProjection`) and
configuration_clip.py (defaults).
"""

from collections.abc import Iterable

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import clip_layer, grid, patch_conv, table
from archcalc.model import Architecture, Group, Stack, Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = 768
    intermediate_size: Size = 3072
    # The width of the space shared with CLIP's text tower: its projection is no part of the tower.
    projection_dim: Size | None = 512
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    num_channels: Size = 3
    image_size: Size = 224
    patch_size: Size = 32
    hidden_act: str = "quick_gelu"

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("WithProjection"):
            return super().head_of(name)
        return linear("visual_projection", self.projection_dim or 512, self.hidden_size, "other")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p = self.hidden_size, self.patch_size
        divided(h, self.num_attention_heads, "hidden_size", "num_attention_heads")
        outside = [
            Tensor("embeddings.class_embedding", (h,), "embedding"),
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, p, p, bias=False),
            table("embeddings.position_embedding", grid(self.image_size, p) + 1, h),  # and the class token's
            *layer_norm("pre_layrnorm", h),
            *layer_norm("post_layernorm", h),
        ]
        layer = clip_layer(h, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "encoder.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside) if prefix else outside)], [layers]


class Kosmos2VisionModel(Schema):
    """The vision tower of Kosmos-2: CLIP's.
    Source: transformers 5.23, models/kosmos2/modeling_kosmos2.py (`Kosmos2VisionModel`) and configuration_kosmos2.py (defaults).
    """

    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    patch_size: Size = 14

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.model")


class Alone(Schema):
    """A tower whose class alone names nothing below another."""

    prefix = ""

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")


class MlcdVisionModel(Alone):
    """MLCD: CLIP's tower with positions that turn with row and column, trained on clusters of labels.
    Source: transformers 5.24, models/mlcd/modeling_mlcd.py (`MLCDVisionModel`) and configuration_mlcd.py (defaults); An et al. 2024,
    arXiv:2407.17331."""

    inert_keys = ("num_key_value_groups",)
    hidden_size: Size = 1664
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 16
    image_size: Size = 336
    patch_size: Size = 14
    hidden_act: str = "gelu"

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().tower(prefix)
        rotary = Tensor("class_pos_emb", (1, self.hidden_size // self.num_attention_heads // 2), "embedding")
        kept = tuple(t for t in groups[0].tensors if not t.name.endswith("embeddings.position_embedding.weight"))
        own = rotary._replace(name=join(prefix, rotary.name))
        return [groups[0]._replace(tensors=(*kept, own)), *groups[1:]], stacks


class ChineseClipVisionModel(Alone):
    """The vision tower of Chinese CLIP: CLIP's.
    Source: transformers 5.24, models/chinese_clip/modeling_chinese_clip.py (`ChineseCLIPVisionModel`)."""


class AltclipVisionModel(Alone):
    """The vision tower of AltCLIP: CLIP's.
    Source: transformers 5.24, models/altclip/modeling_altclip.py (`AltCLIPVisionModel`)."""


class ClipsegVisionModel(Alone):
    """The vision tower of CLIPSeg: CLIP's.
    Source: transformers 5.24, models/clipseg/modeling_clipseg.py (`CLIPSegVisionModel`)."""


class Metaclip2VisionModel(Alone):
    """The vision tower of MetaCLIP 2: CLIP's.
    Source: transformers 5.24, models/metaclip_2/modeling_metaclip_2.py (`MetaClip2VisionModel`)."""


class GitVisionModel(Schema):
    """The vision tower of GIT: CLIP's.
    Source: transformers 5.23, models/git/modeling_git.py (`GitVisionModel`) and configuration_git.py (defaults)."""

    patch_size: Size = 16

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_model")
