"""What BART and its relatives share: an encoder, and a decoder that also attends to what the encoder made.

Configs of both say the same: `architectures` decides. A class that ends in ForCausalLM is the decoder alone, any other holds both.
What the decoder keeps of its own past is its cache; keys and values of the encoder's output are as long as the input, and are not.

Source: transformers 5.23, models/bart/modeling_bart.py; relatives override what differs.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from archcalc.arch._computes import Computes, computed
from archcalc.arch._decoder import join
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Architecture, Facts, Group, Kind, Layer, Position, Shard, Stack, Tensor, stack

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")


class BartSchema(ConfigSchema):
    """An encoder and a decoder as the hooks say."""

    prefix = ""

    core_keys: ClassVar[tuple[str, ...]] = ("d_model", "decoder_layers", "decoder_attention_heads", "vocab_size")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "scale_embedding", "extra_pos_embeddings", "add_bias_logits", "add_final_layer_norm", "force_bos_token_to_be_generated",
        "normalize_before", "normalize_embedding", "static_position_embeddings", "do_blenderbot_90_layernorm",
        "encoder_cross_attention", "output_past", "save_step", "layernorm_variant", "extra_layer_norm",
    )  # fmt: skip
    other_names: ClassVar[Mapping[str, str]] = {
        "num_hidden_layers": "encoder_layers", "num_attention_heads": "encoder_attention_heads", "hidden_size": "d_model",
    }  # fmt: skip
    root: ClassVar[str] = "model"
    # Whether the checkpoint holds what is added to the logits.
    logits_bias: ClassVar[bool] = True
    # Rows of the position table before the first position.
    offset: ClassVar[int] = 2
    embedding_norm: ClassVar[bool] = True
    last_norm: ClassVar[bool] = False
    norm_label: ClassVar[str] = "LayerNorm (post)"
    position: ClassVar[Position] = LEARNED
    head_name: ClassVar[str] = "lm_head"
    # Whether the decoder alone ties its head.
    alone_tied: ClassVar[bool] = True

    vocab_size: Size = 50265
    max_position_embeddings: Size = 1024
    d_model: Size = named(1024, "d_model", "hidden_size")
    encoder_layers: Layers = 12
    encoder_ffn_dim: Size = 4096
    encoder_attention_heads: Size = 16
    decoder_layers: Layers = 12
    decoder_ffn_dim: Size = 4096
    decoder_attention_heads: Size = 16
    activation_function: str = "gelu"
    tie_word_embeddings: Flag = True
    architectures: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    @property
    def alone(self) -> bool:
        """Whether the config is of the decoder alone."""
        return any(c.endswith("ForCausalLM") for c in self.architectures or ())

    def as_decoder(self) -> ConfigSchema:
        return self.model_copy(update={"architectures": ["ForCausalLM"]})

    def bias(self) -> bool:
        return True

    def vocabulary(self) -> int:
        """The decoder's, where the two differ."""
        return self.vocab_size

    def drop(self, t: Tensor) -> bool:
        """Tensors that this type's layers lack."""
        return False

    def attention(self, heads: int) -> GroupedQueryAttention:
        h, bias = self.d_model, self.bias()
        dim = divided(h, heads, "d_model", "attention_heads")
        return GroupedQueryAttention(h, heads, heads, dim, bias=bias, output_bias=bias, rope=False, names=NAMES)

    def cross(self) -> CrossAttention:
        heads, bias = self.decoder_attention_heads, self.bias()
        return CrossAttention(self.d_model, heads, self.d_model // heads, bias=bias, output_bias=bias)

    def layer(self, heads: int, width: int, *, decodes: bool) -> Layer:
        h = self.d_model
        extra = [*layer_norm("self_attn_layer_norm", h), *layer_norm("final_layer_norm", h)]
        if decodes:
            extra += (*prefixed("encoder_attn", self.cross().tensors()), *layer_norm("encoder_attn_layer_norm", h))
        layer = make_layer(self.attention(heads), FeedForward(h, width, self.activation_function), ffn_name="", extra=extra)
        kept = tuple(t for t in layer.tensors if not self.drop(t))
        return layer._replace(tensors=kept, caches=layer.caches if decodes else ())

    def encoder_layer(self) -> Layer:
        return self.layer(self.encoder_attention_heads, self.encoder_ffn_dim, decodes=False)

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        """What stands before and behind the layers."""
        h = self.d_model
        yield table("embed_positions", self.max_position_embeddings + self.offset, h)
        if self.embedding_norm:
            yield from layer_norm("layernorm_embedding", h)
        if self.last_norm:
            yield from layer_norm("layer_norm", h)

    def words(self, name: str, rows: int, kind: Kind = "param") -> Tensor:
        return Tensor(f"{name}.weight", (rows, self.d_model), "embedding", Shard(0, rows), kind=kind)

    def both(self) -> tuple[list[Group], list[Stack]]:
        """The encoder, and the table that both halves share."""
        root = f"{self.root}.encoder"
        own = self.words(f"{root}.embed_tokens", self.vocab_size, "tied" if self.tie_word_embeddings else "param")
        tables = (self.words(f"{self.root}.shared", self.vocab_size), own)
        # It is not trained.
        bias = Tensor("final_logits_bias", (1, self.vocabulary()), "head", kind="copy")
        groups = [
            Group("embedding", tables),
            Group("other", tuple(prefixed(root, self.outside(decodes=False)))),
            Group("head", (bias,) if self.logits_bias else ()),
        ]
        return groups, [stack(f"{root}.layers", "other", [self.encoder_layer()] * self.encoder_layers)]

    def architecture(self, prefix: str) -> Architecture:
        h, heads, rows, root = self.d_model, self.decoder_attention_heads, self.vocabulary(), join(prefix, f"{self.root}.decoder")
        groups: list[Group] = []
        stacks: list[Stack] = []
        tied: Kind = "tied" if self.tie_word_embeddings and (self.alone_tied or not self.alone) else "param"
        if not self.alone:
            groups, stacks = self.both()
        shared = any(t.name == f"{self.root}.shared.weight" for g in groups for t in g.tensors)
        words = self.words(f"{root}.embed_tokens", rows, "tied" if shared and self.tie_word_embeddings else "param")
        # A decoder alone that does not tie its head has it for the encoder's vocabulary.
        out = self.vocab_size if self.alone and tied == "param" else rows
        head = Tensor(f"{join(prefix, self.head_name)}.weight", (out, h), "head", Shard(0, out), kind=tied)
        groups += [
            Group("embedding", (words,)),
            Group("decoder", tuple(prefixed(root, self.outside(decodes=True)))),
            Group("head", (head,)),
        ]
        layer = self.layer(heads, self.decoder_ffn_dim, decodes=True)
        stacks.append(stack(f"{root}.layers", "decoder", [layer] * self.decoder_layers))
        encoder = f"{self.encoder_layers} layers, {self.encoder_attention_heads} heads, FFN {self.encoder_ffn_dim}"
        facts = Facts(
            h, rows, self.max_position_embeddings, "MHA + cross-attention", heads, heads, h // heads, self.norm_label,
            activation_name(self.activation_function, gated=False), self.position, self.decoder_ffn_dim, tied_embeddings=tied == "tied",
            more=() if self.alone else (("encoder", encoder),),
        )  # fmt: skip
        return computed(Architecture(self.name, tuple(groups), tuple(stacks), facts, crosses=True), self.computes())
