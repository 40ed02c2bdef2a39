"""ColQwen2: Qwen2-VL without its head; a projection makes a short vector of each token, for search.

Source: transformers 5.23, models/colqwen2/modeling_colqwen2.py and configuration_colqwen2.py (defaults).
"""

from typing import Annotated

from archcalc.arch import colpali
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, nested


class Schema(colpali.Schema):
    vlm_config: Annotated[ConfigSchema, nested("qwen2_vl"), DEFAULT]
