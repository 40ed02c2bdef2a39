"""What Zamba 1 and 2 have in common: transformer layers that several places of the model share.

Source: transformers 5.23, models/zamba2/modeling_zamba2.py (`get_layers`) and configuration_zamba2.py.
"""

from collections.abc import Iterable, Iterator

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import HYBRID, LINEAR, known_kinds
from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import Flag, Size, Tokens, per_layer
from archcalc.blocks._tensor import Block, Mixer, linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.together import MixersTogether, Together
from archcalc.model import Layer, Role, Tensor


class SharedLayerSchema(DecoderSchema):
    """The shared layer reads the hidden state beside the embedding, twice as wide, and writes the hidden state."""

    hidden_act: str = "gelu"
    max_position_embeddings: Tokens = 4096
    tie_word_embeddings: Flag = True
    attention_hidden_size: Size | None = None
    attention_head_dim: Size | None = Field(None, validation_alias=AliasChoices("head_dim", "attention_head_dim"))
    layers_block_type: list[str] | None = Field(None, validation_alias=AliasChoices("layer_types", "layers_block_type"))
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2

    @property
    def head_size(self) -> int:
        return self.attention_head_dim or 2 * self.hidden_size // self.num_attention_heads

    @property
    def shared_width(self) -> int:
        return self.attention_hidden_size or 2 * self.hidden_size

    def known(self, default: list[str]) -> list[str]:
        given = default if self.layers_block_type is None else self.layers_block_type
        key = "layers_block_type"
        return known_kinds(per_layer(given, self.num_hidden_layers, key), key, LINEAR, HYBRID)

    def hybrid(self, name: str, mamba: Mixer, ffn: Block, *, rope: bool, adapters: Iterable[Tensor] = ()) -> Layer:
        """A Mamba layer that reads what the transformer layer `name` adds."""
        h, width = self.hidden_size, self.shared_width
        attention = GroupedQueryAttention(width, self.num_attention_heads, self.kv_heads, self.head_size, rope=rope, output_width=h)
        extra = (
            *prefixed(name, (rms_norm("input_layernorm", width), rms_norm("pre_ff_layernorm", h), *adapters)),
            *linear("linear", h, h, "other"),
            *prefixed("mamba_decoder", [rms_norm("input_layernorm", h)]),
        )
        mixers = MixersTogether((("mamba_decoder.mamba", mamba), (f"{name}.self_attn", attention)))
        return make_layer(mixers, Together(((f"{name}.feed_forward", ffn),)), extra, mixer_name="", ffn_name="")

    def arrange(self, kinds: list[str], plain: Layer, firsts: list[Layer], name: str) -> list[Layer]:
        """The layers in order: the shared ones in turn, of which each holds its tensors where it first comes.

        The reference implementation shares them only where it ties the embeddings.
        """
        again = [tied(layer, name) if self.tie_word_embeddings else layer for layer in firsts]
        layers, seen, turns = [], 0, len(firsts)
        for kind in kinds:
            if kind == HYBRID:
                layers.append(firsts[seen] if seen < turns else again[seen % turns])
                seen += 1
            else:
                layers.append(plain)
        return layers


def tied(layer: Layer, name: str) -> Layer:
    """The layer where the tensors below `name` are those of an earlier one."""
    return layer._replace(tensors=tuple(t._replace(kind="tied") if t.name.startswith(f"{name}.") else t for t in layer.tensors))


def adapter(place: str, uses: range, inner: int, outer: int, rank: int, role: Role) -> Iterator[Tensor]:
    """Two thin matrices for each use of a shared layer."""
    for i in uses:
        yield Tensor(f"{place}.{i}.0.weight", (rank, inner), role)
        yield Tensor(f"{place}.{i}.1.weight", (outer, rank), role)
