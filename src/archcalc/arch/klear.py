"""Klear: GQA with QK-norm, experts beside a shared FFN, which two learned weights balance for each token.

Source: mlx-lm 0.32, models/Klear.py (`KlearSparseMoeBlock`); Kwai-Klear/Klear-46B-A2.5B-Instruct, config.json (keys).
"""

from collections.abc import Sequence

from archcalc.arch._plain import BiasedSchema
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Layer


class Schema(BiasedSchema):
    core_keys = (*BiasedSchema.core_keys, "num_experts", "num_experts_per_tok", "moe_intermediate_size", "n_shared_experts")
    qk_norm = "head"

    mlp_only_layers: list[int] = []
    decoder_sparse_step: Size = 1
    num_experts: Size
    num_experts_per_tok: Size
    n_shared_experts: Size
    moe_intermediate_size: Size

    def sparse(self) -> Sequence[bool]:
        n, step = self.num_hidden_layers, self.decoder_sparse_step
        return [i not in self.mlp_only_layers and (i + 1) % step == 0 for i in range(n)]

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.n_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            correction_bias="expert_bias",
        )  # fmt: skip

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        layer = super().layer(window, sparse, variant)
        weights = linear("mlp.coefficient", 2, self.hidden_size, "router", bias=True) if sparse else ()
        return layer._replace(tensors=(*layer.tensors, *weights))
