"""InternLM 1: Llama's layer with biases on all of attention if asked for.

Source: internlm/internlm-20b, modeling_internlm.py and configuration_internlm.py.
"""

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(PlainSchema):
    inert_keys = ("rotary",)

    vocab_size: Size = 103168
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    bias: Flag = True

    def biases(self) -> tuple[bool, bool]:
        return self.bias, self.bias


class Panguembedded(Schema):
    """openPangu Embedded: Llama's layer with biases on all of attention.
    Source: FreedomIntelligence/openPangu-Embedded-7B, modeling_openpangu_dense.py (the same as InternLM's layer)."""

    name = "PanguEmbedded"
