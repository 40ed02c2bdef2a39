"""OpenVLA: Llama 2 with DINOv2 and SigLIP beside each other, whose patches are joined and projected by three linear layers.

The Hub counts 7,541,237,184 elements in openvla/openvla-7b.

Source: vLLM 0.33, models/openvla.py (`PrismaticVisionBackbone`, `PrismaticProjector`: the only pair of towers that it reads) and
transformers_utils/configs/openvla.py; timm 0.9.10, models/vision_transformer.py (`vit_large_patch14_reg4_dinov2`,
`vit_so400m_patch14_siglip_224`).
"""

from collections.abc import Iterator

from archcalc.arch import _timm_vit
from archcalc.arch._composite import CompositeSchema, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Flag, Size
from archcalc.arch.minicpmv import Timm
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Tensor

TOWERS = ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"]


class Dino(_timm_vit.Schema):
    """What `vit_large_patch14_reg4_dinov2` is in timm: four registers beside the class token, and residuals that are scaled."""

    patch_size: Size = 14

    def pooling(self) -> Iterator[Tensor]:
        yield from ()

    def tower(self, prefix: str) -> Pieces:
        h = self.width
        groups, stacks = super().tower(prefix)
        tokens = (Tensor("cls_token", (1, 1, h), "embedding"), Tensor("reg_token", (1, 4, h), "embedding"))
        scales = tuple(Tensor(f"ls{i}.scale_factor", (h,), "other") for i in (1, 2))
        scaled = [s._replace(kinds=tuple(k._replace(tensors=(*k.tensors, *scales)) for k in s.kinds)) for s in stacks]
        return [*groups, group("vision", prefixed(prefix, tokens))], scaled


class Pooled(_timm_vit.Schema):
    """What `vit_so400m_patch14_siglip_224` is in timm, pooling head and all."""

    patch_size: Size = Timm().patch_size
    width: Size = Timm().width
    layers: Count = Timm().layers
    mlp_ratio: float = Timm().mlp_ratio


class Schema(CompositeSchema):
    core_keys = ("text_config",)
    inert_keys = (
        "arch_specifier", "hf_llm_id", "image_resize_strategy", "image_token_index", "llm_backbone_id", "llm_max_length",
        "n_action_bins", "norm_stats", "output_projector_states", "pad_to_multiple_of", "pad_token_id",
        "timm_override_act_layers", "vision_backbone_id",
    )  # fmt: skip
    renames = (
        ("lm_head.", "language_model.lm_head."), ("model.language_model.", "language_model.model."), ("model.", ""),
    )  # fmt: skip
    ties = "outer or text"

    timm_model_ids: list[str] = TOWERS
    image_sizes: tuple[Size, Size] = (224, 224)
    use_fused_vision_backbone: Flag = True
    tie_word_embeddings: Flag | None = None

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        if self.timm_model_ids != TOWERS or not self.use_fused_vision_backbone:
            raise UnsupportedError(f"timm_model_ids is {json_text(self.timm_model_ids)}: {' others '.join(TOWERS)} is known here")
        first, second = Dino(image_size=self.image_sizes[0]), Pooled(image_size=self.image_sizes[1])
        root, hidden = join(prefix, "vision_backbone"), text.facts.hidden_size
        groups, stacks = first.tower(f"{root}.featurizer")
        more, layers = second.tower(f"{root}.fused_featurizer")
        joined = first.width + second.width
        narrow = projector(("fc1", "fc2", "fc3"), (joined, 4 * joined, hidden, hidden))
        return [*groups, *more, group("vision", prefixed(join(prefix, "projector"), narrow))], stacks + layers
