"""CodeGen: GPT-J with one projection for queries, keys and values.

Source: transformers 5.23, models/codegen/modeling_codegen.py and configuration_codegen.py (defaults: GPT-J's).
"""

from archcalc.arch import gptj


class Schema(gptj.Schema):
    fused = "qkv_proj"
