"""DeepSeek-VL2: SigLIP, a projector over two by two patches, and a text model with experts, with or without MLA.

Source: deepseek-ai/DeepSeek-VL2, deepseek_vl2/models/modeling_deepseek_vl_v2.py and siglip_vit.py.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from archcalc.arch import deepseek, deepseek_v2
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._encoder import pairs, tiled
from archcalc.arch._schema import ConfigSchema, Layers, Size, validate
from archcalc.arch._timm_vit import Schema as Vit
from archcalc.arch._vlm import under
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Encoder, Tensor

LATENT = ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


def text(config: Any) -> Any:
    """DeepSeek-V2's model, or without MLA DeepSeekMoE's."""
    if not isinstance(config, dict):
        return config
    kept = {key: value for key, value in config.items() if key not in ("use_mla", "lm_head", "rm_head", "aux_loss_alpha")}
    if config.get("use_mla", True):
        return validate(deepseek_v2.Schema, kept, "language_config")
    return validate(deepseek.Schema, {k: v for k, v in kept.items() if k not in LATENT}, "language_config")


class Projector(ConfigSchema):
    inert_keys = ("token_pooling",)

    projector_type: str = "downsample_mlp_gelu"
    input_dim: Size = 1152
    n_embed: Size = 2048
    depth: Layers = 2
    mlp_ratio: Size = 1
    downsample_ratio: Size = 2


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("language_config", "vision_config", "projector_config")
    inert_keys = ("candidate_resolutions", "global_view_pos")

    language_config: Annotated[ConfigSchema, BeforeValidator(text)]
    vision_config: Vit
    projector_config: Projector
    tile_tag: str = "2D"

    def architecture(self, prefix: str) -> Architecture:
        p = self.projector_config
        if p.projector_type != "downsample_mlp_gelu" or self.tile_tag != "2D":
            raise UnsupportedError(
                f"projector_type {p.projector_type!r} with tile_tag {self.tile_tag!r} is not known for DeepSeek-VL2"
            )
        language = under(self.language_config.standalone(), "language")
        groups, stacks = self.vision_config.tower(join(prefix, "vision"))
        inner = p.n_embed * p.mlp_ratio
        widths = (p.input_dim * p.downsample_ratio**2, *[inner] * (p.depth - 1), p.n_embed)
        names = tuple(f"layers.{2 * i}" for i in range(p.depth))
        tensors = [*prefixed("projector", projector(names, widths))]
        tensors += [Tensor(name, (p.n_embed,), "embedding") for name in ("image_newline", "view_seperator")]
        groups.append(group("vision", tensors))
        return with_tower(language, groups, stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """Tiles of the largest shape of the config's list, and the whole image."""
        shapes = (self.model_extra or {}).get("candidate_resolutions")
        side = self.vision_config.image_size
        tiles = max((int(h) * int(w) // side**2 for h, w in shapes), default=9) if pairs(shapes) else 9
        # 27 x 27 patches and a margin, two by two.
        tokens = (-(-(side // self.vision_config.patch_size) // self.projector_config.downsample_ratio)) ** 2
        return tiled(super().encoders(), tiles + 1, tokens, "the config's candidate_resolutions, and the overview")
