"""P-EAGLE draft models: EAGLE-3's first layer, plain layers behind it, and a learned state for tokens that are still masked.

Source: SpecForge 0.2, specforge/modeling/draft/peagle.py `PEagleDraftModel`; vLLM 0.33, models/llama_eagle3.py (`mask_hidden`).
"""

from collections.abc import Iterator

from archcalc.arch import eagle3
from archcalc.model import Layer, Tensor


class Schema(eagle3.Schema):
    def outside(self) -> Iterator[Tensor]:
        yield from super().outside()
        yield Tensor("mask_hidden", (1, 1, self.fused() * (self.target_hidden_size or self.hidden_size)), "other")

    def stacked(self) -> tuple[str, list[Layer], tuple[tuple[str, str], ...]]:
        plain = self.layer(first=False)
        return "layers", [self.layer(first=True), *[plain] * (self.num_hidden_layers - 1)], ()


class PeagleQwen3(Schema):
    """P-EAGLE with Qwen 3's layer.
    Source: vLLM 0.33, models/qwen3_eagle3.py (`Eagle3Qwen3ForCausalLM`) and transformers_utils/configs/speculators/algos.py
    (`update_peagle`)."""

    qk_norm = "head"
