"""The text model of Qwen 3.5, 3.6 and 3.8 with experts: a mixture in every layer.

Source: transformers 5.23, models/qwen3_5_moe/modeling_qwen3_5_moe.py and configuration_qwen3_5_moe.py (defaults).
"""

from typing import Any

from archcalc.arch import qwen3_5_text
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Layers, Size


class Schema(qwen3_5_text.Schema):
    hidden_size: Size = 2048
    num_hidden_layers: Layers = 40
    num_key_value_heads: Size | None = 2
    num_experts_per_tok: Size = 8
    num_experts: Size = 256

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")

    def sparse(self, index: int) -> bool:
        return True

    def more(self) -> dict[str, Any]:
        # The type has no dense layer, so its `intermediate_size` means nothing.
        return {**super().more(), "intermediate_size": None}
