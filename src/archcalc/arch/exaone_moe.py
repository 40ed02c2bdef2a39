"""K-EXAONE: EXAONE 4's attention with norms before each block, leading dense layers, routed and shared experts, MTP.

Source: transformers 5.23, models/exaone_moe/modeling_exaone_moe.py and configuration_exaone_moe.py (defaults, `layer_types`,
`mlp_layer_types`); the MTP layer, a dense one, as vLLM 0.33, models/exaone_moe_mtp.py reads it.
"""

from collections.abc import Sequence

from archcalc.arch import exaone4
from archcalc.arch._computes import Computes
from archcalc.arch._mtp import apart
from archcalc.arch._plain import sparse_layers
from archcalc.arch._schema import Count, Size
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Architecture


class Schema(exaone4.Schema):
    norms = ("input_layernorm", "post_attention_layernorm")
    norm_label = "RMSNorm (pre)"

    mlp_layer_types: list[str] | None = None
    first_k_dense_replace: Count = 1
    moe_intermediate_size: Size = 1024
    num_experts: Size = 64
    num_experts_per_tok: Size = 8
    num_shared_experts: Count = 1
    num_nextn_predict_layers: Count = 0

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def sparse(self) -> Sequence[bool]:
        if self.mlp_layer_types is None:
            return [i >= self.first_k_dense_replace for i in range(self.num_hidden_layers)]
        return sparse_layers(self.mlp_layer_types, self.num_hidden_layers)

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.num_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        mtp = [self.layer(None, False, 0)] * self.num_nextn_predict_layers
        stacks, groups = apart(mtp, self.hidden_size)
        return a._replace(stacks=(*a.stacks, *stacks), groups=(*a.groups, *groups))
