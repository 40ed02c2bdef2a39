"""The audio tower of dots3 note: three strided convolutions, pre-norm layers with gated FFNs, an adapter.

Source: transformers 5.23, models/dots3_note/modeling_dots3_note.py (`Dots3NoteAudioModel`) and configuration_dots3_note.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import whisper
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, divided, validate
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.model import Group, Stack, stack

_WHISPER = {
    "d_model": "hidden_size", "encoder_attention_heads": "num_attention_heads", "encoder_layers": "num_hidden_layers",
    "encoder_ffn_dim": "intermediate_size", "num_mel_bins": "feature_size",
}  # fmt: skip


class Whisper(ConfigSchema):
    """Whisper's names. What its config says of a decoder is not read."""

    inert_keys = tuple(whisper.Schema.model_fields)

    d_model: Size | None = None
    encoder_attention_heads: Size | None = None
    encoder_layers: Layers | None = None
    encoder_ffn_dim: Size | None = None
    num_mel_bins: Size | None = None


class Schema(TowerSchema):
    inert_keys = (
        "base_config_key", "head_dim", "hop_length", "num_key_value_heads", "samples_per_token", "sampling_rate",
        "tie_word_embeddings",
    )  # fmt: skip

    hidden_size: Size = 1280
    intermediate_size: Size = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 20
    hidden_act: str = "silu"
    feature_size: Size = 128
    downsample_hidden_size: Size = 480
    conv_output_size: Size | None = None
    attention_bias: Flag = True
    adapter_input_size: Size = Field(1280, validation_alias=AliasChoices("whisper_adapter_in_dim", "adapter_input_size"))
    adapter_out_dim: Size = Field(
        5120, validation_alias=AliasChoices("whisper_adapter_out_dim", "adapter_output_size", "adapter_out_dim")
    )
    # Whisper's names for the same, which decide where they are there.
    whisper_config: Whisper | None = None

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        if self.whisper_config:
            stated = self.whisper_config
            named = {ours: value for key, ours in _WHISPER.items() if (value := getattr(stated, key)) is not None}
            own = self.model_dump(exclude_unset=True, exclude={"whisper_config"})
            return validate(Schema, {**own, **named}, "audio_config").tower(prefix)
        h, heads, bias, mid, out = (
            self.hidden_size, self.num_attention_heads, self.attention_bias, self.downsample_hidden_size, self.adapter_out_dim,
        )  # fmt: skip
        dim = divided(h, heads, "audio_config.hidden_size", "audio_config.num_attention_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, bias, bias)
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, True, "gate_up_proj")
        layer = encoder_layer(attention, ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))
        # As in Whisper, keys have no bias.
        layer = layer._replace(tensors=tuple(t for t in layer.tensors if t.name != "self_attn.k_proj.bias"))
        width = self.conv_output_size or mid * ((self.feature_size + 7) // 8)
        outside = [t for i, inner in enumerate((1, mid, mid)) for t in patch_conv(f"conv_stem.convs.{i}", mid, inner, 3, 3)]
        outside += [
            *linear("conv_stem.conv_out", h, width, "embedding"),
            rms_norm("layer_norm", h),
            *layer_norm("adapter.norm", self.adapter_input_size),
            *linear("adapter.fc1", out, self.adapter_input_size, "other", bias=True),
            *linear("adapter.fc2", out, out, "other", bias=True),
        ]
        layers = stack(join(prefix, "layers"), "audio", [layer] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]
