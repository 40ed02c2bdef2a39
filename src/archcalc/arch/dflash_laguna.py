"""DFlash for Laguna: a norm for each of the target's layers before they are joined, and attention that is gated.

Source: vLLM 0.33, models/laguna_dflash.py (`DFlashLagunaModel`); SGLang 0.5.23, srt/models/dflash.py (`DFlashLagunaForCausalLM`).
"""

from collections.abc import Iterator

from archcalc.arch import dflash
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Shard, Tensor


class Schema(dflash.Schema):
    inert_keys = (*dflash.Schema.inert_keys, "target_layer_count", "target_model_type")

    gating: bool | str | None = True

    def outside(self) -> Iterator[Tensor]:
        yield from super().outside()
        yield from (rms_norm(f"aux_hidden_norms.{i}", self.hidden_size) for i in range(self.joined()))

    def extra_tensors(self) -> Iterator[Tensor]:
        """The gate: a number for each channel, or one for each head."""
        width = {True: 1, "per-head": 1, "per-element": self.head_size, False: 0, None: 0, "disabled": 0}
        if self.gating not in width:
            raise UnsupportedError(f"gating is {json_text(self.gating)}: true, false, per-element and per-head are known here")
        if width[self.gating]:
            rows = self.num_attention_heads * width[self.gating]
            yield from linear("self_attn.g_proj", rows, self.hidden_size, "attention", shard=Shard(0, self.num_attention_heads))
