"""The audio tower of Qwen2.5-Omni: Whisper's encoder with computed positions and a projection into the text model.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniAudioEncoder`) and configuration_qwen2_5_omni.py
(defaults).
"""

from collections.abc import Iterator

from archcalc.arch._schema import Size
from archcalc.arch._whisper import WhisperTower, conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(WhisperTower):
    inert_keys = (*WhisperTower.inert_keys, "n_window")

    output_dim: Size = 3584

    def front(self) -> Iterator[Tensor]:
        yield from conv("conv1", self.d_model, self.num_mel_bins, 3)
        yield from conv("conv2", self.d_model, self.d_model, 3)
        yield table("audio_bos_eos_token", 2, self.output_dim)

    def behind(self) -> Iterator[Tensor]:
        yield from layer_norm("ln_post", self.d_model)
        yield from linear("proj", self.output_dim, self.d_model, "other", bias=True)
