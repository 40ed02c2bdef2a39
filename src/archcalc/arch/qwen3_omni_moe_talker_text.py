"""The text model of Qwen3-Omni's talker: Qwen 3's layers with experts in each of them, and a shared one behind a gate.

Source: transformers 5.23, models/qwen3_omni_moe/configuration_qwen3_omni_moe.py (`Qwen3OmniMoeTalkerTextConfig`, defaults).
"""

from archcalc.arch._schema import Count, Layers, Size
from archcalc.arch.qwen3_omni_moe_text import OmniSchema
from archcalc.blocks.experts import MixtureOfExperts


class Schema(OmniSchema):
    vocab_size: Size = 3072
    hidden_size: Size = 1024
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 20
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 2
    moe_intermediate_size: Size = 384
    # Without a default in the reference, which cannot do without it.
    shared_expert_intermediate_size: Count = 768

    def sparse(self, index: int) -> bool:
        return True

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            1, self.shared_expert_intermediate_size, shared_name="shared_expert", shared_gate="shared_expert_gate",
        )  # fmt: skip
