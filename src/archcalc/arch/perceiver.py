"""Perceiver IO for text: bytes are read by few latents, which attend to each other, and read again at every place.

Source: Jaegle et al. 2021, arXiv:2107.14795; transformers 5.24, models/perceiver/modeling_perceiver.py (`PerceiverForMaskedLM`,
`PerceiverLayer`, `PerceiverBasicDecoder`) and configuration_perceiver.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import _heads
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Layers, Size, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError, json_text
from archcalc.model import LEARNED, Architecture, Attend, Facts, Layer, Shard, Tensor, stack

HEADS, WIDTH = 8, 8 * 32  # what the class for masked words gives its decoder, whatever the config says


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("d_latents", "d_model", "num_latents")
    inert_keys = (
        "image_size", "train_size", "num_frames", "audio_samples_per_frame", "samples_per_patch", "output_shape",
        "output_num_channels", "_label_trainable_num_channels", "use_query_residual", "num_blocks", "tie_word_embeddings",
    )  # fmt: skip
    own_heads = True

    num_latents: Size = 256
    d_latents: Size = 1280
    d_model: Size = 768
    num_self_attends_per_block: Layers = 26
    num_self_attention_heads: Size = 8
    num_cross_attention_heads: Size = 8
    qk_channels: Size | None = None
    v_channels: Size | None = None
    cross_attention_shape_for_attention: str = "kv"
    self_attention_widening_factor: Size = 1
    cross_attention_widening_factor: Size = 1
    hidden_act: str = "gelu"
    vocab_size: Size = 262
    max_position_embeddings: Size = 2048
    architectures: list[str] | None = None

    def block(self, query: int, source: int | None, keys: int, values: int, heads: int, wider: int, out: int) -> Iterator[Tensor]:
        """One `PerceiverLayer`: attention of `query` channels to `source`'s, or to themselves, and an FFN."""
        name, by_head = "attention.self", Shard(0, heads)
        yield from layer_norm(f"{name}.layernorm1", query)
        if source is not None:
            yield from layer_norm(f"{name}.layernorm2", source)
        read = query if source is None else source
        for part, outer, inner in (("query", keys, query), ("key", keys, read), ("value", values, read)):
            yield from linear(f"{name}.{part}", outer, inner, "attention", bias=True, shard=by_head)
        yield from linear("attention.output.dense", out, values, "attention", bias=True, shard=Shard(1, heads))
        yield from layer_norm("layernorm", query)
        yield from linear("mlp.dense1", wider * query, query, "mlp", bias=True)
        yield from linear("mlp.dense2", query, wider * query, "mlp", bias=True)

    def outside(self) -> Iterator[Tensor]:
        h, model, heads, shape = (
            self.d_latents,
            self.d_model,
            self.num_cross_attention_heads,
            self.cross_attention_shape_for_attention,
        )
        if shape not in ("kv", "q"):
            raise ConfigError(
                f"cross_attention_shape_for_attention is {json_text(shape)}", 'give "kv" or "q"', "cross_attention_shape"
            )
        keys = self.qk_channels or (model if shape == "kv" else h)
        values = self.v_channels or keys
        for key, width in (("qk_channels", keys), ("v_channels", values)):
            divided(width, heads, key, "num_cross_attention_heads")
        read = self.block(h, model, keys, values, heads, self.cross_attention_widening_factor, h)
        yield from prefixed("encoder.cross_attention", read)
        yield Tensor("decoder.output_position_encodings.position_embeddings", (self.max_position_embeddings, model), "embedding")
        yield from prefixed("decoder.decoding_cross_attention", self.block(model, h, WIDTH, model, HEADS, 1, model))

    def layer(self) -> Layer:
        h, heads, width = self.d_latents, self.num_self_attention_heads, self.self_attention_widening_factor
        for key in ("num_self_attention_heads", "num_cross_attention_heads"):
            divided(h, getattr(self, key), "d_latents", key)
        keys = self.qk_channels or h
        values = self.v_channels or keys
        wide_key, value = divided(keys, heads, "qk_channels", "num_self_attention_heads"), values // heads
        tensors = tuple(self.block(h, None, keys, values, heads, width, values))
        mixer, ffn = f"MHA ({heads}/{heads} x {wide_key})", f"{activation_name(self.hidden_act, gated=False)} {width * h}"
        return Layer(mixer, ffn, tensors, (), (Attend(heads, wide_key, value),), 0, 2 * (keys + values), width * h)

    def architecture(self, prefix: str) -> Architecture:
        h, model, vocab, root = self.d_latents, self.d_model, self.vocab_size, "perceiver"
        tables = (
            Tensor("input_preprocessor.embeddings.weight", (vocab, model), "embedding", Shard(0, vocab)),
            table("input_preprocessor.position_embeddings", self.max_position_embeddings, model),
            Tensor("embeddings.latents", (self.num_latents, h), "embedding"),
        )
        heads = self.num_self_attention_heads
        facts = Facts(
            h, vocab, self.max_position_embeddings, "bidirectional, by latents", heads, heads, h // heads, "LayerNorm (pre)",
            activation_name(self.hidden_act, gated=False), LEARNED, intermediate_size=self.self_attention_widening_factor * h,
            tied_embeddings=True, more=(("latents", f"{self.num_latents} x {h}"),),
        )  # fmt: skip
        groups = (
            group("embedding", prefixed(root, tables)),
            group("decoder", prefixed(root, self.outside())),
            group("head", (Tensor("embedding_decoder.bias", (vocab,), "head", Shard(0, vocab)),)),
        )
        layers = stack(f"{root}.encoder.self_attends", "decoder", [self.layer()] * self.num_self_attends_per_block)
        made = Architecture(self.name, groups, (layers,), facts)
        named = self.architectures[0] if self.architectures else None
        return made if named in (None, "PerceiverForMaskedLM") else _heads.otherwise(made, str(named))
