"""The text model of Qwen3-VL: Qwen 3's.

Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py and configuration_qwen3_vl.py (defaults).
"""

from typing import ClassVar

from archcalc.arch import qwen3
from archcalc.arch._schema import Tokens


class Schema(qwen3.Schema):
    name: ClassVar[str] = "qwen3_vl_text"

    max_position_embeddings: Tokens = 128000
