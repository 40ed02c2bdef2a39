"""What the Qwen Omni models share: a thinker that reads and writes text, and, unless audio output is off, a talker and what makes
sound of its tokens.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniForConditionalGeneration`) and
models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeForConditionalGeneration`).
"""

from typing import Any, ClassVar

from archcalc.arch._composite import head_below
from archcalc.arch._decoder import join, with_tower
from archcalc.arch._schema import ConfigSchema, Flag
from archcalc.model import Architecture


class OmniSchema(ConfigSchema):
    """`thinker_config`, `talker_config` and the config that `wave` names."""

    prefix = ""

    inert_keys: ClassVar[tuple[str, ...]] = ("enable_talker", "enable_audio_output_", "tie_word_embeddings")
    wave: ClassVar[str]

    enable_audio_output: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        def part(name: str) -> Any:
            return getattr(self, f"{name}_config")

        # The head stands beside the model, and so below the thinker too.
        thinker = head_below(part("thinker").architecture(join(prefix, "thinker.model")), join(prefix, "thinker"))
        if not self.enable_audio_output:
            return thinker
        talker, talker_layers = part("talker").tower(join(prefix, "talker"))
        wave, wave_layers = part(self.wave).tower(join(prefix, self.wave))
        return with_tower(thinker, talker + wave, talker_layers + wave_layers)
