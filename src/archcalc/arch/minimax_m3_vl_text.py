"""The text model of MiniMax-M3: grouped-query attention to blocks of tokens that small heads choose, experts beside a shared FFN.

Source: transformers 5.23, models/minimax_m3_vl/modeling_minimax_m3_vl.py, conversion_mapping.py ("minimax_m3_vl").
"""

from archcalc.arch._alternating import FULL
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._minimax_m3 import SPARSE, BlockSparseSchema
from archcalc.arch._schema import Flag, rope_label
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, KeyIndex, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.together import MixersTogether, Together
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Clamped, Layer, Moe

RENAMES = (
    *((f".mlp.{name}.", f".block_sparse_moe.{name}.") for name in ("experts", "shared_experts")),
    (".mlp.gate.e_score_correction_bias", ".block_sparse_moe.e_score_correction_bias"),
    (".mlp.gate.", ".block_sparse_moe.gate."),
    (".self_attn.indexer.", ".self_attn.index_"),
)


class Schema(BlockSparseSchema):
    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-1p", joined=True, routing="normalized", clamped=Clamped())

    def layer(self, kind: str, sparse: bool) -> Layer:
        h, heads, kv_heads, dim = self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_dim
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        act = "swigluoai"
        ffn: Block = GatedFeedForward(h, self.dense_intermediate_size, act, fused="gate_up_proj", apart=True)
        if sparse:
            moe = MixtureOfExperts(
                h, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, act, 1,
                correction_bias="gate.e_score_correction_bias", stored=("w1", "w3", "w2"),
            )  # fmt: skip
            width = self.shared_intermediate_size
            shared = GatedFeedForward(h, width, act, fused="gate_up_proj", apart=True, role="shared_experts")
            ffn = Together((("", moe), ("shared_experts", shared)), moe.label())
        if kind == FULL:
            return make_layer(GroupedQueryAttention(h, heads, kv_heads, dim, qk_norm="head"), ffn, norms)
        index_heads, index_dim, topk = self.index()
        attention = GroupedQueryAttention(h, heads, kv_heads, dim, qk_norm="head", topk=topk)
        return make_layer(MixersTogether((("", attention), ("indexer", KeyIndex(h, index_heads, index_dim)))), ffn, norms)

    def architecture(self, prefix: str) -> Architecture:
        order = self.kinds()
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        chosen, sparse = sum(kind == SPARSE for kind, _ in order), sum(sparse for _, sparse in order)
        sharing, (heads, dim, topk) = head_sharing(self.num_attention_heads, self.kv_heads), self.index()
        facts = self.facts(
            attention=f"sparse + full {sharing} ({chosen}:{len(order) - chosen})" if chosen else sharing,
            activation="SwiGLU (clamped)",
            position=rope_label(self.model_extra or {}, 0.5),
            moe=Moe(self.num_local_experts, self.num_experts_per_tok, 1, sparse, self.intermediate_size) if sparse else None,
            more=(
                ("QK-norm", "RMSNorm per head"),
                *([("sparse attention index", f"{heads} heads x {dim}, {topk} tokens")] if chosen else []),
            ),
        )
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(
            [built[what] for what in order],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
            renames=RENAMES,
        )


class MinimaxM3(Schema):
    """MiniMax-M3's text model by itself, as the publisher's own config names it.
    Source: transformers 5.23, models/minimax_m3_vl; what only this config states is from vLLM, models/minimax_m3 (`use_qk_norm`,
    `use_routing_bias`, `attention_output_gate`). The checkpoint holds no layers of multi-token prediction, though the config counts some.
    """

    core_keys = ("hidden_size", "num_hidden_layers", "num_local_experts", "vocab_size")
    inert_keys = (
        *BlockSparseSchema.inert_keys, "first_k_dense_replace", "moe_intermediate_size", "n_shared_experts", "num_mtp_modules",
        "num_nextn_predict_layers", "use_gemma_norm", "qk_norm_type",
    )  # fmt: skip

    use_qk_norm: Flag = True
    use_routing_bias: Flag = True
    attention_output_gate: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        if self.attention_output_gate or not (self.use_qk_norm and self.use_routing_bias):
            raise UnsupportedError("MiniMax-M3 is known with use_qk_norm, with use_routing_bias and without attention_output_gate")
        return super().architecture(prefix)
