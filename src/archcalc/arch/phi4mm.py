"""Phi-4-multimodal as published: its two LoRAs are part of the checkpoint, and the towers are described as Phi-3's are.

The headers of microsoft/Phi-4-multimodal-instruct hold 5,574,460,384 elements, 160 of them the mean and the deviation of a spectrogram.

Source: vLLM 0.33, models/phi4mm.py, phi4mm_audio.py (`AudioEmbedding`) and phi4mm_utils.py (`MeanVarianceNormLayer`);
the keys of microsoft/Phi-4-multimodal-instruct's config.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from archcalc.arch import phi3, phi4_multimodal
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Size
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Layer, Tensor

# What the sound encoder's keys are called in transformers' own type.
_AUDIO = {
    "attention_dim": "hidden_size", "linear_units": "intermediate_size", "num_blocks": "num_blocks", "input_size": "input_size",
    "attention_heads": "num_attention_heads", "activation": "activation", "ext_pw_out_channel": "ext_pw_out_channel",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel", "depthwise_multiplier": "depthwise_multiplier",
    "kernel_size": "kernel_size", "time_reduction": "time_reduction",
}  # fmt: skip
_PROJECTIONS = ("qkv", "o", "gate_up", "down")
_RENAMES = (
    *((f".{name}_proj.weight", f".{name}_proj.base_layer.weight") for name in _PROJECTIONS),
    (".image_embed.global_img_feature_extensor", ".image_embed.glb_GN"),
    (".image_embed.sub_img_feature_extensor", ".image_embed.sub_GN"),
    (".img_projection_up.", ".img_projection.0."), (".img_projection_down.", ".img_projection.2."),
    (".up_proj_for_speech.", ".audio_projection.speech.0."), (".down_proj_for_speech.", ".audio_projection.speech.2."),
    (".up_proj_for_vision_speech.", ".audio_projection.vision.0."), (".down_proj_for_vision_speech.", ".audio_projection.vision.2."),
)  # fmt: skip


class Lora(ConfigSchema):
    language = False
    inert_keys = ("dp", "lora_alpha", "layer")

    r: Size


class Schema(phi4_multimodal.Schema):
    core_keys = (*phi4_multimodal.Schema.core_keys, "audio_processor", "vision_lora", "speech_lora")
    inert_keys = ("embd_layer", "audio_processor", *phi3.Schema.inert_keys)

    vision_lora: Lora
    speech_lora: Lora

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        given = config.get("audio_processor")
        encoder = given.get("config") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(encoder, Mapping):
            return config
        if given.get("name") != "cascades" or encoder.get("input_layer") != "nemo_conv":
            what = f"audio_processor is {json_text(given.get('name'))} over {json_text(encoder.get('input_layer'))}"
            raise UnsupportedError(f"{what}: cascades over nemo_conv is known here")
        audio = {new: encoder[old] for old, new in _AUDIO.items() if old in encoder}
        bias, convolutions = encoder.get("relative_attention_bias_args"), encoder.get("nemo_conv_settings")
        if isinstance(bias, Mapping) and "t5_bias_max_distance" in bias:
            audio["bias_max_distance"] = bias["t5_bias_max_distance"]
        if isinstance(convolutions, Mapping) and "conv_channels" in convolutions:
            audio["nemo_conv_channels"] = convolutions["conv_channels"]
        return {**config, "audio_config": audio}

    def adapters(self, layer: Layer) -> Iterator[Tensor]:
        """A pair of narrow matrices beside each projection, for images and for speech."""
        for t in layer.tensors:
            if t.name.endswith("_proj.weight"):
                out, inner = t.shape
                stem = t.name.removesuffix(".weight")
                for kind, rank in (("vision", self.vision_lora.r), ("speech", self.speech_lora.r)):
                    yield Tensor(f"{stem}.lora_A.{kind}.weight", (rank, inner), t.role)
                    yield Tensor(f"{stem}.lora_B.{kind}.weight", (out, rank), t.role)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        stacks = tuple(
            s._replace(kinds=tuple(layer._replace(tensors=(*layer.tensors, *self.adapters(layer))) for layer in s.kinds))
            if s.part == "decoder"
            else s
            for s in a.stacks
        )
        name, bins = f"{prefix}.embed_tokens_extend.audio_embed.encoder.encoder_embedding", self.audio_config.input_size
        measured = group("audio", (Tensor(f"{name}.{part}", (bins,), "other") for part in ("global_mean", "global_invstd")))
        return a._replace(groups=(*a.groups, measured), stacks=stacks, renames=_RENAMES)
