"""The text model of GLM-4.1V: GLM-4 with a bias on queries, keys and values, and heads that split the width.

Source: transformers 5.23, models/glm4v/modeling_glm4v.py (`Glm4vTextModel`) and configuration_glm4v.py (defaults).
"""

from archcalc.arch import glm4
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(glm4.Schema):
    inert_keys = ("attention_bias", "head_dim")

    vocab_size: Size = 151552
    hidden_size: Size = 4096
    intermediate_size: Size = 13696
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = None
    max_position_embeddings: Tokens = 32768

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def biases(self) -> tuple[bool, bool]:
        return True, False
