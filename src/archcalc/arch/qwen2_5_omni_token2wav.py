"""From codec tokens to sound in Qwen2.5-Omni: a flow-matching transformer and a vocoder.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniToken2WavModel`).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._schema import TowerSchema, nested


class Schema(TowerSchema):
    dit_config: Annotated[TowerSchema, nested("qwen2_5_omni_dit", fixed=True), DEFAULT]
    bigvgan_config: Annotated[TowerSchema, nested("qwen2_5_omni_bigvgan", fixed=True), DEFAULT]

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.dit_config.tower(f"{prefix}.code2wav_dit_model")
        more_groups, more_stacks = self.bigvgan_config.tower(f"{prefix}.code2wav_bigvgan_model")
        return groups + more_groups, stacks + more_stacks
