"""Kimi-VL: Moonlight, DeepSeek-V3's structure, with MoonViT.

Checkpoints also hold each layer's rotary frequencies, those of heads as wide as the width divided by their number (Kimi-K2-Instruct's
too): moonshotai/Kimi-VL-A3B-Thinking is larger by 27 layers x 64.

Source: moonshotai/Kimi-VL-A3B-Instruct, modeling_kimi_vl.py and configuration_kimi_vl.py; vLLM 0.33, models/kimi_vl.py
(`KimiVLMultiModalProjector`).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.kimi_k25_vision import Moonvit as Vision
from archcalc.model import Architecture, Stack, Tensor


class Schema(VisionSchema):
    core_keys = ("text_config",)
    inert_keys = ("ignore_index", "media_placeholder_token_id", "vocab_size")
    renames = (
        ("lm_head.", "language_model.lm_head."), ("model.language_model.", "language_model.model."), ("model.", ""),
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("deepseek_v3"), DEFAULT]
    vision_config: Annotated[Vision, nested("moonvit", fixed=True), DEFAULT]

    def text(self, prefix: str) -> Architecture:
        a = super().text(prefix)
        held = Tensor(
            "self_attn.rotary_emb.inv_freq", (a.facts.hidden_size // a.facts.heads // 2,), "other", kind="copy", dtype="F32"
        )

        def with_buffer(s: Stack) -> Stack:
            kinds = (layer._replace(tensors=(*layer.tensors, held)) for layer in s.kinds)
            return s._replace(kinds=tuple(kinds)) if s.part == "decoder" else s

        return a._replace(stacks=tuple(map(with_buffer, a.stacks)))

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return self.vision_config.merged(hidden)
