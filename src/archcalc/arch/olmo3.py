"""OLMo 3: OLMo 2 with three sliding-window layers to one that sees all.

Source: transformers 5.23, models/olmo3/modeling_olmo3.py and configuration_olmo3.py (defaults, `layer_types`).
"""

from archcalc.arch import olmo2
from archcalc.arch._decoder import attention_pattern, decoder
from archcalc.arch._schema import Size
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture


class Schema(olmo2.Schema):
    sliding_window: Size | None = 4096
    layer_types: list[str] | None = None

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        default = ["full_attention" if (i + 1) % 4 == 0 else "sliding_attention" for i in range(n)]
        windows = attention_pattern(self.layer_types or default, n, self.sliding_window)
        by_window = {window: self.layer(window) for window in set(windows)}
        facts = self.facts(
            norm="RMSNorm (post, inside the residual)",
            sliding_window=self.sliding_window,
            more=(("QK-norm", "RMSNorm over all heads"),),
        )
        layers = [by_window[window] for window in windows]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])
