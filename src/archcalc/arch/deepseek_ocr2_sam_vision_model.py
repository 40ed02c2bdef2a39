"""SAM's encoder as DeepSeek-OCR 2 has it: Unlimited-OCR's with a narrower end.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2SamVisionEncoder`) and
configuration_deepseek_ocr2.py (defaults).
"""

from archcalc.arch import unlimited_ocr_sam_vision_model
from archcalc.arch._schema import Size


class Schema(unlimited_ocr_sam_vision_model.Schema):
    inert_keys = (*unlimited_ocr_sam_vision_model.Schema.inert_keys, "scale")

    mlp_dim: Size | None = None
    mlp_ratio: float = 4.0
    downsample_channels: tuple[Size, Size] = (512, 896)

    def ffn_width(self) -> int:
        return self.mlp_dim or int(self.hidden_size * self.mlp_ratio)
