"""VaultGemma: Gemma 2 without the norms behind attention and FFN.

Source: transformers 5.23, models/vaultgemma/modeling_vaultgemma.py and configuration_vaultgemma.py (defaults, `layer_types`).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(WindowedSchema):
    norms = ("input_layernorm", "pre_feedforward_layernorm")

    vocab_size: Size = 256000
    hidden_size: Size = 2304
    intermediate_size: Size = 9216
    num_hidden_layers: Layers = 26
    num_attention_heads: Size = 8
    num_key_value_heads: Size = 4
    head_dim: Size = 256
    hidden_act: str = named("gelu_pytorch_tanh", "hidden_activation")
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    sliding_window: Tokens | None = 4096
    attn_logit_softcapping: float | None = 50.0
    final_logit_softcapping: float | None = 30.0

    def computes(self) -> Computes:
        return (
            super()
            .computes()
            ._replace(capped=bool(self.attn_logit_softcapping), capped_logits=bool(self.final_logit_softcapping), norm="rms-1p")
        )

    def period(self) -> int:
        return 2

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias
