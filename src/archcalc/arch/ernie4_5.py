"""ERNIE 4.5, dense: Llama's layer, all biases under one key.

Source: transformers 5.23, models/ernie4_5/modeling_ernie4_5.py and configuration_ernie4_5.py (defaults).
"""

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(PlainSchema):
    whole_heads = False

    vocab_size: Size = 103424
    hidden_size: Size = 1024
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 18
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131072
    tie_word_embeddings: Flag = True
    use_bias: Flag | None = False

    def biases(self) -> tuple[bool, bool]:
        return bool(self.use_bias), bool(self.use_bias)

    def ffn_bias(self) -> bool:
        return bool(self.use_bias)


class PaddleocrVlText(Schema):
    """The text model of PaddleOCR-VL: ERNIE 4.5's layer.
    Source: transformers 5.23, models/paddleocr_vl/configuration_paddleocr_vl.py (`PaddleOCRTextConfig`, defaults)."""
