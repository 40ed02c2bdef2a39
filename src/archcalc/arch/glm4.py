"""GLM-4-0414 and GLM-Z1: GLM's layer with norms also behind attention and FFN.

Source: transformers 5.23, models/glm4/modeling_glm4.py and configuration_glm4.py (defaults: GLM's).
"""

from archcalc.arch import glm


class Schema(glm.Schema):
    norms = (
        "input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm",
    )  # fmt: skip
    norm_label = "RMSNorm (pre + post)"
