"""What Command R and Command A share: attention and FFN beside each other behind one LayerNorm without bias, a tied head.

Source: transformers 5.23, models/cohere/modeling_cohere.py and models/cohere2/modeling_cohere2.py, and their configurations (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PARALLEL, PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class CohereSchema(PlainSchema):
    """A decoder as both generations have it."""

    whole_heads = False
    norms = ("input_layernorm",)
    layer_norms = True
    norm_bias = False
    norm_label = PARALLEL

    vocab_size: Size = 256000
    hidden_size: Size = 8192
    intermediate_size: Size = 22528
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 64
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(parallel=True, norm="layer-fp32")

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias
