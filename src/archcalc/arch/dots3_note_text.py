"""The text model of dots3 note: sparse latent attention in every fourth layer, latent attention over a window in the others, gated.

Source: transformers 5.23, models/dots3_note/modeling_dots3_note.py and configuration_dots3_note.py (`Dots3NoteTextConfig`: defaults,
`layer_types`, what sliding layers have of their own).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, INDEXED, SLIDING, known_kinds, sparse_layers
from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import Block, linear, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.latent import Indexer, LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer, Moe, Shard

_OWN = ("num_attention_heads", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
"""What a layer may have of its own, in the order of `Dims`."""
Dims = tuple[int, int, int, int, int, int]


class Schema(LatentSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        *LatentSchema.inert_keys, "base_config_key", "head_dim", "mlp_bias", "num_key_value_heads", "swa_head_dim",
        "swa_num_key_value_heads", "swa_rope_theta",
    )  # fmt: skip

    vocab_size: Size = 152064
    hidden_size: Size = 5120
    intermediate_size: Size = 13824
    moe_intermediate_size: Size = 1536
    num_hidden_layers: Layers = 46
    num_attention_heads: Size = 128
    max_position_embeddings: Tokens = 524288
    q_lora_rank: Size = 1024
    swa_num_attention_heads: Size = 64
    swa_q_lora_rank: Size = 1024
    swa_kv_lora_rank: Size = 1024
    swa_head_dim: Size = 256
    swa_qk_nope_head_dim: Size = 192
    swa_qk_rope_head_dim: Size | None = None
    swa_v_head_dim: Size = 128
    per_layer_config: dict[int, dict[str, Count]] | None = None
    sliding_window: Tokens = Field(512, validation_alias=AliasChoices("sliding_window", "sliding_window_size"))
    use_sliding_window: Flag = True
    use_dsa: Flag | None = None
    layer_types: list[str] | None = None
    n_routed_experts: Size = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    n_shared_experts: Size = 1
    shared_experts_intermediate_size: Size = Field(
        1536, validation_alias=AliasChoices("moe_shared_expert_intermediate_size", "shared_experts_intermediate_size")
    )
    num_experts_per_tok: Size = 8
    first_k_dense_replace: Count = 1
    moe_layer_freq: Size | list[Count] = 1
    mlp_layer_types: list[str] | None = None
    index_topk: Size = 2048
    index_head_dim: Size = 128
    index_n_heads: Size = 64

    def kinds(self) -> list[str]:
        n, given = self.num_hidden_layers, self.layer_types
        # A stated per_layer_config goes with lists that are already as they should be.
        dsa = self.use_dsa if self.use_dsa is not None or self.per_layer_config is not None else True
        full = FULL if dsa is False else INDEXED
        if given is None:
            return [full if not self.use_sliding_window or i < 2 or i % 4 == 1 else SLIDING for i in range(n)]
        kinds = known_kinds(per_layer(given, n, "layer_types"), "layer_types", FULL, INDEXED, SLIDING)
        return kinds if dsa is None else [SLIDING if kind == SLIDING else full for kind in kinds]

    def dims(self, kinds: list[str]) -> list[Dims]:
        own: Dims = tuple(getattr(self, key) for key in _OWN)
        if self.per_layer_config is None:
            rope = self.swa_qk_rope_head_dim or self.swa_head_dim - self.swa_qk_nope_head_dim
            if rope <= 0:
                why = (
                    f"swa_qk_nope_head_dim is {self.swa_qk_nope_head_dim}: it leaves nothing of swa_head_dim ({self.swa_head_dim})"
                )
                raise ConfigError(why, "correct one of the two", "swa_qk_nope_head_dim")
            sliding = (
                self.swa_num_attention_heads, self.swa_q_lora_rank, self.swa_kv_lora_rank, self.swa_qk_nope_head_dim, rope,
                self.swa_v_head_dim,
            )  # fmt: skip
            return [sliding if kind == SLIDING else own for kind in kinds]
        each = [self.per_layer_config.get(i, {}) for i in range(len(kinds))]
        return [tuple(keys.get(key, value) for key, value in zip(_OWN, own, strict=True)) for keys in each]

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
        beside = [
            rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h), rms_norm("self_attn.k_rope_only_layernorm", rope),
            *linear("self_attn.g_proj", heads, h, "attention", shard=Shard(0, heads)),
        ]  # fmt: skip
        return make_layer(attention, ffn, beside)

    def architecture(self, prefix: str = "model") -> Architecture:
        n, freq, kinds = self.num_hidden_layers, self.moe_layer_freq, self.kinds()
        every = (
            [f > 0 for f in per_layer(freq, n, "moe_layer_freq")] if isinstance(freq, list) else [i % freq == 0 for i in range(n)]
        )
        sparse = sparse_layers(self.mlp_layer_types, [i >= self.first_k_dense_replace and every[i] for i in range(n)])
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
        return decoder("dots3_note_text", [built[what] for what in order], facts, prefix=prefix, final_norm=norm)
