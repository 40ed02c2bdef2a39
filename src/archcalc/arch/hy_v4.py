"""Hunyuan 4: sparse latent attention with sinks and an output gate, residual streams, fine-grained experts.

Source: transformers 5.23, models/hy_v4/modeling_hy_v4.py, configuration_hy_v4.py (defaults), conversion_mapping.py ("hy_v4"); the MTP
layers, without streams, by the names that vLLM's `HYV4MTP` reads (a config may count the decoder's own step too: 2 is one layer).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import INDEXED, known_kinds, sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._indexers import own_indexers
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Count, Layers, Size, Tokens, per_layer
from archcalc.blocks._tensor import Block, linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.hyper import hyper_connection, hyper_head, widened
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Clamped, Layer, Moe, Shard, Stack, Tensor, stack

RENAMES = (
    *((f".{ours}_hc.", f".hc_{theirs}_layer.hc_pre.hc_") for ours, theirs in (("attn", "attn"), ("ffn", "mlp"))),
    (".hc_head.hc_", ".hc_head.hc_head_"),
    (".self_attn.gate_proj.", ".self_attn.linear_gate."),
    (".sinks", ".learnable_sink_param"),
)


class Schema(LatentSchema):
    inert_keys = (*LatentSchema.inert_keys, "hc_magnitude")

    vocab_size: Size = 120832
    hidden_size: Size = 2816
    intermediate_size: Size = 6912
    moe_intermediate_size: Size = 768
    num_hidden_layers: Layers = 34
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 262144
    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    n_shared_experts: Count = 1
    num_experts_per_tok: Size = 8
    q_lora_rank: Size = 1536
    qk_nope_head_dim: Size = 192
    v_head_dim: Size = 256
    mlp_layer_types: list[str] | None = None
    layer_types: list[str] | None = None
    index_topk: Size = 2048
    index_head_dim: Size = 128
    index_n_heads: Size = 16
    indexer_types: list[str] | None = None
    hc_mult: Size = 4
    num_nextn_predict_layers: Count = 0

    def computes(self) -> Computes:
        return super().computes()._replace(sinks="column-max", routing="grouped", clamped=Clamped(scaled=False, shared=False))

    def layer(self, indexed: bool, sparse: bool, mtp: bool = False) -> Layer:
        h, heads, rank, topk, streams = self.hidden_size, self.num_attention_heads, self.q_lora_rank, self.index_topk, self.hc_mult
        index = Indexer(h, rank, self.index_n_heads, self.index_head_dim, topk) if indexed else None
        widths = self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim, self.v_head_dim
        attention = LatentAttention(h, heads, *widths, rank, self.attention_bias, index, topk)
        ffn: Block = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        if sparse:
            width, shared = self.moe_intermediate_size, self.n_shared_experts
            ffn = MixtureOfExperts(
                h, width, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
                correction_bias="gate.e_score_correction_bias", stored=(),
            )  # fmt: skip
        others = [
            rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h),
            *linear("self_attn.gate_proj", heads * self.v_head_dim, h, "attention", shard=Shard(0, heads)),
            Tensor("self_attn.sinks", (heads,), "attention", Shard(0, heads), acts="sinks"),
        ]  # fmt: skip
        if mtp:
            others += (rms_norm(name, h) for name in ("enorm", "hnorm", "final_layernorm"))
            return make_layer(attention, ffn, (*others, *linear("eh_proj", h, 2 * h, "other")))
        others += (t for name in ("attn_hc", "ffn_hc") for t in hyper_connection(name, h, streams, mixing=False))
        return widened(make_layer(attention, ffn, others), h, streams)

    def mtp(self, prefix: str) -> list[Stack]:
        stated = self.num_nextn_predict_layers
        layers = [self.layer(True, True, mtp=True)] * max(stated - 1, 1) if stated else []
        return [stack(f"{prefix}.mtp_layers", "mtp", layers)] if layers else []

    def architecture(self, prefix: str) -> Architecture:
        n, h = self.num_hidden_layers, self.hidden_size
        known_kinds(per_layer(self.layer_types or [INDEXED] * n, n, "layer_types"), "layer_types", INDEXED)
        ffns = sparse_layers(self.mlp_layer_types, [i > 0 for i in range(n)])
        default = ["full" if i == 0 or (i - 1) % 4 == 0 else "shared" for i in range(n)]
        indexers = own_indexers(n, default if self.indexer_types is None else self.indexer_types, None)
        order = list(zip(indexers, ffns, strict=True))
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        sparse, chosen = sum(ffns), f"top {self.index_topk} tokens, in {sum(indexers)} of {n} layers"
        moe = Moe(self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts, sparse, self.moe_intermediate_size)
        facts = self.facts(
            attention="MLA", kv_heads=self.num_attention_heads, moe=moe if sparse else None,
            more=(
                *self.more(), ("sparse attention index", f"{self.index_n_heads} heads x {self.index_head_dim}, {chosen}"),
                ("residual streams", str(self.hc_mult)), ("output gate", "one a channel"),
            ),
        )  # fmt: skip
        return decoder(
            [built[what] for what in order], facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)],
            extra=hyper_head("hc_head.hc_", h, self.hc_mult), renames=RENAMES, mtp=self.mtp(prefix),
        )  # fmt: skip
