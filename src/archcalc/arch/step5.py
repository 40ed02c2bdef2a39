"""Step 5: Step 3.5's layers; where they see everything, an indexer chooses blocks of eight tokens, whose summaries it keeps.

Source: vLLM 0.33, models/step5/nvidia/model.py (`Step5Attention`, `Step5FusedQKVIndexerLinear`), config.py (`Step5SparseConfig`),
sparse_summary_cache.py and mtp.py; transformers_utils/configs/step5.py (defaults).
"""

from collections.abc import Iterator

from pydantic import Field

from archcalc.arch import step3p5, step3p7
from archcalc.arch._schema import ConfigSchema, Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import Cache, Layer, Shard, Tensor


class Sparse(ConfigSchema):
    """`sparse_config`."""

    inert_keys = (
        "sparse_indexer_rope_dim", "sparse_indexer_use_rope", "sparse_indexer_q_norm_type", "sparse_indexer_k_norm_type",
        "sparse_indexer_csa_z_norm_type", "index_tp_size", "num_provider_groups", "topk", "compression_method",
        "sparse_indexer_softmax_variant", "sparse_indexer_ssmax_s_granularity", "apply_to_layer_types",
    )  # fmt: skip

    enabled: Flag | None = True
    proxy_dim: Size = 256
    sparse_indexer_num_heads: Size = 16
    sparse_indexer_num_k_heads: Size = 1
    region_block_size: Size = 8


class Schema(step3p5.Schema):
    inert_keys = (
        *step3p5.Schema.inert_keys, "norm_dtype", "norm_expert_weight", "moe_router_activation", "moe_router_scaling_factor",
        "need_fp32_gate", "use_moe", "use_rope_layers", "yarn_only_types", "max_seq_len", "zero_centered",
        "fp32_residual_connection", "layer_types_with_mtp", "att_impl_type", "swa_num_attention_heads", "moe_layer_list",
    )  # fmt: skip

    vocab_size: Size = 65536
    hidden_size: Size = 5120
    intermediate_size: Size = 13312
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 40
    max_position_embeddings: Tokens = 4096
    moe_intermediate_size: Size = 10240
    n_routed_experts: Size = Field(16, validation_alias="moe_num_experts")
    num_experts_per_tok: Size = Field(4, validation_alias="moe_top_k")
    first_k_dense_replace: Count = 1
    use_head_wise_attn_gate: Flag = False
    sparse_config: Sparse | None = None

    def index(self, heads: int) -> Iterator[Tensor]:
        """What chooses blocks, and what weighs the tokens of one into its summary."""
        made, h = self.sparse_config or Sparse(), self.hidden_size
        count, width = made.sparse_indexer_num_heads, made.proxy_dim
        yield from linear("sparse_indexer_q", count * width, h, "attention", shard=Shard(0, count))
        yield from linear("sparse_indexer_k", made.sparse_indexer_num_k_heads * width, h, "attention")
        yield from linear("sparse_indexer_z", made.sparse_indexer_num_k_heads * width, h, "attention")
        yield from linear("sparse_indexer_w", count, h, "attention")
        yield Tensor("ssmax_s", (heads,), "attention")
        yield rms_norm("sparse_indexer_q_norm", width)
        yield from layer_norm("sparse_indexer_k_norm", width)

    def layer(self, window: int | None, heads: int, sparse: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        made = super().layer(window, heads, sparse, extra)
        if not self.use_head_wise_attn_gate:
            made = made._replace(tensors=tuple(t for t in made.tensors if not t.name.startswith("self_attn.g_proj.")))
        chooses = self.sparse_config
        if window is not None or chooses is None or chooses.enabled is False:
            return made
        own = tuple(t._replace(name=f"self_attn.{t.name}") for t in self.index(heads))
        kept = Cache("index", chooses.sparse_indexer_num_k_heads, chooses.proxy_dim, 0, compress=chooses.region_block_size)
        return made._replace(tensors=(*made.tensors, *own), caches=(*made.caches, kept), mixer=f"{made.mixer}, chosen blocks")


class Step5Vl(step3p7.Schema):
    """Step 5 with vision: Step 3.7's tower.
    Source: vLLM 0.33, models/step5/nvidia/vl.py (`Step5ForConditionalGeneration`) and transformers_utils/configs/step5.py
    (`Step5VLConfig`)."""

    text_config: Schema = Field(default=Schema(), validate_default=True)
