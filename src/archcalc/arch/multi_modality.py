"""Janus and Janus-Pro as first published: Llama with SigLIP for reading images, and an image tokenizer with a table and a head of its own.
DeepSeek-VL 1.3B as first published has the first two, and none of the keys that speak of drawing.

Source: deepseek-ai/DeepSeek-VL, deepseek_vl/models/modeling_vlm.py (`MultiModalityCausalLM`) and siglip_vit.py; SGLang 0.5.23,
srt/models/deepseek_janus_pro.py (`MultiModalityCausalLM`, `SigLIP_MODEL_CONFIG`, `ModelArgs`: names, modules, the only tokenizer there is)
and srt/configs/janus_pro.py.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from archcalc.arch import _timm_vit
from archcalc.arch._composite import CompositeSchema, Pieces, head_below
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Layers, Size, nested
from archcalc.arch.janus_vqgan import Schema as Vqgan
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Tensor

SO400M = {"patch_size": 14, "width": 1152, "layers": 27, "heads": 16, "mlp_ratio": 3.7362}
TOWERS: dict[str, dict[str, Any]] = {
    "siglip_so400m_patch14_384": SO400M,
    "siglip_so400m_patch14_224": SO400M,
    "siglip_large_patch16_384": {"patch_size": 16, "width": 1024, "layers": 24, "heads": 16, "mlp_ratio": 4.0},
}
# How the tokenizer is named there, by what transformers calls the same.
_NAMES = ((r"\b(?:down|up)\.(\d+)\.block\.", r"conv_blocks.\1.res."), (r"\b(?:down|up)\.(\d+)\.", r"conv_blocks.\1."),
          (r"mid\.block_1", "mid.0"), (r"mid\.attn_1", "mid.1"), (r"mid\.block_2", "mid.2"))  # fmt: skip


class Params(ConfigSchema):
    """What a part of the model is made for."""

    name = "multi_modality_part"

    inert_keys = ("select_feature", "select_layers", "ckpt_path", "cls")

    model_name: str = "siglip_large_patch16_384"
    image_size: Size = 336
    select_layer: int = -1
    depth: Layers = 1
    input_dim: Size = 1024
    n_embed: Size = 2048
    projector_type: str = "mlp_gelu"
    image_token_embed: Size = 2048
    image_token_size: Size = 16384


class Part(ConfigSchema):
    """A part: the class that makes it, and its parameters."""

    name = "multi_modality_part"
    cls_name: str | None = Field(None, validation_alias="cls")
    params: Params

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "params": config.get("params") or {}}

    def projector(self, name: str) -> Iterator[Tensor]:
        p = self.params
        if p.projector_type != "mlp_gelu":
            raise UnsupportedError(f'projector_type is {json_text(p.projector_type)}: only "mlp_gelu" is known here')
        for i in range(p.depth):
            yield from linear(f"{name}.layers.{2 * i}", p.n_embed, p.n_embed if i else p.input_dim, "other", bias=True)


LANGUAGE: Any = Field(validation_alias=AliasChoices("language_config", "text_config"))
PART: Any = Field(default={}, validate_default=True)


class Schema(CompositeSchema):
    core_keys = ("language_config",)
    ties = "stated"

    vision_config: Annotated[Part, PART]
    aligner_config: Annotated[Part, PART]
    gen_vision_config: Part | None = None
    gen_aligner_config: Part | None = None
    gen_head_config: Part | None = None
    text_config: Annotated[ConfigSchema, nested("llama", fixed=True), LANGUAGE]

    def text(self, prefix: str) -> Architecture:
        return head_below(self.text_config.architecture("language_model.model"), "language_model")

    def tokenizer(self) -> Iterator[Tensor]:
        tensors = [t for g in Vqgan().tower("gen_vision_model")[0] for t in g.tensors]
        for t in tensors:
            name = t.name
            for old, new in _NAMES:
                name = re.sub(old, new, name)
            yield t._replace(name=name)
        yield Tensor("gen_vision_model.quantize.codebook_used", (65536,), "other")

    def drawing(self) -> Iterator[Tensor]:
        """What makes images, where the config speaks of it."""
        parts = (self.gen_vision_config, self.gen_aligner_config, self.gen_head_config)
        if not any(parts):
            return
        codes, aligner, rows = (part or Part.model_validate({"params": {}}) for part in parts)
        drawn, head = codes.params, rows.params
        yield from aligner.projector("gen_aligner")
        yield from self.tokenizer()
        yield table("gen_embed", drawn.image_token_size, drawn.n_embed)
        yield from linear("gen_head.output_mlp_projector", head.image_token_embed, head.n_embed, "other", bias=True)
        yield from linear("gen_head.vision_head", head.image_token_size, head.image_token_embed, "other", bias=True)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        named, vision = self.vision_config.cls_name, self.vision_config.params
        if named not in (None, "CLIPVisionTower"):
            raise UnsupportedError(f"vision_config.cls is {json_text(named)}: CLIPVisionTower is known here")
        if vision.model_name not in TOWERS:
            raise UnsupportedError(
                f"vision_config.params.model_name is {json_text(vision.model_name)}: known are {', '.join(TOWERS)}"
            )
        sizes = TOWERS[vision.model_name]
        cut, most = vision.select_layer, sizes["layers"]
        layers = min(most, cut if cut > 0 else most + cut + 1)
        tower = _timm_vit.Schema(**{**sizes, "image_size": vision.image_size, "layers": layers})
        groups, stacks = tower.tower("vision_model.vision_tower")
        return [*groups, group("vision", (*self.aligner_config.projector("aligner"), *self.drawing()))], stacks
