"""The audio tower of Qwen3-Omni: Qwen3-ASR's with its projection into the text model.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeAudioEncoder`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch import qwen3_asr_encoder
from archcalc.arch._schema import Layers, Size
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(qwen3_asr_encoder.Schema):
    d_model: Size = Field(1280, validation_alias=AliasChoices("hidden_size", "d_model"))
    encoder_layers: Layers = Field(32, validation_alias=AliasChoices("num_hidden_layers", "encoder_layers"))
    encoder_attention_heads: Size = Field(20, validation_alias=AliasChoices("num_attention_heads", "encoder_attention_heads"))
    encoder_ffn_dim: Size = Field(5120, validation_alias=AliasChoices("intermediate_size", "encoder_ffn_dim"))

    def behind(self) -> Iterator[Tensor]:
        yield from super().behind()
        yield from projector(("proj1", "proj2"), (self.d_model, self.d_model, self.output_dim))
