"""Trinity: gated attention with QK-norm, windows in three of four layers, four norms a layer, leading dense layers, experts.

Source: transformers 5.23, models/afmoe/modeling_afmoe.py and configuration_afmoe.py (defaults, `layer_types`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Shard, Tensor


class Schema(WindowedSchema):
    inert_keys = (
        "mup_enabled", "route_scale", "route_norm", "score_func", "load_balance_coeff", "num_expert_groups", "num_limited_groups",
        "use_grouped_mm",
    )  # fmt: skip
    fp32_modules = (
        "input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm", "post_mlp_layernorm", "q_norm", "k_norm", "norm",
    )  # fmt: skip
    bare = True
    qk_norm = "head"
    norms = (
        "input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm", "post_mlp_layernorm",
    )  # fmt: skip
    norm_label = "RMSNorm (pre + post)"

    vocab_size: Size = 200192
    hidden_size: Size = 2048
    intermediate_size: Size = 6144
    moe_intermediate_size: Size = 1408
    num_hidden_layers: Layers = 32
    num_dense_layers: Count = 1
    num_attention_heads: Size = 16
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 16384
    num_experts: Size = 64
    num_experts_per_tok: Size = 6
    num_shared_experts: Count = 2
    global_attn_every_n_layers: Size = 4
    sliding_window: Tokens | None = 1024
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", routing="normalized")

    def period(self) -> int:
        return self.global_attn_every_n_layers

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def extra(self, variant: int) -> Iterable[Tensor]:
        heads = self.num_attention_heads
        return linear("self_attn.gate_proj", heads * self.head_size, self.hidden_size, "attention", shard=Shard(0, heads))

    def sparse(self) -> Sequence[bool]:
        return [i >= self.num_dense_layers for i in range(self.num_hidden_layers)]

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.num_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            router="router.gate", correction_bias="expert_bias", correction_kind="param",
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        return {**super().more(), "more": (("attention output", "gated by its input"),)}
