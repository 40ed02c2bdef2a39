"""The text model of Qwen3-VL: Qwen 3's.

Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py and configuration_qwen3_vl.py (defaults).
"""

from archcalc.arch import qwen3
from archcalc.arch._schema import Tokens


class Schema(qwen3.Schema):
    max_position_embeddings: Tokens = 128000
