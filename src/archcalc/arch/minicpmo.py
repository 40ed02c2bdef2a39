"""MiniCPM-o 2.6 and 4.5: MiniCPM-V with Whisper's encoder and two linear layers behind it. What speaks is not counted.

Source: vLLM 0.33, models/minicpmo.py (`MiniCPMOBaseModel.init_audio_module`, `MultiModalProjector`; the weights
below `tts` are not loaded).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from archcalc.arch import minicpmv
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import nested
from archcalc.arch._vlm import flat
from archcalc.arch._whisper import WhisperTower
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(minicpmv.Schema):
    core_keys = ("hidden_size",)
    inert_keys = (
        *minicpmv.OWN, "audio_pool_step", "audio_chunk_length", "tts_config", "init_audio", "init_tts", "init_vision",
        "listen_speak_type", "chunk_input", "stream_input", "stream_config", "vision_config", "audio_config", "architectures",
        "dtype", "torch_dtype",
    )  # fmt: skip

    audio_config: Annotated[WhisperTower, nested("qwen2_audio_encoder", fixed=True), DEFAULT]

    @staticmethod
    def version_of(config: Mapping[str, Any]) -> str:
        return str(config.get("version") or "2.6")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        version = cls.version_of(config)
        if version not in minicpmv.TEXT:
            raise UnsupportedError(f"version is {version}: of MiniCPM-o, 2.6, 4.0 and 4.5 are known")
        return flat(config, cls.inert_keys, model_type=minicpmv.TEXT[version])

    def architecture(self, prefix: str) -> Architecture:
        a, audio = super().architecture(prefix), self.audio_config
        width, hidden = audio.encoder_ffn_dim // 4, a.facts.hidden_size
        groups, stacks = audio.tower("apm")
        groups.append(
            group("audio", prefixed("audio_projection_layer", projector(("linear1", "linear2"), (width, hidden, hidden))))
        )
        notes = ("what speaks (tts) is not counted",)
        return with_tower(a, groups, stacks, notes=notes)
