"""The text model of GLM-4.5V and 4.6V: GLM-4.5's with biases and without MTP.

Source: transformers 5.23, models/glm4v_moe/modeling_glm4v_moe.py (`Glm4vMoeTextModel`) and configuration_glm4v_moe.py (defaults).
"""

from archcalc.arch import glm4_moe
from archcalc.arch._schema import Flag, Size, Tokens


class Schema(glm4_moe.Schema):
    vocab_size: Size = 151424
    max_position_embeddings: Tokens = 65536
    attention_bias: Flag = True
