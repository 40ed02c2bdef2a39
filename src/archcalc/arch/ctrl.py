"""CTRL: sinusoidal positions, biases everywhere, a head with a bias.

Source: transformers 5.23, models/ctrl/modeling_ctrl.py and configuration_ctrl.py (defaults, attribute_map).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import SINUSOIDAL


class Schema(PlainSchema):
    prefix = "model"
    prefix = "transformer"
    reads_head_dim = False
    inert_keys = ("n_ctx", "from_tf")
    norms = ("layernorm1", "layernorm2")
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    last_norm = "layernorm"
    gated = False
    mixer_name = "multi_head_attention"
    ffn_name = "ffn"
    grouped = False

    vocab_size: Size = 246534
    max_position_embeddings: Size = named(256, "n_positions", "max_position_embeddings")
    hidden_size: Size = named(1280, "n_embd", "hidden_size")
    intermediate_size: Size = named(8192, "dff")
    num_hidden_layers: Layers = named(48, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(16, "n_head", "num_attention_heads")
    hidden_act: str = "relu"
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=True, names=("Wq", "Wk", "Wv", "dense"), rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("0", "2"))

    def more(self) -> dict[str, Any]:
        return {"position": SINUSOIDAL}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "w", "layers_name": "h", "head_bias": True}
