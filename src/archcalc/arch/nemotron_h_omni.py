"""Nemotron 3 Nano Omni: Nemotron-H with C-RADIO and, if its config is there, Parakeet's encoder.

Source: transformers 5.23, models/nemotron_h_omni/modeling_nemotron_h_omni.py and configuration_nemotron_h_omni.py (defaults, and the
names of keys in released configs; the language model's own flag ties its head).
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces, head_below
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._encoder import encoder, film, stated
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.arch.c_radio import Schema as CRadio
from archcalc.arch.parakeet_encoder import Schema as Parakeet
from archcalc.arch.radio import Schema as Radio
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import projector
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Encoder, Tensor

# What the audio config leaves out.
AUDIO = {"attention_bias": False, "scale_input": False}


def former(name: str, old: str) -> Any:
    """A nested config under its name or that of the released configs."""
    return Field(default=None, validate_default=True, validation_alias=AliasChoices(name, old))


def relu_mlp(width: int, inner: int, out: int, bias: bool = False) -> Iterator[Tensor]:
    yield rms_norm("layer_norm", width)
    yield from projector(("linear_1", "linear_2"), (width, inner, out), bias=bias)


class Schema(ConfigSchema):
    prefix = ""
    inert_keys = (
        "force_image_size", "video_pruning_rate", "tie_word_embeddings", "template", "ps_version", "image_tag_type",
        "max_sequence_length", "img_context_token", "img_start_token", "img_end_token", "norm_mean", "norm_std", "patch_size",
        "use_thumbnail", "video_context_token", "sound_context_token", "min_num_patches", "max_num_patches",
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("nemotron_h")] = former("text_config", "llm_config")
    vision_config: Annotated[
        Radio, nested("radio", absent={"video_temporal_patch_size": 2}), Field(default=None, validate_default=True)
    ]
    audio_config: Annotated[Parakeet | None, nested("parakeet_encoder", fixed=True, optional=True, absent=AUDIO, merged=True)] = (
        former("audio_config", "sound_config")
    )
    downsample_ratio: float = Field(0.5, gt=0, le=1)
    projector_hidden_size: Size = 4096
    vision_hidden_size: Size = Field(1280, validation_alias=AliasChoices("vision_hidden_size", "vit_hidden_size"))
    video_temporal_patch_size: Size = 2

    def parts(self, prefix: str, hidden: int) -> Pieces:
        width = self.vision_hidden_size * int(1 / self.downsample_ratio) ** 2
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        outside = list(prefixed(join(prefix, "multi_modal_projector"), relu_mlp(width, self.projector_hidden_size, hidden)))
        if getattr(self.text_config, "num_nextn_predict_layers", 0):
            outside += layer_norm(join(prefix, "vision_final_layernorm"), self.vision_hidden_size)
        groups.append(group("vision", outside))
        if self.audio_config is not None:
            a = self.audio_config
            more, layers = a.tower(join(prefix, "audio_tower"))
            mlp = relu_mlp(a.hidden_size, a.projection_hidden_size, hidden, a.projection_bias)
            groups += [*more, group("audio", prefixed(join(prefix, "embed_audio"), mlp))]
            stacks += layers
        return groups, stacks

    def architecture(self, prefix: str) -> Architecture:
        if self.vision_config.video_temporal_patch_size != self.video_temporal_patch_size:
            key = "vision_config.video_temporal_patch_size"
            raise ConfigError(f"{key} is not video_temporal_patch_size ({self.video_temporal_patch_size})", "make them equal", key)
        name = join(prefix, "language_model")
        text = head_below(self.text_config.architecture(f"{name}.model"), name)
        return with_tower(text, *self.parts(prefix, text.facts.hidden_size))

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of as many patches as the processor allows, and a video of square frames."""
        most, vision = stated(self, "max_num_patches", 13312), self.vision_config
        source = "transformers 5.24, models/nemotron_h_omni/image_processing_nemotron_h_omni.py `max_num_patches`"
        merged, pixels = int(1 / self.downsample_ratio) ** 2, vision.num_channels * vision.patch_size**2
        image = encoder(vision, most, most // merged, pixels, source)
        frame = (stated(self, "force_image_size", 512) // vision.patch_size) ** 2
        source = "vLLM 0.33, models/nano_nemotron_vl.py `get_num_frames_with_most_features`, `extract_feature`"
        # 128 frames at a time go through the tower.
        together = self.video_temporal_patch_size
        frames = image._replace(patches=frame, pixels=pixels * together, chunk=frame * max(128 // together, 1))
        return (image, *film([frames], frame // merged, source))


class NemotronhNanoVlV2(Schema):
    """Nemotron Nano 2 VL: what Nemotron 3 Nano Omni grew from, with C-RADIO as its publisher describes it and no second embedding of video.
    Source: vLLM 0.33, models/nano_nemotron_vl.py (`NemotronH_Nano_VL_V2`); SGLang 0.5.23, srt/configs/nano_nemotron_vl.py."""

    vision_config: Annotated[CRadio, nested("c_radio", fixed=True)]
    video_temporal_patch_size: Size | None = None  # type: ignore[assignment]

    def architecture(self, prefix: str) -> Architecture:
        name = join(prefix, "language_model")
        text = head_below(self.text_config.architecture(f"{name}.model"), name)
        return with_tower(text, *self.parts(prefix, text.facts.hidden_size))

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
