"""The text model of GLM-5.3-Flash: three layers of Kimi Delta Attention to one of sparse latent attention, residual streams, MTP.

Source: transformers 5.23, models/glm5_next/modeling_glm5_next.py and configuration_glm5_next.py (defaults, `layer_types`,
`indexer_types`), conversion_mapping.py; the MTP layer as zai-org/GLM-5.3-Flash stores it, without streams and copies.
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, INDEXED, LINEAR
from archcalc.arch._computes import Computes
from archcalc.arch._indexers import IndexedSchema
from archcalc.arch._kda import RENAMES, DeltaSchema
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.hyper import hyper_connection, widened
from archcalc.blocks.kda import KimiDeltaAttention
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.errors import UnsupportedError
from archcalc.model import Layer, Stack, Tensor


class Schema(DeltaSchema, IndexedSchema):
    rotary = False
    ties = True
    renames = (*RENAMES, (".attn_hc.", ".hc_attn_"), (".ffn_hc.", ".hc_ffn_"))
    inert_keys = (
        *DeltaSchema.inert_keys, "hc_sinkhorn_iters", "index_kpool_always_select_tail", "index_kpool_compress",
        "linear_lower_bound", "index_share_for_mtp_iteration", "mhc", "moe_router_dtype", "first_k_dense_replace",
        "base_model_ep_plan", "base_model_tp_plan",
    )  # fmt: skip

    vocab_size: Size = 154880
    hidden_size: Size = 4096
    intermediate_size: Size = 12288
    moe_intermediate_size: Size = 2048
    num_hidden_layers: Layers = 45
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 64
    head_dim: Count | None = None
    qk_rope_head_dim: Count = 0
    v_head_dim: Size = 256
    qk_nope_head_dim: Size = 256
    max_position_embeddings: Tokens = 1048576
    q_lora_rank: Size = 1536
    n_shared_experts: Count = 1
    n_routed_experts: Size = Field(288, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size = 8
    index_kpool: Size = 16
    hc_mult: Size = 4
    # Absent in configs of checkpoints without MTP, so the absence means none.
    num_nextn_predict_layers: Count = 0

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def default_kinds(self) -> list[str]:
        return [INDEXED if i % 4 == 3 else LINEAR for i in range(self.num_hidden_layers)]

    def default_sparse(self) -> list[bool]:
        return [i >= 3 for i in range(self.num_hidden_layers)]

    def routed(self) -> tuple[int, int, int]:
        return self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts

    def delta(self) -> KimiDeltaAttention:
        given = self.linear_attn_config
        heads, dim = given.num_heads or self.linear_num_heads or 64, given.head_dim or self.linear_head_dim or 128
        return KimiDeltaAttention(self.hidden_size, heads, dim, given.short_conv_kernel_size or self.linear_conv_kernel_dim or 4)

    def latent(self, index: int) -> LatentAttention:
        """With an index of its own behind the decoder's layers, in MTP."""
        h, rank, topk, pool = self.hidden_size, self.q_lora_rank, self.index_topk, self.index_kpool
        if self.qk_rope_head_dim:
            raise UnsupportedError(f"qk_rope_head_dim is {self.qk_rope_head_dim}: latent layers have no positions here")
        own = index >= self.num_hidden_layers or self.own_indexers()[index]
        return LatentAttention(
            h, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, 0, self.v_head_dim, rank, self.attention_bias,
            Indexer(h, rank, self.index_n_heads, self.index_head_dim, topk, pool) if own else None, topk,
        )  # fmt: skip

    def extra_tensors(self, kind: str) -> list[Tensor]:
        h, streams = self.hidden_size, self.hc_mult
        return [*super().extra_tensors(kind), *hyper_connection("attn_hc", h, streams), *hyper_connection("ffn_hc", h, streams)]

    def finished(self, layer: Layer) -> Layer:
        return widened(layer, self.hidden_size, self.hc_mult)

    def mtp(self, prefix: str) -> list[Stack]:
        h, n = self.hidden_size, self.num_hidden_layers

        def layer(extra: tuple[Tensor, ...]) -> Layer:
            return make_layer(self.latent(n), self.experts(), super(Schema, self).extra_tensors(FULL), extra=extra)

        number = self.num_nextn_predict_layers
        return behind_decoder(layer, number, prefix=prefix, start=n, hidden=h, vocab=self.vocab_size, copies=False)
