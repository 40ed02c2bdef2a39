"""The text model of Emu3: Llama.

Source: transformers 5.23, models/emu3/modeling_emu3.py (`Emu3ForCausalLM`) and configuration_emu3.py (defaults).
"""

from archcalc.arch._plain import BiasedSchema
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(BiasedSchema):
    inert_keys = ("model_version",)

    vocab_size: Size = 184622
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 9216
