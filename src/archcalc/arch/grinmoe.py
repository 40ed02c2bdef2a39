"""GRIN-MoE: the layers of Phi-3.5-MoE.

Source: microsoft/GRIN-MoE, modeling_grinmoe.py and configuration_grinmoe.py.
"""

from archcalc.arch import phimoe
from archcalc.arch._schema import Flag


class Schema(phimoe.Schema):
    attention_bias: Flag = True
    lm_head_bias: Flag = True
