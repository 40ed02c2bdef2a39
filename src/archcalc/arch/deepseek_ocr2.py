"""DeepSeek-OCR 2: a small mixture of experts with SAM's encoder and layers of Qwen 2, one behind the other.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py and configuration_deepseek_ocr2.py (defaults); vLLM 0.30,
models/deepencoder2.py (`build_qwen2_decoder_as_encoder`: what the published config does not state of its tower).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.deepseek_ocr2_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor

# The layers of Qwen2-0.5B, which deepseek-ai's code fixes.
QWEN = {
    "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
}  # fmt: skip


class Schema(VisionSchema):
    inert_keys = ("language_config", "projector_config", "candidate_resolutions", "global_view_pos", "tile_tag")

    text_config: Annotated[ConfigSchema, nested("deepseek_ocr2_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("deepseek_ocr2_vision", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The published config is in the form of DeepSeek-VL2: the text model as `language_config`, the tower by its widths."""
        if config.get("text_config") is not None or not isinstance(config.get("language_config"), Mapping):
            return config
        vision = config.get("vision_config")
        widths = vision.get("width") if isinstance(vision, Mapping) else None
        qwen = widths.get("qwen2-0-5b") if isinstance(widths, Mapping) else None
        dim = qwen.get("dim") if isinstance(qwen, Mapping) else None
        encoder = {**QWEN, "hidden_size": dim} if dim is not None else QWEN
        return {**config, "text_config": config["language_config"], "vision_config": {"encoder_config": encoder}}

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield Tensor("view_separator", (hidden,), "embedding")
        yield from linear("multi_modal_projector", hidden, self.tower_width(), "other", bias=True)
