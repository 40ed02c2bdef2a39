"""ERNIE 4.5 with experts: dense layers first (and last, if asked for), then routed and shared experts.

Source: transformers 5.23, models/ernie4_5_moe/modeling_ernie4_5_moe.py and configuration_ernie4_5_moe.py (defaults,
attribute_map), conversion_mapping.py ("ernie4_5_moe": checkpoints name the correction bias below the FFN, not the router).
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch import ernie4_5
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import group
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Group, Stack, Tensor, stack


class Schema(ernie4_5.Schema):
    inert_keys = (
        "moe_capacity", "moe_gate", "moe_norm_min", "moe_use_aux_free", "multi_token_pred_lambda", "fuse_swiglu", "fuse_ln",
    )  # fmt: skip

    hidden_size: Size = 2560
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 20
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = None
    moe_intermediate_size: Size = 1536
    num_experts_per_tok: Size = named(6, "moe_k", "num_experts_per_tok")
    num_experts: Size = named(64, "moe_num_experts", "num_experts")
    moe_num_shared_experts: Count = 2
    moe_layer_start_index: Count = 1
    moe_layer_end_index: int = -1
    moe_layer_interval: Size = 1
    num_nextn_predict_layers: Count = 0

    def computes(self) -> Computes:
        return super().computes()._replace(routing="wide")

    def sparse(self) -> Sequence[bool]:
        n, first, step = self.num_hidden_layers, self.moe_layer_start_index, self.moe_layer_interval
        last = n - 1 if self.moe_layer_end_index == -1 else self.moe_layer_end_index
        return [first <= i <= last and (i + 1) % step == 0 for i in range(n)]

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.moe_num_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            shared_bias=bool(self.use_bias), correction_bias="gate.moe_statics.e_score_correction_bias",
            correction_kind="param", correction_rows=1,
        )  # fmt: skip

    def mtp(self, prefix: str) -> tuple[list[Stack], list[Group]]:
        """Dense layers behind a projection each, as baidu/ERNIE-4.5-21B-A3B-PT stores one (vLLM 0.33, models/ernie_mtp.py)."""
        h, n = self.hidden_size, self.num_nextn_predict_layers
        if not n:
            return [], []
        outside: list[Tensor] = []
        for i in range(n):
            outside += [rms_norm(f"{prefix}.{name}.{i}", h) for name in ("mtp_emb_norm", "mtp_hidden_norm")]
            outside += linear(f"{prefix}.mtp_linear_proj.{i}", h, 2 * h, "other")
        return [stack(f"{prefix}.mtp_block", "mtp", [self.layer(None, False, 0)] * n)], [group("mtp", outside)]

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        stacks, groups = self.mtp(prefix)
        return a._replace(stacks=(*a.stacks, *stacks), groups=(*a.groups, *groups))

    def decoder_options(self) -> dict[str, Any]:
        return {"head_bias": bool(self.use_bias), "renames": ((".mlp.gate.moe_statics.", ".mlp.moe_statics."),)}
