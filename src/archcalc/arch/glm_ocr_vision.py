"""The vision tower of GLM-OCR: GLM-4.1V's with normed queries and keys, and without learned positions.

Source: transformers 5.23, models/glm_ocr/modeling_glm_ocr.py (`GlmOcrVisionModel`) and configuration_glm_ocr.py (defaults).
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch import glm4v_vision
from archcalc.arch._schema import Flag, Size
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Tensor


class Schema(glm4v_vision.Schema):
    hidden_size: Size = 1024
    attention_bias: Flag = True
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    out_hidden_size: Size = 1536
    intermediate_size: Size = 4096
    qk_norm = True

    def merged_width(self) -> int:
        return self.out_hidden_size * self.in_channels

    def ffn(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.attention_bias)

    def embeddings(self) -> Iterator[Tensor]:
        yield from ()
