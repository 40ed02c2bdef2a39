"""DeepSeek-V4's keys, the kinds of layers they choose, and the names its checkpoints have.

Source: transformers 5.23, models/deepseek_v4/configuration_deepseek_v4.py (defaults, `layer_types`,
`mlp_layer_types`), conversion_mapping.py ("deepseek_v4").
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import SLIDING
from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import Count, Flag, Fraction, Layers, Size, Tokens, per_layer
from archcalc.errors import UnsupportedError

CSA, HCA = "compressed_sparse_attention", "heavily_compressed_attention"
HASHED, ROUTED = "hash_moe", "moe"
RATIOS = {0: SLIDING, 4: CSA, 128: HCA}

RENAMES = (
    ("model.embed_tokens.", "embed."),
    ("lm_head.", "head."),
    ("model.hc_head.hc_", "hc_head_"),
    ("model.", ""),
    (".compressor.indexer.scorer.weights_proj.", ".indexer.weights_proj."),
    (".compressor.indexer.q_b_proj.", ".indexer.wq_b."),
    (".compressor.indexer.", ".indexer.compressor."),
    (".compressor.kv_norm.", ".compressor.norm."),
    (".compressor.gate_proj.", ".compressor.wgate."),
    (".position_bias", ".ape"),
    (".self_attn.", ".attn."),
    (".input_layernorm.", ".attn_norm."),
    (".post_attention_layernorm.", ".ffn_norm."),
    (".attn_hc.", ".hc_attn_"),
    (".ffn_hc.", ".hc_ffn_"),
    (".sinks", ".attn_sink"),
    (".q_a_norm.", ".q_norm."),
    (".q_a_proj.", ".wq_a."),
    (".q_b_proj.", ".wq_b."),
    (".kv_proj.", ".wkv."),
    (".o_a_proj.", ".wo_a."),
    (".o_b_proj.", ".wo_b."),
    (".gate.e_score_correction_bias", ".gate.bias"),
    (".shared_experts.gate_proj.", ".shared_experts.w1."),
    (".shared_experts.down_proj.", ".shared_experts.w2."),
    (".shared_experts.up_proj.", ".shared_experts.w3."),
    (".mlp.", ".ffn."),
)


class CompressedSchema(DecoderSchema):
    """A decoder that compresses what its windows have left behind; defaults are DeepSeek-V4-Flash's."""

    inert_keys = ("attention_bias", "hc_sinkhorn_iters", "moe_intermediate_size", "n_shared_experts")

    vocab_size: Size = 129280
    hidden_size: Size = 4096
    intermediate_size: Size = Field(2048, validation_alias=AliasChoices("intermediate_size", "moe_intermediate_size"))
    num_hidden_layers: Layers = 43
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 1
    head_dim: Size = 512
    max_position_embeddings: Tokens = 1048576
    q_lora_rank: Size = 1024
    qk_rope_head_dim: Size = 64
    partial_rotary_factor: Fraction | None = None
    o_groups: Size = 8
    o_lora_rank: Size = 1024
    num_experts_per_tok: Size = 6
    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    mlp_bias: Flag = False
    layer_types: list[str] | None = None
    compress_ratios: list[Count] | None = None
    compress_rates: dict[str, Size] | None = None
    compress_rate_csa: Size | None = None
    compress_rate_hca: Size | None = None
    mlp_layer_types: list[str] | None = None
    num_hash_layers: Count = 3
    hc_mult: Size = 4
    sliding_window: Tokens = 128
    index_n_heads: Size = 64
    index_head_dim: Size = 128
    index_topk: Size = 512
    # Absent in configs of checkpoints without MTP, so the absence means none, whatever the class's default.
    num_nextn_predict_layers: Count = 0

    def kinds(self) -> list[tuple[str, str]]:
        """Attention and FFN of each layer; lists may go on for the MTP layers."""
        n, kinds, ffns = self.num_hidden_layers, self.layer_types, self.mlp_layer_types
        if kinds is None and self.compress_ratios is not None:
            unknown = [ratio for ratio in self.compress_ratios if ratio not in RATIOS]
            if unknown:
                raise UnsupportedError(f"compress_ratios holds {unknown[0]}: only {', '.join(map(str, RATIOS))} are known here")
            kinds = [RATIOS[ratio] for ratio in self.compress_ratios]
        if kinds is None:
            kinds = [HCA, HCA, *(CSA if i % 2 else HCA for i in range(n - 2))]
        if ffns is None:
            ffns = [HASHED] * self.num_hash_layers + [ROUTED] * (n - self.num_hash_layers)
        for key, values, known in (("layer_types", kinds, RATIOS.values()), ("mlp_layer_types", ffns, (HASHED, ROUTED))):
            per_layer(values[:n], n, key)
            if other := set(values[:n]).difference(known):
                raise UnsupportedError(f'{key} holds "{min(other)}": only {", ".join(known)} are known here')
        return list(zip(kinds[:n], ffns[:n], strict=True))

    def rates(self) -> dict[str, int]:
        rates = {CSA: 4, HCA: 128, **(self.compress_rates or {})}
        given = {CSA: self.compress_rate_csa, HCA: self.compress_rate_hca}
        return {kind: given[kind] or rates[kind] for kind in (CSA, HCA)}
