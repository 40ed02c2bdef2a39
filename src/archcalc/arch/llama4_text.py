"""Llama 4, the text model: chunked layers with RoPE, full ones without, dense and mixture layers in turn.

Source: transformers 5.23, models/llama4/modeling_llama4.py and configuration_llama4.py (defaults).
"""

from archcalc.arch._alternating import CHUNKED, FULL, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder, every, join
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError, json_text
from archcalc.model import Architecture, Layer, Moe


class Schema(DecoderSchema):
    inert_keys = ("attn_scale", "attn_temperature_tuning", "floor_scale", "for_llm_compressor")

    vocab_size: Size = 202048
    hidden_size: Size = 5120
    intermediate_size: Size = 8192
    intermediate_size_mlp: Size = 16384
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 40
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    max_position_embeddings: Tokens = 4096 * 32
    attention_bias: Flag = False
    num_experts_per_tok: Size = 1
    num_local_experts: Size = 16
    moe_layers: list[Count] | None = None
    interleave_moe_layer_step: Size = 1
    use_qk_norm: Flag = True
    no_rope_layers: list[Count] | None = None
    no_rope_layer_interval: Size = 4
    attention_chunk_size: Tokens | None = 8192
    layer_types: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(bare_heads="bare-rms" if self.use_qk_norm else None, softmax="own", routing="all")

    def layer(self, kind: str, rope: bool, moe: bool) -> Layer:
        if kind not in (CHUNKED, FULL):
            raise ConfigError(f"layer_types holds {json_text(kind)}", f"one of {CHUNKED}, {FULL}", "layer_types")
        if kind == CHUNKED and self.attention_chunk_size is None:
            raise ConfigError(f"attention_chunk_size is null, and layer_types has {CHUNKED!r}", "give it", "attention_chunk_size")
        h, bias, width = self.hidden_size, self.attention_bias, self.intermediate_size
        window = self.attention_chunk_size if kind == CHUNKED else None
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias, window, window is not None, rope=rope
        )
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        if not moe:
            return make_layer(
                attention, GatedFeedForward(h, self.intermediate_size_mlp, self.hidden_act), norms, ffn_name="feed_forward"
            )
        experts = MixtureOfExperts(
            h, width, self.num_local_experts, self.num_experts_per_tok, self.hidden_act, 1, width, "shared_expert",
            router="router", transposed=True, stored=(),
        )  # fmt: skip
        return make_layer(attention, experts, norms, ffn_name="feed_forward")

    def architecture(self, prefix: str) -> Architecture:
        n, step = self.num_hidden_layers, self.interleave_moe_layer_step
        moe = set(range(step - 1, n, step) if self.moe_layers is None else self.moe_layers).intersection(range(n))
        # Published configs write an empty list for the default pattern.
        rope = [bool(r) for r in self.no_rope_layers or [(i + 1) % self.no_rope_layer_interval for i in range(n)]]
        if self.layer_types is None or len(rope) < n:
            per_layer(rope, n, "no_rope_layers")
        kinds = [CHUNKED if r else FULL for r in rope] if self.layer_types is None else self.layer_types
        per_layer(kinds, n, "layer_types")
        order = [(kinds[i], rope[i], i in moe) for i in range(n)]
        layers = {what: self.layer(*what) for what in dict.fromkeys(order)}
        nope = [i for i in range(n) if not rope[i]]
        more = [("QK-norm", "L2 per head, without weights, where there is RoPE")] if self.use_qk_norm else []
        if 0 < len(moe) < n:
            more.append(("dense layers", f"{n - len(moe)} of width {self.intermediate_size_mlp}"))
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            position=rope_label(self.model_extra or {}).also(f", NoPE {every(nope)}" if nope else ""),
            sliding_window=self.attention_chunk_size if CHUNKED in kinds else None,
            moe=Moe(self.num_local_experts, self.num_experts_per_tok, 1, len(moe), self.intermediate_size) if moe else None,
            more=tuple(more),
        )
        # The multimodal model nests the whole language model, head included.
        outer, _, inner = prefix.rpartition(".")
        head = join(outer, "lm_head") if inner == "model" else "lm_head"
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(
            [layers[what] for what in order],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
            head=head,
        )
