"""MiniCPM-V 2 to 4.5: SigLIP, a resampler, and a text model that the version decides. Its keys stand beside the others.

Source: openbmb/MiniCPM-V-2_6 and openbmb/MiniCPM-V-4, modeling_minicpmv.py, resampler.py and configuration_minicpm.py.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, Size, divided, nested
from archcalc.arch._vlm import flat, under
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import resampler
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Tensor

TEXT = {"2.5": "llama", "2.6": "qwen2", "4.0": "llama", "4.5": "qwen3"}
OWN = (
    "version", "vision_config", "query_num", "drop_vision_last_layer", "slice_config", "slice_mode", "batch_vision_input", "image_size",
    "patch_size", "use_image_id", "vision_batch_size", "model_type", "auto_map", "quantization_config",
)  # fmt: skip


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("version", "vision_config", "hidden_size")
    inert_keys: ClassVar[tuple[str, ...]] = OWN

    version: float | str
    text_config: Annotated[ConfigSchema, nested("llama")]
    vision_config: Annotated[Siglip, nested("siglip_vision_model", "siglip")]
    query_num: Size = 64
    drop_vision_last_layer: Flag = True

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        version = str(config.get("version"))
        if version not in TEXT:
            raise UnsupportedError(f"version is {version}: of MiniCPM-V, {', '.join(TEXT)} are known")
        return flat(config, OWN, model_type=TEXT.get(version))

    def architecture(self, prefix: str = "") -> Architecture:
        text = under(self.text_config.architecture(), "llm")
        vision = self.vision_config
        less = {"vision_use_head": False, "num_hidden_layers": vision.num_hidden_layers - self.drop_vision_last_layer}
        groups, stacks = vision.model_copy(update=less).tower("vpm")
        hidden = text.facts.hidden_size
        heads = divided(hidden, 128, "hidden_size", "128")
        tensors = (
            *resampler(self.query_num, hidden, vision.hidden_size, heads),
            *layer_norm("ln_post", hidden),
            Tensor("proj", (hidden, hidden), "other"),
        )
        groups.append(group("vision", prefixed("resampler", tensors)))
        return with_tower(text, "minicpmv", groups, stacks)
