"""EXAONE 3, 3.5 and Deep: Llama's layer under GPT-2's names.

Source: LGAI-EXAONE/EXAONE-3.5-7.8B-Instruct, modeling_exaone.py and configuration_exaone.py (defaults); transformers 5.24 reads the type
as Llama (models/auto/modeling_auto.py), with Llama's biases.
"""

from typing import Any

from archcalc.arch._plain import BiasedSchema, Derived, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward


class Schema(BiasedSchema):
    prefix = "model"
    prefix = "transformer"
    norms = ("ln_1", "ln_2")
    last_norm = "ln_f"
    mixer_name = "attn.attention"

    vocab_size: Size = 102400
    max_position_embeddings: Tokens = 2048
    hidden_size: Size = 2048
    num_hidden_layers: Layers = named(32, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = 32
    intermediate_size: Derived = 0
    hidden_act: str = named("silu", "activation_function")
    tie_word_embeddings: Flag = True

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias = self.attention_bias
        return self.gqa(bias=bias, output_bias=bias, names=("q_proj", "k_proj", "v_proj", "out_proj"))

    def dense(self) -> Block:
        return GatedFeedForward(
            self.hidden_size, self.ffn_size, self.hidden_act, self.mlp_bias, names=("c_fc_0", "c_fc_1", "c_proj")
        )

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "wte", "layers_name": "h"}
