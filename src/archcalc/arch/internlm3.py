"""InternLM 3: Llama's layer, read by Llama's code, with biases under names of its own.

Source: transformers 5.23, models/internlm3/configuration_internlm3.py (defaults, attribute_map), models/llama/modeling_llama.py.
"""

from archcalc.arch import llama
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.errors import ConfigError
from archcalc.model import Architecture


class Schema(llama.Schema):
    vocab_size: Size = 128512
    intermediate_size: Size = 10240
    num_hidden_layers: Layers = 48
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 32768
    attention_bias: Flag = named(False, "qkv_bias", "attention_bias")
    mlp_bias: Flag = named(False, "bias", "mlp_bias")

    def architecture(self, prefix: str) -> Architecture:
        if self.attention_bias != self.mlp_bias:
            raise ConfigError("qkv_bias and bias differ: the reference implementation wants them equal", key="qkv_bias")
        return super().architecture(prefix)
