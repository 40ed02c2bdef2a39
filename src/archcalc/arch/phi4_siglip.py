"""Phi-4-reasoning-vision: Phi-4 with SigLIP 2 for images of any shape, whose patches an MLP projects; the text model's keys stand flat.

Source: microsoft/Phi-4-reasoning-vision-15B, modeling_phi4_siglip.py (`mlp2x_gelu`) and config.json; vLLM 0.33, models/phi4siglip.py
(`Phi4ForCausalLMV`: names).
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.arch._vlm import flat
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

_OWN = (
    "model_type", "architectures", "auto_map", "vision_config", "mm_projector_type", "mm_hidden_size", "dtype", "torch_dtype",
    "freeze_mm_mlp_adapter", "tune_mm_mlp_adapter", "unfreeze_mm_vision_tower", "mm_vision_tower", "mm_projector_lr", "max_num_patches",
    "min_num_patches", "image_aspect_ratio", "tokenizer_model_max_length", "tokenizer_padding_side", "use_mm_proj",
    "mm_vision_select_layer", "mm_vision_select_feature", "use_s2",
)  # fmt: skip
# SigLIP 2 So400m, the tower of `mm_vision_tower`.
TOWER = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16, "patch_size": 16}


class Schema(VisionSchema):
    core_keys = ("mm_hidden_size", "hidden_size")
    inert_keys = _OWN
    tower_name = "vision_tower.vision_tower.vision_model"
    projector_name = "mm_projector"
    renames = (("model.language_model.", "model."),)
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("phi3", "phi4-siglip"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip2_vision_model", absent=TOWER, merged=True), DEFAULT]
    mm_projector_type: Literal["mlp2x_gelu"] = "mlp2x_gelu"
    mm_hidden_size: Size
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return flat(config, _OWN)

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("0", "2"), (self.mm_hidden_size, hidden, hidden))
