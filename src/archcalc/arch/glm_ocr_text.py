"""The text model of GLM-OCR: GLM-4's layer without biases.

Source: transformers 5.23, models/glm_ocr/modeling_glm_ocr.py (`GlmOcrTextModel`) and configuration_glm_ocr.py (defaults).
"""

from archcalc.arch import glm
from archcalc.arch._schema import Layers, Size


class Schema(glm.Glm4):
    vocab_size: Size = 59392
    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = None

    @property
    def head_size(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def biases(self) -> tuple[bool, bool]:
        return False, False
