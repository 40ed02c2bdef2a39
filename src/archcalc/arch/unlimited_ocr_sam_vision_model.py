"""SAM's encoder as Unlimited-OCR has it, with two more convolutions behind its neck.

Source: transformers 5.23, models/unlimited_ocr/modeling_unlimited_ocr.py (`UnlimitedOcrSamVisionEncoder`) and
configuration_unlimited_ocr.py (defaults).
"""

from archcalc.arch import got_ocr2_vision
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.model import Tensor


class Schema(got_ocr2_vision.Schema):
    downsample_channels: tuple[Size, Size] = (512, 1024)

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        first, second = self.downsample_channels
        convolutions = (
            Tensor(f"{prefix}.proj.conv1.weight", (first, self.output_channels, 3, 3), "other"),
            Tensor(f"{prefix}.proj.conv2.weight", (second, first, 3, 3), "other"),
        )
        return [*groups, group("vision", convolutions)], stacks


class DeepseekOcr2SamVisionModel(Schema):
    """SAM's encoder as DeepSeek-OCR 2 has it: Unlimited-OCR's with a narrower end.
    Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2SamVisionEncoder`) and
    configuration_deepseek_ocr2.py (defaults)."""

    inert_keys = (*Schema.inert_keys, "scale")

    mlp_dim: Size | None = None
    mlp_ratio: float = 4.0
    downsample_channels: tuple[Size, Size] = (512, 896)

    def ffn_width(self) -> int:
        return self.mlp_dim or int(self.hidden_size * self.mlp_ratio)
