"""The vision tower of GLM-5.3-Flash: GLM-4.1V's with QK-norm, biases, FFNs of a width of their own and no learned positions.

Source: transformers 5.23, models/glm5_next/modeling_glm5_next.py (`Glm5NextVisionModel`) and configuration_glm5_next.py (defaults).
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch import glm4v_vision
from archcalc.arch._encoder import within
from archcalc.arch._schema import Flag, Size
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Encoder, Tensor


class Schema(glm4v_vision.Schema):
    qk_norm = True

    hidden_size: Size = 1024
    attention_bias: Flag = True
    num_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "num_heads"))
    out_hidden_size: Size = 1536
    intermediate_size: Size = 4096
    projection_intermediate_size: Size = 10240

    def merged_width(self) -> int:
        return self.projection_intermediate_size

    def ffn(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.attention_bias)

    def embeddings(self) -> Iterator[Tensor]:
        yield from ()

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of as many tokens as the processor allows."""
        source = "transformers 5.24, models/glm5_next/image_processing_glm5_next.py `max_image_tokens`"
        return within(self, 8000, self.spatial_merge_size, source, frames=self.temporal_patch_size, rotated=True)
