"""InternVL 1.5 to 3.5 as first published: InternViT, pixel shuffle, two linear layers, and any text model.

Source: OpenGVLab/InternVL2-2B, modeling_internvl_chat.py and configuration_internvl_chat.py.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import film, pooled, stated, tiled
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch._vlm import under
from archcalc.arch.intern_vit_6b import Schema as InternVit
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("llm_config", "vision_config")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "dynamic_image_size", "force_image_size", "max_dynamic_patch", "min_dynamic_patch", "pad2square", "ps_version",
        "select_layer", "template", "use_backbone_lora", "use_llm_lora", "use_thumbnail", "tie_word_embeddings", "system_message",
        "image_fold", "output_attentions",
    )  # fmt: skip

    llm_config: Annotated[ConfigSchema, nested("llama")]
    vision_config: Annotated[InternVit, nested("intern_vit_6b", "InternVisionModel")]
    downsample_ratio: float = Field(0.5, gt=0, le=1)

    def architecture(self, prefix: str) -> Architecture:
        text = under(self.llm_config.standalone(), "language_model")
        groups, stacks = self.vision_config.tower("vision_model")
        joined, hidden = self.vision_config.hidden_size * int(1 / self.downsample_ratio) ** 2, text.facts.hidden_size
        tensors = (*layer_norm("0", joined), *projector(("1", "3"), (joined, hidden, hidden)))
        groups.append(group("vision", prefixed("mlp1", tensors)))
        return with_tower(text, groups, stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """As many tiles as the config allows; with the text models whose vocabularies have a token for it, a video of single tiles."""
        extra = self.model_extra or {}
        tiles = stated(self, "max_dynamic_patch", 12) if extra.get("dynamic_image_size", True) else 1
        if tiles > 1 and extra.get("use_thumbnail", True):
            tiles += 1
        images = pooled(super().encoders(), int(1 / self.downsample_ratio) ** 2)
        image = tiled(images, tiles, None, "the config's max_dynamic_patch, and the overview")
        if (self.llm_config.model_extra or {}).get("model_type") not in ("qwen2", "qwen3", "qwen3_moe", "gpt_oss"):
            return image
        source = "vLLM 0.33, models/internvl.py `ctx_video_token`, `get_num_frames_with_most_features`"
        return (*image, *(frame for tile in images for frame in film([tile], tile.tokens, source)))


class H2ovlChat(Schema):
    """H2OVL: InternVL's structure.
    Source: vLLM 0.33, models/h2ovl.py (`H2OVLChatModel`, a subclass of what reads InternVL)."""


class NvlmD(Schema):
    """NVLM-D: InternVL's structure, whose projector is as wide inside as the text model's FFN and has no biases.
    Source: vLLM 0.33, models/nvlm_d.py (`_init_mlp1`); nvidia/NVLM-D-72B, modeling_nvlm_d.py."""

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        joined, hidden = self.vision_config.hidden_size * int(1 / self.downsample_ratio) ** 2, a.facts.hidden_size
        inner = a.facts.intermediate_size or hidden
        tensors = (*layer_norm("0", joined), *projector(("1", "3"), (joined, inner, hidden), bias=False))
        kept = tuple(g for g in a.groups if not any(t.name.startswith("mlp1.") for t in g.tensors))
        return a._replace(groups=(*kept, group("vision", prefixed("mlp1", tensors))))


class SkyworkChat(Schema):
    """Skywork R1V: InternVL's structure.
    Source: vLLM 0.33, models/skyworkr1v.py (`SkyworkR1VChatModel`, a subclass of what reads InternVL)."""
