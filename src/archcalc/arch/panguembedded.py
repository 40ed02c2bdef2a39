"""openPangu Embedded: Llama's layer with biases on all of attention.

Source: FreedomIntelligence/openPangu-Embedded-7B, modeling_openpangu_dense.py (the same as InternLM's layer).
"""

from archcalc.arch import internlm


class Schema(internlm.Schema):
    name = "PanguEmbedded"
