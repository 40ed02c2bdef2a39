"""Kimi K2.5 and K2.6: Kimi K2 (DeepSeek-V3's structure) with MoonViT.

Source: transformers 5.23, models/kimi_k25/modeling_kimi_k25.py and configuration_kimi_k25.py (defaults), conversion_mapping.py
("kimi_k25": published checkpoints also fuse the tower's queries, keys and values into `wqkv`).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.kimi_k25_vision import Schema as MoonVit
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture


class Schema(ConfigSchema):
    core_keys = ("text_config", "vision_config")
    inert_keys = ("ignore_index", "use_unified_vision_chunk", "video_placeholder")

    text_config: Annotated[ConfigSchema, nested("deepseek_v3"), Field(default={}, validate_default=True)]
    vision_config: Annotated[MoonVit, nested("kimi_k25_vision"), Field(default={}, validate_default=True)]
    projection_hidden_size: Size | None = None
    tie_word_embeddings: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        vision = self.vision_config
        groups, stacks = vision.tower(f"{prefix}.vision_tower")
        merged = vision.hidden_size * vision.merge_kernel_size[0] * vision.merge_kernel_size[1]
        tensors = (
            *layer_norm("pre_norm", self.projection_hidden_size or vision.mm_hidden_size),
            *projector(("in_proj", "out_proj"), (merged, merged, text.facts.hidden_size)),
        )
        groups.append(group("vision", prefixed(f"{prefix}.mm_projector", tensors)))
        renames = (
            ("lm_head.", "language_model.lm_head."),
            (f"{prefix}.language_model.", "language_model.model."),
            (f"{prefix}.vision_tower.patch_embed.pos_emb.position_embeddings", "vision_tower.patch_embed.pos_emb.weight"),
            (f"{prefix}.vision_tower.patch_embed.", "vision_tower.patch_embed."),
            (f"{prefix}.vision_tower.layers.", "vision_tower.encoder.blocks."),
            (f"{prefix}.vision_tower.", "vision_tower.encoder."),
            (f"{prefix}.mm_projector.in_proj.", "mm_projector.proj.0."),
            (f"{prefix}.mm_projector.out_proj.", "mm_projector.proj.2."),
            (f"{prefix}.mm_projector.", "mm_projector."),
            (".norm1.", ".norm0."),
            (".norm2.", ".norm1."),
            (".mlp.fc1.", ".mlp.fc0."),
            (".mlp.fc2.", ".mlp.fc1."),
            (".attn.proj.", ".wo."),
            *((f".attn.{name}_proj.", ".wqkv.") for name in "qkv"),
        )
        return with_tower(text, groups, stacks, renames=renames, tied=self.tie_word_embeddings)
