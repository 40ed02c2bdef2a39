"""The vision tower of DeepSeek-OCR 2: SAM's encoder, and layers in which learned queries read its output.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2VisionModel`, which fixes how many queries).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import encoder
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.deepseek_ocr2_encoder import Schema as Queries
from archcalc.arch.unlimited_ocr_sam_vision_model import DeepseekOcr2SamVisionModel as Sam
from archcalc.blocks.vision import table
from archcalc.model import Encoder


class Schema(TowerSchema):
    inert_keys = ("image_size", "mlp_ratio", "width", "model_name")

    sam_config: Annotated[Sam, nested("deepseek_ocr2_sam_vision_model", fixed=True), DEFAULT]
    encoder_config: Annotated[Queries, nested("deepseek_ocr2_encoder", fixed=True), DEFAULT]

    @property
    def hidden_size(self) -> int:
        return self.encoder_config.hidden_size

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.sam_config.tower(join(prefix, "sam_encoder"))
        more_groups, more_stacks = self.encoder_config.tower(join(prefix, "vision_encoder"))
        queries = (table(join(prefix, f"query_{side}_resolution"), n, self.hidden_size) for side, n in ((768, 144), (1024, 256)))
        return [*groups, *more_groups, group("vision", queries)], stacks + more_stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """The whole image at 1,024 pixels and six crops at 768, through SAM and then, 16 patches merged, with as many queries."""
        source = "transformers 5.24, models/deepseek_ocr2/image_processing_deepseek_ocr2.py `max_patches`, `tile_size`"
        whole, crop, sam = 64**2, 48**2, self.sam_config
        rows, tokens = whole + 6 * crop, (whole + 6 * crop) // 16
        seen = encoder(sam, rows, tokens, sam.num_channels * sam.patch_size**2, source)
        seen = seen._replace(chunk=6 * crop, bias=sam.num_attention_heads * max(whole**2, 6 * crop**2))
        return seen, encoder(self.encoder_config, 2 * tokens, tokens, 0, source)
