"""The text model of dots3 note: sparse latent attention in every fourth layer, latent attention over a window in the others, gated.

Source: transformers 5.23, models/dots3_note/modeling_dots3_note.py.
"""

from archcalc.arch._alternating import INDEXED, SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._dots3_note import Dims, NoteSchema
from archcalc.arch._schema import rope_label
from archcalc.blocks._tensor import Block, linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Shard


class Schema(NoteSchema):
    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, routing="grouped")

    def layer(self, kind: str, dims: Dims, sparse: bool) -> Layer:
        h, (heads, q_rank, kv_rank, nope, rope, v_dim) = self.hidden_size, dims
        index, topk = Indexer(h, q_rank, self.index_n_heads, self.index_head_dim, self.index_topk), self.index_topk
        attention = LatentAttention(
            h, heads, kv_rank, nope, rope, v_dim, q_rank, self.attention_bias, index if kind == INDEXED else None,
            topk if kind == INDEXED else None, self.sliding_window if kind == SLIDING else None,
        )  # fmt: skip
        ffn: Block = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        if sparse:
            shared = self.n_shared_experts
            ffn = MixtureOfExperts(
                h, self.moe_intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared,
                shared * self.shared_experts_intermediate_size, correction_bias="gate.e_score_correction_bias",
            )  # fmt: skip
        others = [
            rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h),
            rms_norm("self_attn.k_rope_only_layernorm", rope),
            *linear("self_attn.g_proj", heads, h, "attention", shard=Shard(0, heads)),
        ]  # fmt: skip
        return make_layer(attention, ffn, others)

    def architecture(self, prefix: str) -> Architecture:
        n, kinds, sparse = self.num_hidden_layers, self.kinds(), self.sparse()
        order = list(zip(kinds, self.dims(kinds), sparse, strict=True))
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        sliding, moes = kinds.count(SLIDING), sum(sparse)
        moe = Moe(self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts, moes, self.moe_intermediate_size)
        facts = self.facts(
            attention=f"sliding + {'sparse' if INDEXED in kinds else 'full'} MLA ({sliding}:{n - sliding})" if sliding else "MLA",
            kv_heads=self.num_attention_heads,
            position=rope_label(self.model_extra or {}),
            sliding_window=self.sliding_window if sliding else None,
            moe=moe if moes else None,
            more=(*self.more(), ("output gate", "one a head")),
        )
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder([built[what] for what in order], facts, computes=self.computes(), prefix=prefix, final_norm=norm)
