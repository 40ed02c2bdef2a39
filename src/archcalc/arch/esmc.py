"""ESM C: a protein model of Llama's layers with LayerNorm, normalized queries and keys, and a head behind a layer of its own.

Source: transformers 5.24, models/esmc/modeling_esmc.py (`EsmcForMaskedLM`) and configuration_esmc.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import BiasedSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer, linear
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Group, Layer, Shard, Tensor, both_ways


class Schema(BiasedSchema):
    prefix = "esmc"
    qk_norm = "full"
    layer_norms = True
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 64
    hidden_size: Size = 2560
    intermediate_size: Size = 6912
    num_hidden_layers: Layers = 80
    num_attention_heads: Size = 40
    max_position_embeddings: Tokens = 2048

    def norm(self, name: str) -> Iterable[Tensor]:
        # The last one has no bias.
        return (rms_norm(name, self.hidden_size),) if name == self.last_norm else layer_norm(name, self.hidden_size)

    def attention(self, window: int | None, variant: int) -> Mixer:
        for heads, key in ((self.num_attention_heads, "num_attention_heads"), (self.kv_heads, "num_key_value_heads")):
            if heads * self.head_size != self.hidden_size:
                why = f"{key} x head_dim is {heads * self.head_size}: queries and keys are normalized over hidden_size, {self.hidden_size}"
                raise ConfigError(why, f"correct {key} or head_dim", key)
        return super().attention(window, variant)

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        return both_ways(super().layer(window, sparse, variant))

    def more(self) -> dict[str, Any]:
        return {"attention": f"{head_sharing(self.num_attention_heads, self.kv_heads)}, bidirectional"}

    def decoder_options(self) -> dict[str, Any]:
        return {"head": "lm_head.decoder"}

    def architecture(self, prefix: str) -> Architecture:
        # Its head is tied to nothing.
        untied = self.model_copy(update={"tie_word_embeddings": False})
        a, h, v = super(Schema, untied).architecture(prefix), self.hidden_size, self.vocab_size
        others = (
            *linear("lm_head.dense", h, h, "head", bias=True), *layer_norm("lm_head.layer_norm", h),
            Tensor("lm_head.decoder.bias", (v,), "head", Shard(0, v)),
        )  # fmt: skip
        return a._replace(groups=(*a.groups, Group("head", others)))
