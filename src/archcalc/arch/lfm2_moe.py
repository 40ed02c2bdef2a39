"""LFM2-MoE: LFM2 with experts in all but the first layers.

Source: transformers 5.23, models/lfm2_moe/modeling_lfm2_moe.py and configuration_lfm2_moe.py (defaults), conversion_mapping.py
("lfm2_moe": experts are stored one by one).
"""

from archcalc.arch import lfm2
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Count, Flag, Size
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Moe, stack


class Schema(lfm2.Schema):
    hidden_size: Size = 2048
    intermediate_size: Size = 7168
    moe_intermediate_size: Size = 1792
    num_dense_layers: Count = 2
    num_experts: Size = 32
    num_experts_per_tok: Size = 4
    use_expert_bias: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")

    def ffn_width(self) -> int:
        return self.intermediate_size

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok,
            correction_bias="expert_bias" if self.use_expert_bias else "", stored=("w1", "w3", "w2"),
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        if self.layer_types is None:
            raise ConfigError("layer_types is missing", "give it: one of conv and full_attention for each layer", "layer_types")
        a, dense, n = super().architecture(prefix), self.num_dense_layers, self.num_hidden_layers
        ffn = self.experts()
        order = [(kind, i >= dense) for i, kind in enumerate(self.kinds())]
        built = {what: self.layer(what[0], ffn if what[1] else None) for what in dict.fromkeys(order)}
        moe = Moe(self.num_experts, self.num_experts_per_tok, 0, n - dense, self.moe_intermediate_size) if dense < n else None
        layers = stack(a.stacks[0].prefix, "decoder", [built[what] for what in order])
        return a._replace(stacks=(layers,), facts=a.facts._replace(moe=moe))
