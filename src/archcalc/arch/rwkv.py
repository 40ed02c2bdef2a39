"""RWKV-4: time mixing and channel mixing in each layer, no attention.

Source: transformers 5.23, models/rwkv/modeling_rwkv.py and configuration_rwkv.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.recurrent import ChannelMixing, TimeMixing
from archcalc.model import NO_POSITIONS, Architecture, Facts


class Schema(ConfigSchema):
    prefix = "rwkv"
    fp32_modules = ("time_decay", "time_first")
    core_keys = ("hidden_size", "num_hidden_layers", "vocab_size")
    inert_keys = ("rescale_every",)

    vocab_size: Size = 50277
    context_length: Tokens = Field(1024, validation_alias=AliasChoices("max_position_embeddings", "context_length"))
    hidden_size: Size = 4096
    num_hidden_layers: Layers = 32
    attention_hidden_size: Size | None = None
    intermediate_size: Size | None = None
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        h, width, inner = (
            self.hidden_size,
            self.intermediate_size or 4 * self.hidden_size,
            self.attention_hidden_size or self.hidden_size,
        )
        norms = (*layer_norm("ln1", h), *layer_norm("ln2", h))
        mixers = TimeMixing(h, inner), ChannelMixing(h, width)
        layer = make_layer(*mixers, norms, mixer_name="attention", ffn_name="feed_forward")
        first = layer._replace(tensors=(*layer_norm("pre_ln", h), *layer.tensors))
        facts = Facts(
            hidden_size=h, vocab_size=self.vocab_size, context_tokens=self.context_length, attention="RWKV-4", heads=0, kv_heads=0,
            head_dim=0, norm="LayerNorm (pre)", activation="ReLU², gated", position=NO_POSITIONS, intermediate_size=width,
            tied_embeddings=self.tie_word_embeddings,
            more=(("state", f"{inner} channels x 3 numbers in fp32, 2 x {h} inputs"),),
        )  # fmt: skip
        layers = [first] + [layer] * (self.num_hidden_layers - 1)
        return decoder(
            layers,
            facts,
            computes=self.computes(),
            prefix=prefix,
            embed="embeddings",
            layers_name="blocks",
            final_norm=layer_norm("ln_out", h),
            head="head",
        )
