"""T5: an encoder and a decoder without biases, relative positions in the first layer of each.

The reference shares one table among the embedding of both halves and the head, whatever the config says. Where a config says that
they are not tied, as T5 1.1, Flan-T5 and mT5 do, its checkpoint holds a head of its own, which is counted.

Source: transformers 5.23, models/t5/modeling_t5.py and configuration_t5.py (defaults); Raffel et al. 2020, arXiv:1910.10683.
"""

from typing import ClassVar

from archcalc.arch._computes import Computes, computed
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward, activation_name
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Architecture, Facts, Group, Layer, Position, Shard, Stack, Tensor, both_ways, stack

NAMES = ("q", "k", "v", "o")


class Schema(ConfigSchema):
    prefix = ""

    fp32_modules: ClassVar[tuple[str, ...]] = ("wo",)
    core_keys: ClassVar[tuple[str, ...]] = ("d_model", "num_layers", "vocab_size")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "relative_attention_max_distance", "n_positions", "output_past", "dense_act_fn", "scale_decoder_outputs",
    )  # fmt: skip
    # Whether each layer has its own relative positions, or the first alone.
    positions_everywhere: ClassVar[bool] = False

    vocab_size: Size = 32128
    d_model: Size = named(512, "d_model", "hidden_size")
    d_kv: Size = named(64, "d_kv", "head_dim")
    d_ff: Size = 2048
    num_layers: Layers = named(6, "num_layers", "num_hidden_layers")
    num_decoder_layers: Layers | None = None
    num_heads: Size = named(8, "num_heads", "num_attention_heads")
    relative_attention_num_buckets: Size = 32
    feed_forward_proj: str = "relu"
    # What saved configs derive from it goes before it.
    is_gated_act: Flag | None = None
    tie_word_embeddings: Flag = True
    architectures: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-own", softmax="own")

    def alone(self) -> bool:
        """Whether the class is the encoder without the decoder."""
        return any(c.endswith(("EncoderModel", "ForTokenClassification")) for c in self.architectures or ())

    def gated(self) -> bool:
        first, *act = self.feed_forward_proj.split("-")
        if len(act) > 1 or (act and first != "gated"):
            given = f'feed_forward_proj is "{self.feed_forward_proj}"'
            raise ConfigError(given, "write it as gated-ACTIVATION or ACTIVATION", "feed_forward_proj")
        return first == "gated" if self.is_gated_act is None else self.is_gated_act

    def ffn(self) -> FeedForward | GatedFeedForward:
        act = self.feed_forward_proj.removeprefix("gated-")
        if self.gated():
            return GatedFeedForward(self.d_model, self.d_ff, act, names=("wi_0", "wi_1", "wo"))
        return FeedForward(self.d_model, self.d_ff, act, bias=False, names=("wi", "wo"))

    def layer(self, *, decodes: bool, first: bool) -> Layer:
        h, n, ffn, last = self.d_model, self.num_heads, self.ffn(), "layer.2" if decodes else "layer.1"
        extra = [rms_norm(f"{name}.layer_norm", h) for name in ("layer.0", last)]
        if first or self.positions_everywhere:
            rows = self.relative_attention_num_buckets
            extra.append(Tensor("layer.0.SelfAttention.relative_attention_bias.weight", (rows, n), "attention", Shard(1, n)))
        if decodes:
            cross = CrossAttention(h, n, self.d_kv, bias=False, output_bias=False, names=NAMES)
            extra += (*prefixed("layer.1.EncDecAttention", cross.tensors()), rms_norm("layer.1.layer_norm", h))
        attention = GroupedQueryAttention(h, n, n, self.d_kv, rope=False, names=NAMES)
        built = make_layer(attention, ffn, mixer_name="layer.0.SelfAttention", ffn_name=f"{last}.DenseReluDense", extra=extra)
        return built if decodes else both_ways(built)

    def half(self, name: str, layers: int) -> Stack:
        decodes = name == "decoder"
        first, rest = (self.layer(decodes=decodes, first=one) for one in (True, False))
        return stack(f"{name}.block", "decoder" if decodes else "other", [first, *[rest] * (layers - 1)])

    def architecture(self, prefix: str) -> Architecture:
        h, v, tied, n = self.d_model, self.vocab_size, self.tie_word_embeddings, self.num_heads
        alone = self.alone()
        if alone and (self.model_extra or {}).get("is_decoder"):
            # The reference's encoder alone takes the flag as it is, and gives its layers the attention of a decoder.
            raise UnsupportedError("is_decoder is true in the config of an encoder alone", "leave it out, or set it to false")
        layers = self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers
        halves = {"encoder": self.num_layers} if alone else {"encoder": self.num_layers, "decoder": layers}
        words = [Tensor("shared.weight", (v, h), "embedding", Shard(0, v))]
        words += [words[0]._replace(name=f"{name}.embed_tokens.weight", kind="tied") for name in halves]
        groups = [Group("embedding", tuple(words))]
        groups += (Group("decoder" if x == "decoder" else "other", (rms_norm(f"{x}.final_layer_norm", h),)) for x in halves)
        if not alone:
            groups.append(Group("head", (Tensor("lm_head.weight", (v, h), "head", Shard(0, v), kind="tied" if tied else "param"),)))
        facts = Facts(
            h, v, None, "MHA, bidirectional" if alone else "MHA + cross-attention", n, n, self.d_kv, "RMSNorm (pre)",
            activation_name(self.ffn().activation, gated=self.gated()), Position("relative", "relative"), self.d_ff,
            tied_embeddings=tied, more=() if alone else (("encoder", f"{self.num_layers} layers, {n} heads, FFN {self.d_ff}"),),
        )  # fmt: skip
        made = Architecture(self.name, tuple(groups), tuple(self.half(*pair) for pair in halves.items()), facts, crosses=not alone)
        return computed(made, self.computes())
