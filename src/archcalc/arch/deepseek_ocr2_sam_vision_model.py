"""SAM's encoder as DeepSeek-OCR 2 has it: Unlimited-OCR's with a narrower end.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2SamVisionEncoder`) and
configuration_deepseek_ocr2.py (defaults).
"""

from archcalc.arch import unlimited_ocr_sam_vision_model
from archcalc.arch._schema import Size


class Schema(unlimited_ocr_sam_vision_model.Schema):
    downsample_channels: tuple[Size, Size] = (512, 896)
