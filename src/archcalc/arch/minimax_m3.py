"""MiniMax-M3's text model by itself, as the publisher's own config names it.

Source: transformers 5.23, models/minimax_m3_vl; what only this config states is from vLLM, models/minimax_m3 (`use_qk_norm`,
`use_routing_bias`, `attention_output_gate`). The checkpoint holds no layers of multi-token prediction, though the config counts some.
"""

from archcalc.arch._minimax_m3 import BlockSparseSchema
from archcalc.arch._schema import Flag
from archcalc.arch.minimax_m3_vl_text import Schema as TextSchema
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(TextSchema):
    core_keys = ("hidden_size", "num_hidden_layers", "num_local_experts", "vocab_size")
    inert_keys = (
        *BlockSparseSchema.inert_keys, "first_k_dense_replace", "moe_intermediate_size", "n_shared_experts", "num_mtp_modules",
        "num_nextn_predict_layers", "use_gemma_norm", "qk_norm_type",
    )  # fmt: skip

    use_qk_norm: Flag = True
    use_routing_bias: Flag = True
    attention_output_gate: Flag = False

    def architecture(self, prefix: str = "model") -> Architecture:
        if self.attention_output_gate or not (self.use_qk_norm and self.use_routing_bias):
            raise UnsupportedError("MiniMax-M3 is known with use_qk_norm, with use_routing_bias and without attention_output_gate")
        return super().architecture(prefix)._replace(model_type="minimax_m3")
