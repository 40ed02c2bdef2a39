"""RWKV-5 World: time mixing with a matrix for each head, and RWKV-4's channel mixing.

Source: RWKV/rwkv-5-world-3b, modeling_rwkv5.py and configuration_rwkv5.py (defaults).
"""

from archcalc.arch._decoder import decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.recurrent import ChannelMixing
from archcalc.blocks.rwkv5 import MatrixTimeMixing
from archcalc.model import NO_POSITIONS, Architecture, Facts


class Schema(ConfigSchema):
    prefix = "rwkv"
    core_keys = ("hidden_size", "num_hidden_layers", "vocab_size")
    inert_keys = ("rescale_every", "model_version", "num_attention_heads", "head_size_divisor")

    vocab_size: Size = 65536
    context_length: Tokens = named(4096, "context_length", "max_position_embeddings")
    hidden_size: Size = 768
    num_hidden_layers: Layers = 24
    attention_hidden_size: Size | None = None
    head_size: Size = 64
    intermediate_size: Size | None = None
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        h, inner = self.hidden_size, self.attention_hidden_size or self.hidden_size
        # Three and a half times the width, down to a multiple of 32.
        width = self.intermediate_size or int(h * 3.5) // 32 * 32
        heads = divided(inner, self.head_size, "attention_hidden_size", "head_size")
        norms = (*layer_norm("ln1", h), *layer_norm("ln2", h))
        mixers = MatrixTimeMixing(h, heads, self.head_size), ChannelMixing(h, width)
        layer = make_layer(*mixers, norms, mixer_name="attention", ffn_name="feed_forward")
        first = layer._replace(tensors=(*layer_norm("pre_ln", h), *layer.tensors))
        facts = Facts(
            h, self.vocab_size, self.context_length, "RWKV-5", heads, heads, self.head_size, "LayerNorm (pre)", "ReLU², gated",
            NO_POSITIONS,
            width, tied_embeddings=self.tie_word_embeddings,
            more=(("state", f"{heads} matrices of {self.head_size} x {self.head_size} in fp32, 2 x {h} inputs"),),
        )  # fmt: skip
        return decoder(
            [first] + [layer] * (self.num_hidden_layers - 1), facts, computes=self.computes(),
            prefix=prefix, embed="embeddings", layers_name="blocks",
            final_norm=layer_norm("ln_out", h), head="head",
        )  # fmt: skip
