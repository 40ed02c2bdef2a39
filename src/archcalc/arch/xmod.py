"""X-MOD: RoBERTa with a bottleneck for each language behind every FFN.

Source: transformers 5.23, models/xmod/modeling_xmod.py and configuration_xmod.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch import roberta
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(roberta.Schema):
    inert_keys = (*roberta.Schema.inert_keys, "default_language", "adapter_reuse_layer_norm", "ln_before_adapter")

    vocab_size: Size = 30522
    pre_norm: Flag = False
    adapter_reduction_factor: Size = 2
    adapter_layer_norm: Flag = False
    languages: list[str] | None = None

    def tongues(self) -> list[str]:
        return ["en_XX"] if self.languages is None else self.languages

    def extra(self) -> Iterable[Tensor]:
        h = self.hidden_size
        narrow = h // self.adapter_reduction_factor
        if self.adapter_layer_norm:
            yield from layer_norm("output.adapter_layer_norm", h)
        for language in self.tongues():
            yield from linear(f"output.adapter_modules.{language}.dense1", narrow, h, "mlp", bias=True)
            yield from linear(f"output.adapter_modules.{language}.dense2", h, narrow, "mlp", bias=True)

    def extra_tensors(self) -> Iterable[Tensor]:
        return layer_norm("encoder.LayerNorm", self.hidden_size) if self.pre_norm else ()

    def more(self) -> dict[str, Any]:
        return {"norm": f"LayerNorm ({'pre' if self.pre_norm else 'post'})", "more": (("languages", str(len(self.tongues()))),)}
