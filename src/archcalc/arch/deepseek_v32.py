"""DeepSeek-V3.2: V3 with an indexer in every layer, which picks the tokens that the layer attends to.

Source: transformers 5.23, models/deepseek_v32/modeling_deepseek_v32.py and configuration_deepseek_v32.py (defaults,
`mlp_layer_types`).
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3
from archcalc.arch._indexers import own_indexers
from archcalc.arch._schema import Layers, Size, Tokens, per_layer
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.errors import UnsupportedError, json_text


def known(kinds: Sequence[str], key: str, *names: str) -> None:
    """Raise where a layer is of a kind that the reference implementation does not have."""
    for kind in kinds:
        if kind not in names:
            raise UnsupportedError(f"{key} holds {json_text(kind)}: only {' and '.join(names)} are known here")


class Schema(deepseek_v3.Schema):
    fp32_modules = ("indexer.weights_proj",)
    inert_keys: ClassVar[tuple[str, ...]] = (*deepseek_v3.Schema.inert_keys, "mlp_bias")

    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_experts", "num_local_experts", "n_routed_experts"))
    q_lora_rank: Size = 1536
    max_position_embeddings: Tokens = 163840
    mlp_layer_types: list[str] | None = None
    layer_types: list[str] | None = None
    index_topk: Size = 2048
    index_head_dim: Size = 128
    index_n_heads: Size = 64

    def sparse(self) -> list[bool]:
        if self.mlp_layer_types is None:
            return super().sparse()
        kinds = per_layer(self.mlp_layer_types, self.num_hidden_layers, "mlp_layer_types")
        known(kinds, "mlp_layer_types", "dense", "sparse")
        return [kind == "sparse" for kind in kinds]

    def indexers(self) -> list[bool]:
        if self.layer_types is not None:
            kinds = per_layer(self.layer_types, self.num_hidden_layers, "layer_types")
            known(kinds, "layer_types", "indexed_attention", "deepseek_sparse_attention")
        return [True] * self.num_hidden_layers

    def attention(self, indexed: bool = False) -> LatentAttention:
        h, topk = self.hidden_size, self.index_topk
        return LatentAttention(
            h, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim,
            self.v_head_dim, self.q_lora_rank, self.attention_bias,
            Indexer(h, self.q_lora_rank, self.index_n_heads, self.index_head_dim, topk) if indexed else None, topk,
        )  # fmt: skip

    def more(self) -> tuple[tuple[str, str], ...]:
        indexers, n = sum(self.indexers()), self.num_hidden_layers
        shared = f", in {indexers} of {n} layers" if indexers < n else ""
        index = f"{self.index_n_heads} heads x {self.index_head_dim}, top {self.index_topk} tokens{shared}"
        return (*super().more(), ("sparse attention index", index))


class GlmMoeDsa(Schema):
    """GLM-5 to 5.3: DeepSeek-V3.2's structure, where some layers reuse the tokens that an earlier layer's indexer chose.
    Source: transformers 5.23, models/glm_moe_dsa/modeling_glm_moe_dsa.py and configuration_glm_moe_dsa.py (defaults,
    `indexer_types`); the MTP layer as zai-org/GLM-5 stores it, with an indexer and without copies of embedding and head."""

    inert_keys = (*Schema.inert_keys, "index_share_for_mtp_iteration", "moe_router_dtype")
    mtp_copies = False

    vocab_size: Size = 154880
    hidden_size: Size = 6144
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 78
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 64
    q_lora_rank: Size = 2048
    v_head_dim: Size = 256
    qk_nope_head_dim: Size = 192
    max_position_embeddings: Tokens = 202752
    index_n_heads: Size = 32
    indexer_types: list[str] | None = None
    index_topk_pattern: str | list[str] | None = None
    index_topk_freq: int = 1
    index_skip_topk_offset: int = 2

    def indexers(self) -> list[bool]:
        """`indexer_types`, or `index_topk_pattern` ("FSSF"), or a full layer every `index_topk_freq`-th from an offset on."""
        super().indexers()
        types, pattern = self.indexer_types, self.index_topk_pattern
        return own_indexers(self.num_hidden_layers, types, pattern, self.index_topk_freq, self.index_skip_topk_offset)
