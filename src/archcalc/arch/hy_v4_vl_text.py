"""The text model of Hunyuan 4 with vision: Hunyuan 4 with positions in time, height and width.

Source: transformers 5.24, models/hy_v4_vl/modeling_hy_v4_vl.py and configuration_hy_v4_vl.py (`HYV4VLTextConfig`, defaults).
"""

from archcalc.arch import hy_v4
from archcalc.arch._schema import Layers, Size


class Schema(hy_v4.Schema):
    hidden_size: Size = 6144
    intermediate_size: Size = 18432
    moe_intermediate_size: Size = 2048
    num_hidden_layers: Layers = 78
    num_attention_heads: Size = 64
    q_lora_rank: Size = 2048
    index_n_heads: Size = 32
