"""LLaVA over Mistral in its first library's form: the text model's keys stand flat, and the tower goes by its name.

Source: haotian-liu/LLaVA, llava/model/language_model/llava_mistral.py, multimodal_projector/builder.py (`mlpNx_gelu`) and
multimodal_encoder/clip_encoder.py; microsoft/llava-med-v1.5-mistral-7b, config.json.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch import llava
from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch._vlm import flat
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Tensor

_OWN = (
    "model_type", "architectures", "auto_map", "dtype", "torch_dtype", "mm_vision_tower", "mm_projector_type", "mm_hidden_size",
    *llava.Schema.inert_keys, "mm_projector_lr", "tokenizer_model_max_length", "tokenizer_padding_side", "mm_patch_merge_type",
)  # fmt: skip
TOWERS = {"openai/clip-vit-large-patch14-336": llava.CLIP, "openai/clip-vit-large-patch14": {**llava.CLIP, "image_size": 224}}


class Schema(VisionSchema):
    core_keys = ("hidden_size", "mm_vision_tower")
    inert_keys = _OWN
    tower_name = "vision_tower.vision_tower.vision_model"
    projector_name = "mm_projector"
    renames = (("model.language_model.", "model."),)

    text_config: Annotated[ConfigSchema, nested("mistral", "llava_mistral"), DEFAULT]
    mm_vision_tower: str
    mm_projector_type: str = "linear"
    mm_hidden_size: Size = 1024
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        tower = config.get("mm_vision_tower")
        if isinstance(tower, str) and tower not in TOWERS:
            raise UnsupportedError(f"mm_vision_tower is {json_text(tower)}: of towers by name archcalc knows {', '.join(TOWERS)}")
        return {"vision_config": TOWERS.get(str(tower), {}), **flat(config, _OWN)}

    def tied(self, text: Architecture) -> bool | None:
        return self.tie_word_embeddings

    def projection(self, wide: int, hidden: int) -> Iterable[Tensor]:
        deep = re.fullmatch(r"mlp([1-9])x_gelu", self.mm_projector_type)
        if deep is None and self.mm_projector_type != "linear":
            raise UnsupportedError(
                f"mm_projector_type is {json_text(self.mm_projector_type)}: only linear and mlpNx_gelu are known here"
            )
        layers = int(deep[1]) if deep else 1
        # An activation stands between two of them.
        names = tuple(str(2 * i) for i in range(layers)) if deep else ("",)
        tensors = projector(names, (self.mm_hidden_size, *[hidden] * layers))
        return (t._replace(name=t.name.removeprefix(".")) for t in tensors)
