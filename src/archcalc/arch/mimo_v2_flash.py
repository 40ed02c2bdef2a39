"""MiMo-V2-Flash: five sliding layers with sinks and twice the KV heads to one full layer, values narrower than keys, experts.

Source: transformers 5.23, models/mimo_v2_flash/modeling_mimo_v2_flash.py and configuration_mimo_v2_flash.py (defaults, `layer_types`),
conversion_mapping.py ("mimo_v2_flash"); the MTP layers, sliding and dense, by the names that XiaomiMiMo/MiMo-V2-Flash stores and vLLM,
models/mimo_v2_flash_mtp.py reads (pull request).
"""

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, SLIDING, mixed_label, sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block, linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Stack, stack

_ROPE = {"full_attention": {"partial_rotary_factor": 0.334}}


def without_query(layer: Layer) -> Layer:
    """The config's window is less its query, which the reference implementation adds and serving engines do not."""
    return layer._replace(caches=tuple(c._replace(served_window=c.window - 1) if c.window else c for c in layer.caches))


class Schema(DecoderSchema):
    # The first implementation's keys for what the reference implementation takes as given.
    inert_keys: ClassVar[tuple[str, ...]] = (
        "add_full_attention_sink_bias", "add_swa_attention_sink_bias", "attention_chunk_size", "attention_value_scale",
        "hybrid_block_size", "hybrid_layer_pattern", "moe_layer_freq", "n_shared_experts", "swa_head_dim",
        "swa_num_attention_heads", "swa_num_key_value_heads", "swa_v_head_dim",
    )  # fmt: skip

    vocab_size: Size = 152576
    hidden_size: Size = 4096
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 64
    num_key_value_heads: Size = 4
    max_position_embeddings: Tokens = 131072
    attention_bias: Flag = False
    moe_intermediate_size: Size = 2048
    num_experts_per_tok: Size = 8
    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    head_dim: Size = 192
    v_head_dim: Size = 128
    sliding_window: Tokens = 129
    sliding_window_size: Tokens | None = None
    # The published config does not state them; its checkpoint holds three.
    num_nextn_predict_layers: Count = 3
    layer_types: list[str] | None = None
    mlp_layer_types: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, softmax="own", sinks="column-max", routing="grouped")

    def window(self) -> int:
        """`sliding_window_size` does not count the query itself."""
        return self.sliding_window if self.sliding_window_size is None else self.sliding_window_size + 1

    def layer(self, window: int | None, sparse: bool) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        kv_heads = self.kv_heads * (1 if window is None else 2)
        attention = GroupedQueryAttention(
            h, heads, kv_heads, self.head_dim, self.attention_bias, False, window, sinks=window is not None, value_dim=self.v_head_dim
        )  # fmt: skip
        ffn: Block = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        if sparse:
            ffn = MixtureOfExperts(
                h, self.moe_intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act,
                correction_bias="gate.e_score_correction_bias",
            )  # fmt: skip
        return without_query(make_layer(attention, ffn, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))))

    def mtp(self, prefix: str) -> list[Stack]:
        h, n = self.hidden_size, self.num_nextn_predict_layers
        layer = self.layer(self.window(), False)
        kept = (t._replace(name=t.name.replace("post_attention_layernorm", "pre_mlp_layernorm")) for t in layer.tensors)
        norms = (rms_norm(name, h) for name in ("enorm", "hnorm", "final_layernorm"))
        layer = layer._replace(tensors=(*kept, *norms, *linear("eh_proj", h, 2 * h, "other")))
        return [stack(f"{prefix}.mtp.layers", "mtp", [layer] * n)] if n else []

    def architecture(self, prefix: str) -> Architecture:
        n, kinds = self.num_hidden_layers, self.layer_types
        if kinds is None:
            kinds = [FULL if i == 0 or (i + 1) % 6 == 0 else SLIDING for i in range(n)]
        ffns = sparse_layers(self.mlp_layer_types, [i > 0 for i in range(n)])
        order = list(zip(attention_pattern(kinds, n, self.window()), ffns, strict=True))
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        sparse = sum(ffns)
        moe = Moe(self.n_routed_experts, self.num_experts_per_tok, 0, sparse, self.moe_intermediate_size)
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            position=rope_label({"rope_parameters": _ROPE, **(self.model_extra or {})}),
            sliding_window=self.window() if SLIDING in kinds else None,
            moe=moe if sparse else None,
            more=(
                ("KV heads", f"{self.num_key_value_heads} in full layers, {2 * self.num_key_value_heads} in sliding ones"),
                ("head", f"{self.head_dim} for queries and keys, {self.v_head_dim} for values"),
                ("attention sinks", "one learned logit a head in sliding layers"),
            ),
        )
        norm, renames = [rms_norm("norm", self.hidden_size)], ((".self_attn.sinks", ".self_attn.attention_sink_bias"),)
        layers, mtp = [built[what] for what in order], self.mtp(prefix)
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm, renames=renames, mtp=mtp)
