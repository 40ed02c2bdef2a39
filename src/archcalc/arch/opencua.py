"""OpenCUA: Qwen 2 with Qwen2.5-VL's tower, whose text positions have one dimension.

Source: vLLM 0.33, models/opencua.py (`OpenCUAForConditionalGeneration`, a subclass of Qwen2.5-VL's).
"""

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture

NAMES = (
    ("lm_head.", "language_model.lm_head."), ("model.language_model.", "language_model.model."), ("model.", ""),
)  # fmt: skip


class Schema(CompositeSchema):
    core_keys = ("text_config", "vision_config")
    ties = "outer or text"
    inert_keys: ClassVar[tuple[str, ...]] = ("ignore_index", "media_placeholder_token_id", "vocab_size")
    renames = (*NAMES[:2], ("model.visual.", "vision_tower."), *NAMES[2:])

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen2_5_vl_vision", "qwen2_5_vl"), DEFAULT]
    tie_word_embeddings: Flag | None = None

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        return self.vision_config.tower(f"{prefix}.visual")


class Sarashina2Vision(Schema):
    """Sarashina 2 Vision: Llama with Qwen2-VL's tower and a norm behind it.
    Source: SGLang 0.5.23, srt/models/sarashina2_vision.py; llama.cpp 0c1e57098, conversion/sarashina2.py."""

    inert_keys = (*Schema.inert_keys, "image_token_index", "start_image_token_index", "end_image_token_index")

    text_config: Annotated[ConfigSchema, nested("llama"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen2_vl_vision", "qwen2_vl"), DEFAULT]

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        return [*groups, group("vision", prefixed(prefix, layer_norm("norm", text.facts.hidden_size)))], stacks
