"""Fun-ASR-Nano: Qwen 3 with an audio tower and a projector that has layers of its own.

Source: transformers 5.23, models/fun_asr_nano/modeling_fun_asr_nano.py and configuration_fun_asr_nano.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import DEFAULT, AudioSchema, Pieces, width_of
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, nested
from archcalc.arch.fun_asr_nano_encoder import sanm_layer
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Tensor, stack

# What an absent text_config stands for.
TEXT = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
    "max_position_embeddings": 40960, "tie_word_embeddings": True,
}  # fmt: skip


class Adaptor(ConfigSchema):
    inert_keys = ("projector_hidden_act",)

    hidden_size: Size = 1024
    num_attention_heads: Size = 8
    intermediate_size: Size = 256
    num_hidden_layers: Layers = 2
    hidden_act: str = "relu"
    projector_hidden_size: Size = 2048


class Schema(AudioSchema):
    text_config: Annotated[ConfigSchema, nested("qwen3", absent=TEXT), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("fun_asr_nano_encoder"), DEFAULT]
    adaptor_config: Adaptor = Field(default_factory=Adaptor)
    tie_word_embeddings: Flag | None = True

    def projection(self, hidden: int) -> Iterable[Tensor]:
        widths = (width_of(self.audio_config), self.adaptor_config.projector_hidden_size, self.adaptor_config.hidden_size)
        return projector(("linear_1", "linear_2"), widths)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        a = self.adaptor_config
        layer = sanm_layer(a.hidden_size, a.num_attention_heads, a.intermediate_size, a.hidden_act)
        stacks.append(stack(f"{prefix}.{self.projector_name}.layers", "audio", [layer] * a.num_hidden_layers))
        return groups, stacks
