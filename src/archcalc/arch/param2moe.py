"""Param 2: Ling 2's structure: GQA with QK-norm, leading dense layers, fine-grained experts beside shared ones.

Source: vLLM 0.33, models/param2moe.py (names are those that it maps from).
"""

from archcalc.arch import bailing_moe
from archcalc.arch._schema import Count, Flag


class Schema(bailing_moe.Schema):
    num_shared_experts: Count = 1
    moe_router_enable_expert_bias: Flag = True
    first_k_dense_replace: Count = 1
