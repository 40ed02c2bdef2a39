"""The text model of GLM-4.1V: GLM-4 with a bias on queries, keys and values, and heads that split the width.

Source: transformers 5.23, models/glm4v/modeling_glm4v.py (`Glm4vTextModel`) and configuration_glm4v.py (defaults).
"""

from archcalc.arch import glm
from archcalc.arch._schema import Size, Tokens


class Schema(glm.Glm4):
    head_dim: Size | None = None
    max_position_embeddings: Tokens = 32768

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def biases(self) -> tuple[bool, bool]:
        return True, False
