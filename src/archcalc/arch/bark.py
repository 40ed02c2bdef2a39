"""Bark: three decoders, each of which reads what the one before wrote (text, what is said, how it sounds), and EnCodec.

Source: transformers 5.24, models/bark/modeling_bark.py (`BarkModel`, `BarkCausalModel`, `BarkFineModel`) and configuration_bark.py
(defaults).
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Few, Flag, Layers, Size, TowerSchema, divided, nested
from archcalc.arch._vit import AloneSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Encoder, Kind, Layer, Tensor, stack


class Part(ConfigSchema):
    """One of the three decoders."""

    inert_keys = ()

    block_size: Size = 1024
    input_vocab_size: Size = 10_048
    output_vocab_size: Size = 10_048
    num_layers: Layers = 12
    num_heads: Size = 12
    hidden_size: Size = 768
    bias: Flag = True

    def norm_bias(self) -> bool:
        return self.bias

    def layer(self) -> Layer:
        h, n, bias = self.hidden_size, self.num_heads, self.bias
        dim = divided(h, n, "hidden_size", "num_heads")
        attention = GroupedQueryAttention(h, n, n, dim, bias, bias, rope=False, fused="att_proj", names=("", "", "", "out_proj"))
        norms = [t for name in ("layernorm_1", "layernorm_2") for t in layer_norm(name, h, bias=self.norm_bias())]
        ffn = FeedForward(h, 4 * h, "gelu", bias, names=("in_proj", "out_proj"))
        return encoder_layer(attention, ffn, norms, attention_name="attn")

    def words(self) -> Iterator[Tensor]:
        yield table("input_embeds_layer", self.input_vocab_size, self.hidden_size)
        yield from linear("lm_head", self.output_vocab_size, self.hidden_size, "head")

    def outside(self) -> Iterator[Tensor]:
        yield from self.words()
        yield table("position_embeds_layer", self.block_size, self.hidden_size)
        yield from layer_norm("layernorm_final", self.hidden_size, bias=self.norm_bias())


class Fine(Part):
    """The last of them, which sees both ways and has an embedding for each codebook."""

    n_codes_total: Layers = 8
    n_codes_given: Few = 1
    tie_word_embeddings: Flag = True

    def norm_bias(self) -> bool:
        return True

    def words(self) -> Iterator[Tensor]:
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        rows = self.input_vocab_size if self.tie_word_embeddings else self.output_vocab_size
        for i in range(self.n_codes_total):
            yield table(f"input_embeds_layers.{i}", self.input_vocab_size, self.hidden_size)
        for i in range(self.n_codes_total - self.n_codes_given):
            yield from (t._replace(kind=kind) for t in linear(f"lm_heads.{i}", rows, self.hidden_size, "head"))


class Schema(AloneSchema):
    outcome = "chain"

    alone = "three decoders that turn text into sound, one after another: their caches are not counted"
    root = ""

    semantic_config: Part = Field(default_factory=Part)
    coarse_acoustics_config: Part = Field(default_factory=Part)
    fine_acoustics_config: Fine = Field(default_factory=Fine)
    codec_config: Annotated[TowerSchema, nested("encodec"), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """A part that is null has its defaults."""
        return {key: value for key, value in config.items() if value is not None}

    @property
    def hidden_size(self) -> int:
        return self.semantic_config.hidden_size

    @property
    def num_attention_heads(self) -> int:
        return self.semantic_config.num_heads

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = self.codec_config.tower("codec_model")
        for name in ("semantic", "coarse_acoustics", "fine_acoustics"):
            part: Part = getattr(self, f"{name}_config")
            groups.append(group("other", prefixed(name, part.outside())))
            stacks.append(stack(f"{name}.layers", "other", [part.layer()] * part.num_layers))
        return groups, stacks

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
