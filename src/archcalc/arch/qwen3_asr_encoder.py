"""The audio tower of Qwen3-ASR and Qwen3-Omni: three convolutions over time and frequency, then Whisper's layers with biased keys.

Source: transformers 5.23, models/qwen3_asr/modeling_qwen3_asr.py (`Qwen3ASREncoder`) and configuration_qwen3_asr.py (defaults).
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch._encoder import heard
from archcalc.arch._schema import Layers, Size
from archcalc.arch._whisper import WhisperTower, conv, whisper_layer
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Layer, Tensor


class Schema(WhisperTower):
    inert_keys = (*WhisperTower.inert_keys, "n_window", "n_window_infer", "conv_chunksize")

    d_model: Size = Field(1024, validation_alias=AliasChoices("hidden_size", "d_model"))
    encoder_layers: Layers = Field(24, validation_alias=AliasChoices("num_hidden_layers", "encoder_layers"))
    encoder_attention_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "encoder_attention_heads"))
    encoder_ffn_dim: Size = Field(4096, validation_alias=AliasChoices("intermediate_size", "encoder_ffn_dim"))
    output_dim: Size = 3584
    downsample_hidden_size: Size = 480

    def front(self) -> Iterator[Tensor]:
        width, bins, inner = self.downsample_hidden_size, self.num_mel_bins, 1
        for i in (1, 2, 3):
            yield from conv(f"conv2d{i}", width, inner, 3, 3)
            bins, inner = (bins + 1) // 2, width
        yield from linear("conv_out", self.d_model, width * bins, "embedding")

    def behind(self) -> Iterator[Tensor]:
        yield from layer_norm("ln_post", self.d_model)

    def layer(self) -> Layer:
        h, heads, width = self.d_model, self.encoder_attention_heads, self.encoder_ffn_dim
        return whisper_layer(h, heads, width, self.activation_function, key_bias=True)

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound."""
        # 13 rows stand for a second of 100 frames.
        source = "transformers 5.24, models/qwen3_asr/modeling_qwen3_asr.py `_get_feat_extract_output_lengths`, for 30 seconds"
        return heard(self, 390, 390, 8 * self.num_mel_bins, source)


class Qwen3OmniMoeAudioEncoder(Schema):
    """The audio tower of Qwen3-Omni: Qwen3-ASR's with its projection into the text model.
    Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeAudioEncoder`) and
    configuration_qwen3_omni_moe.py (defaults)."""

    d_model: Size = Field(1280, validation_alias=AliasChoices("hidden_size", "d_model"))
    encoder_layers: Layers = Field(32, validation_alias=AliasChoices("num_hidden_layers", "encoder_layers"))
    encoder_attention_heads: Size = Field(20, validation_alias=AliasChoices("num_attention_heads", "encoder_attention_heads"))
    encoder_ffn_dim: Size = Field(5120, validation_alias=AliasChoices("intermediate_size", "encoder_ffn_dim"))

    def behind(self) -> Iterator[Tensor]:
        yield from super().behind()
        yield from projector(("proj1", "proj2"), (self.d_model, self.d_model, self.output_dim))
