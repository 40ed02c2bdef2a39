"""MiMo-7B: Qwen 2's layer, and MTP layers with a norm more and a projection each.

Source: XiaomiMiMo/MiMo-7B-Base, modeling_mimo.py (`MiMoMTPLayers`) and configuration_mimo.py (Qwen 2's).
"""

from archcalc.arch import qwen2
from archcalc.arch._schema import Count, Flag
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, stack

NORMS = ("input_layernorm", "post_attention_layernorm", "token_layernorm", "hidden_layernorm", "final_layernorm")


class Schema(qwen2.Schema):
    attention_bias: Flag = True
    num_nextn_predict_layers: Count = 0

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, bias=self.attention_bias, window=window
        )

    def architecture(self, prefix: str) -> Architecture:
        a, h, n = super().architecture(prefix), self.hidden_size, self.num_nextn_predict_layers
        if not n:
            return a
        extra = (*(rms_norm(name, h) for name in NORMS), *linear("input_proj", h, 2 * h, "other"))
        layer = make_layer(self.attention(None), self.ffn(False), extra=extra)
        return a._replace(stacks=(*a.stacks, stack(f"{prefix}.mtp_layers", "mtp", [layer] * n)))
