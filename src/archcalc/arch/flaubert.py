"""FlauBERT: XLM's layers, for French; `pre_norm` moves the norms and adds none.

Source: transformers 5.23, models/flaubert/modeling_flaubert.py (`FlaubertWithLMHeadModel`) and configuration_flaubert.py (defaults).
"""

from archcalc.arch import xlm
from archcalc.arch._schema import Flag


class Schema(xlm.Schema):
    inert_keys = (*xlm.Schema.inert_keys, "mask_token_id", "layerdrop", "attention_bias")

    pre_norm: Flag = False

    def norm_label(self) -> str:
        return "LayerNorm (pre)" if self.pre_norm else super().norm_label()
