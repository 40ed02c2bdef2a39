"""StarCoder2: Llama's attention with biases, LayerNorm, a plain FFN, a window in every layer if one is stated.

Source: transformers 5.23, models/starcoder2/modeling_starcoder2.py and configuration_starcoder2.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import FeedForward


class Schema(PlainSchema):
    # The reference implementation reads use_bias, and has norms of one kind.
    inert_keys = ("attention_bias", "mlp_bias", "mlp_type", "norm_type", "scale_attn_weights")
    whole_heads = False
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    gated = False

    vocab_size: Size = 49152
    hidden_size: Size = 3072
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 30
    num_attention_heads: Size = 24
    num_key_value_heads: Size = 2
    hidden_act: str = "gelu_pytorch_tanh"
    max_position_embeddings: Tokens = 4096
    sliding_window: Tokens | None = None
    use_bias: Flag = True
    tie_word_embeddings: Flag = True

    def windows(self) -> Sequence[int | None]:
        return [self.sliding_window] * self.num_hidden_layers

    def biases(self) -> tuple[bool, bool]:
        return self.use_bias, self.use_bias

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, self.use_bias, ("c_fc", "c_proj"))
