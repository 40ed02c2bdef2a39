"""Ultravox: any text model with Whisper's encoder, whose frames are stacked and projected.

Published configs may only name the repositories of the two parts: those are refused, as nothing here says how large they are.

Source: vLLM 0.33, models/ultravox.py (`UltravoxFeedForwardProjector`, `UltravoxTransformerProjector`) and
transformers_utils/configs/ultravox.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Count, Flag, Size, nested
from archcalc.arch._whisper import WhisperTower, whisper_layer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Stack, Tensor, stack


class Schema(CompositeSchema):
    inert_keys = (
        "ignore_index", "audio_token_index", "norm_init", "text_model_lora_config", "audio_model_lora_config", "custom_tokenizer",
        "audio_latency_block_size", "vocab_size", "pad_token_id", "initializer_range", "text_model_id", "audio_model_id",
    )  # fmt: skip
    ties = "outer or text"

    audio_config: Annotated[WhisperTower, nested("qwen2_audio_encoder", fixed=True), DEFAULT]
    hidden_size: Size = 4096
    stack_factor: Size = 8
    projector_act: str = "swiglu"
    projector_ln_mid: Flag = False
    num_projector_layers: Count = 0
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        for part in ("text", "audio"):
            named = config.get(f"{part}_model_id")
            if named is not None and not config.get(f"{part}_config"):
                raise UnsupportedError(
                    f"{part}_model_id is {json_text(named)}: the sizes of that model are not in this config",
                    f'give its config as "{part}_config"',
                )
        return config

    def projection(self, hidden: int) -> Iterable[Tensor]:
        audio = self.audio_config.d_model
        stacked = audio * self.stack_factor
        yield rms_norm("ln_pre", stacked)
        if self.num_projector_layers:
            yield from linear("linear_in", audio, stacked, "other", bias=True)
            yield table("embed_positions", self.audio_config.max_source_positions, audio)
            yield rms_norm("ln_post", audio)
            yield from linear("linear_out", hidden, audio, "other", bias=True)
            return
        middle = self.hidden_size // 2 if self.projector_act == "swiglu" else self.hidden_size
        yield from linear("linear_1", self.hidden_size, stacked, "other")
        yield from linear("linear_2", hidden, middle, "other")
        yield rms_norm("ln_mid", middle) if self.projector_ln_mid else rms_norm("ln_post", hidden)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        audio = self.audio_config
        groups, stacks = audio.tower("audio_tower")
        groups.append(group("audio", prefixed("multi_modal_projector", self.projection(text.facts.hidden_size))))
        more: list[Stack] = []
        if self.num_projector_layers:
            layer = whisper_layer(audio.d_model, audio.encoder_attention_heads, audio.encoder_ffn_dim, audio.activation_function)
            more.append(stack("multi_modal_projector.layers", "audio", [layer] * self.num_projector_layers))
        return groups, stacks + more
