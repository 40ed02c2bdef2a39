"""VILA 1.5: SigLIP, a projector over two by two patches, and Llama, each stored in a folder of its own.

Source: NVlabs/VILA, llava/model/multimodal_projector/base_projector.py (`mlp_downsample`) and llava_llama.py.
"""

from typing import Annotated

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch._vlm import under
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Encoder


class Projector(ConfigSchema):
    inert_keys = ("tie_word_embeddings",)

    mm_projector_type: str


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("llm_cfg", "vision_tower_cfg", "mm_projector_cfg")
    inert_keys = (
        "image_aspect_ratio", "interpolate_mode", "mm_hidden_size", "mm_projector_lr", "mm_use_im_patch_token",
        "mm_use_im_start_end", "mm_vision_select_feature", "mm_vision_select_layer", "model_dtype", "num_video_frames",
        "resume_path", "s2_max_split_size", "s2_scales", "tune_language_model", "tune_mm_projector", "tune_vision_tower",
        "vision_resolution", "drop_path_rate",
    )  # fmt: skip

    llm_cfg: Annotated[ConfigSchema, nested("llama")]
    vision_tower_cfg: Annotated[Siglip, nested("siglip_vision_model")]
    mm_projector_cfg: Projector
    s2: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        kind = self.mm_projector_cfg.mm_projector_type
        if kind != "mlp_downsample" or self.s2:
            raise UnsupportedError(f"mm_projector_type is {kind!r}{', with s2' if self.s2 else ''}: only mlp_downsample is known")
        text = under(self.llm_cfg.standalone(), "llm")
        groups, stacks = self.vision_tower_cfg.tower("vision_tower.vision_tower.vision_model")
        joined, hidden = 4 * self.vision_tower_cfg.hidden_size, text.facts.hidden_size
        tensors = (*layer_norm("1", joined), *projector(("2", "4"), (joined, hidden, hidden)))
        groups.append(group("vision", prefixed("mm_projector.layers", tensors)))
        return with_tower(text, groups, stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, two by two patches a token."""
        return pooled(super().encoders(), 4)
