"""GOT-OCR 2: Qwen 2 with SAM's encoder, whose patches two convolutions merge.

Source: transformers 5.23, models/got_ocr2/modeling_got_ocr2.py and configuration_got_ocr2.py (defaults), conversion_mapping.py
("llava").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, LLAVA, VisionSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor

# What an absent text_config stands for.
TEXT = {
    "vocab_size": 151860, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "num_attention_heads": 16,
    "num_key_value_heads": 16, "max_position_embeddings": 32768, "tie_word_embeddings": True, "max_window_layers": 21,
}  # fmt: skip


class Schema(VisionSchema):
    inert_keys = ("image_seq_length",)
    renames = tuple((old, new.replace("vision_tower.vision_model.", "vision_tower.")) for old, new in LLAVA)

    text_config: Annotated[ConfigSchema, nested("qwen2", absent=TEXT), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("got_ocr2_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        channels = width_of(self.vision_config, "output_channels")
        yield Tensor("conv_upsampler1.weight", (2 * channels, channels, 3, 3), "other")
        yield Tensor("conv_upsampler2.weight", (hidden, 2 * channels, 3, 3), "other")
        yield from linear("multimodal_projector", hidden, hidden, "other", bias=True)


class PpChart2table(Schema):
    """PP-Chart2Table: GOT-OCR 2 under another name. Source: transformers 5.23, models/pp_chart2table/configuration_pp_chart2table.py."""
