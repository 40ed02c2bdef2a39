"""The decoder of MusicGen: BART's layers without biases, over several streams of codes at once, each with a table and a head.

Source: transformers 5.24, models/musicgen/modeling_musicgen.py (`MusicgenForCausalLM`; positions are sines, not stored) and
configuration_musicgen.py (`MusicgenDecoderConfig`, defaults); Copet et al. 2023, arXiv:2306.05284.
"""

from typing import Any, ClassVar

from archcalc.arch._computes import Computes, computed
from archcalc.arch._decoder import join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError
from archcalc.model import SINUSOIDAL, Architecture, Facts, Group, Layer, Shard, Tensor, stack

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    inert_keys = ("audio_channels", "scale_embedding")
    crosses: ClassVar[bool] = True

    vocab_size: Size = 2048
    hidden_size: Size = 1024
    ffn_dim: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    num_codebooks: Layers = 4
    max_position_embeddings: Tokens = 2048
    activation_function: str = "gelu"
    tie_word_embeddings: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = divided(h, heads, "hidden_size", "num_attention_heads")
        extra = [*layer_norm("self_attn_layer_norm", h), *layer_norm("final_layer_norm", h)]
        if self.crosses:
            cross = CrossAttention(h, heads, dim, bias=False, output_bias=False)
            extra += (*prefixed("encoder_attn", cross.tensors()), *layer_norm("encoder_attn_layer_norm", h))
        attention = GroupedQueryAttention(h, heads, heads, dim, rope=False, names=NAMES)
        return make_layer(attention, FeedForward(h, self.ffn_dim, self.activation_function, False), ffn_name="", extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        if self.tie_word_embeddings:
            raise UnsupportedError("tie_word_embeddings is true: each stream's table has a row more than its head")
        h, heads, rows, n = self.hidden_size, self.num_attention_heads, self.vocab_size, range(self.num_codebooks)
        root = join(prefix, "model.decoder")
        # A row more, for the places where a stream has nothing yet.
        words = (table(f"{root}.embed_tokens.{i}", rows + 1, h)._replace(shard=Shard(0, rows + 1)) for i in n)
        out = (Tensor(join(prefix, f"lm_heads.{i}.weight"), (rows, h), "head", Shard(0, rows)) for i in n)
        groups = (
            Group("embedding", tuple(words)), Group("decoder", tuple(layer_norm(f"{root}.layer_norm", h))), Group("head", tuple(out)),
        )  # fmt: skip
        more: tuple[Any, ...] = (("streams of codes", str(self.num_codebooks)),)
        facts = Facts(
            h, rows, self.max_position_embeddings, "MHA + cross-attention" if self.crosses else "MHA", heads, heads, h // heads,
            "LayerNorm (pre)", activation_name(self.activation_function, gated=False), SINUSOIDAL, self.ffn_dim, more=more,
        )  # fmt: skip
        layers = stack(f"{root}.layers", "decoder", [self.layer()] * self.num_hidden_layers)
        return computed(Architecture(self.name, groups, (layers,), facts, crosses=self.crosses), self.computes())


class MusicgenMelodyDecoder(Schema):
    """The decoder of MusicGen Melody: MusicGen's, which reads what conditions it before the codes in place of attending to it.
    Source: transformers 5.24, models/musicgen_melody/modeling_musicgen_melody.py (`MusicgenMelodyForCausalLM`) and
    configuration_musicgen_melody.py (`MusicgenMelodyDecoderConfig`, defaults)."""

    crosses = False
