"""Pangu Ultra MoE: DeepSeek-V3's structure with norms around each block.

Source: vLLM 0.33, models/openpangu.py (`OpenPanguMLAAttention`, `OpenPanguDecoderLayer`: `sandwich_norm`) and models/openpangu_mtp.py.
"""

from archcalc.arch import deepseek_v3
from archcalc.arch._schema import Flag
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.model import Layer, Tensor


class Schema(deepseek_v3.Schema):
    inert_keys = (*deepseek_v3.Schema.inert_keys, "head_dim", "num_dense_layers", "param_sink_number")

    sandwich_norm: Flag = False
    router_enable_expert_bias: Flag = False

    def experts(self) -> MixtureOfExperts:
        correction = "gate.e_score_correction_bias" if self.router_enable_expert_bias else ""
        shared, wide, routed = self.n_shared_experts or 0, self.moe_intermediate_size, self.n_routed_experts or 0
        return MixtureOfExperts(
            self.hidden_size, wide, routed, self.num_experts_per_tok or routed, self.hidden_act, shared, shared * wide,
            correction_bias=correction,
        )  # fmt: skip

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        names = ("pre_mlp_layernorm", "post_mlp_layernorm") if self.sandwich_norm else ()
        return super().layer(sparse, indexed, (*extra, *(rms_norm(name, self.hidden_size) for name in names)))
