"""Evolla: Llama that reads a protein, which an ESM-2 encodes and learned queries shorten, through gated layers between its own.

Source: transformers 5.24, models/evolla/modeling_evolla.py (`EvollaForProteinText2Text`, `EvollaSequenceAlignerCrossAttention`) and
configuration_evolla.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import esm, llama
from archcalc.arch._decoder import decoder, every, group, with_tower
from archcalc.arch._schema import Few, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Architecture, Group, Layer, Shard, Stack, Tensor, stack


class SaProt(esm.Schema):
    """The encoder of proteins: ESM-2 without its head."""

    language = False
    core_keys = ()

    vocab_size: Size = 446
    hidden_size: Size = 1280
    num_hidden_layers: Layers = 33
    num_attention_heads: Size = 20
    intermediate_size: Size = 5120
    position_embedding_type: str | None = "rotary"

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        words = Tensor("word_embeddings.weight", (self.vocab_size, self.hidden_size), "embedding", Shard(0, self.vocab_size))
        outside = (
            *prefixed(f"{prefix}.embeddings", (words, *self.tables())),
            *prefixed(f"{prefix}.encoder", layer_norm("emb_layer_norm_after", self.hidden_size)),
        )
        return [group("other", outside)], [stack(f"{prefix}.encoder.layer", "other", [self.layer()] * self.num_hidden_layers)]


class Schema(llama.Schema):
    vocab_size: Size = 128256
    intermediate_size: Size = 14336
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 8192
    protein_encoder_config: SaProt | None = None
    aligner_ffn_mult: Size = 4
    aligner_enable_bias: Flag = True
    aligner_num_add_layers: Size = 8
    resampler_depth: Few = 6
    resampler_dim_head: Size = 64
    resampler_heads: Size = 8
    resampler_num_latents: Size = 64
    resampler_ff_mult: Size = 4

    def adapter(self) -> Iterator[Tensor]:
        """Cross-attention to the protein and an FFN, each behind a gate."""
        h, heads, bias = self.hidden_size, self.num_attention_heads, self.aligner_enable_bias
        names = ("query", "key_protein", "value_protein", "out_proj")
        yield Tensor("gate_attention", (1,), "other", acts="multiplies")
        yield Tensor("gate_ffw", (1,), "other", acts="multiplies")
        yield from CrossAttention(h, heads, h // heads, output_bias=bias, names=names).tensors()
        yield rms_norm("attention_norm", h)
        yield from layer_norm("ff.norm", h)
        yield from FeedForward(h, self.aligner_ffn_mult * h, bias=False, names=("ff.fc1", "ff.fc2")).tensors()

    def layer(self, reads: bool) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        return make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, bias=self.mlp_bias),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
            extra=prefixed("adapter", self.adapter()) if reads else (),
        )

    def shortened(self, width: int) -> Iterator[Tensor]:
        """Learned queries that read the protein's tokens and themselves, then a projection."""
        yield Tensor("latents", (self.resampler_num_latents, width), "embedding")
        inner = self.resampler_heads * self.resampler_dim_head
        for i in range(self.resampler_depth):
            attention, ffn = f"layers.{i}.0", f"layers.{i}.1"
            yield from layer_norm(f"{attention}.norm_media", width)
            yield from layer_norm(f"{attention}.norm_latents", width)
            yield from linear(f"{attention}.to_q", inner, width, "attention", shard=Shard(0, self.resampler_heads))
            yield from linear(f"{attention}.to_kv", 2 * inner, width, "attention", shard=Shard(0, self.resampler_heads))
            yield from linear(f"{attention}.to_out", width, inner, "attention", shard=Shard(1, self.resampler_heads))
            yield from layer_norm(f"{ffn}.norm", width)
            names = (f"{ffn}.fc1", f"{ffn}.fc2")
            yield from FeedForward(width, self.resampler_ff_mult * width, bias=False, names=names).tensors()
        yield from layer_norm("norm", self.hidden_size)
        yield from linear("protein_projector", self.hidden_size, width, "other", bias=True)

    def architecture(self, prefix: str) -> Architecture:
        count, protein = self.num_hidden_layers, self.protein_encoder_config or SaProt()
        step = max(count // self.aligner_num_add_layers, 1)
        reading = [i for i in range(count) if (i + 1) % step == 0]
        built = {reads: self.layer(reads) for reads in (False, True)}
        layers = [built[(i + 1) % step == 0] for i in range(count)]
        more = (("cross-attention", f"to the protein, {every(reading)}"),) if reading else ()
        text = decoder(
            layers, self.facts(more=more), computes=self.computes(), prefix=prefix,
            final_norm=[rms_norm("norm", self.hidden_size)], crosses=bool(reading),
        )  # fmt: skip
        groups, stacks = protein.tower(f"{prefix}.protein_encoder.model")
        short = prefixed(f"{prefix}.protein_encoder.sequence_compressor_resampler", self.shortened(protein.hidden_size))
        return with_tower(text, (*groups, group("other", short)), stacks)
