"""K2 Horizon: Llama's layers with grouped norms and a gate over attention; values are a mixture of experts too (MoVA).

Source: vLLM 0.33, models/k2_horizon.py (`K2HorizonAttention`, `K2HorizonMoVAAttention`, `K2HorizonSparseMoeBlock`); SGLang 0.5.23,
srt/models/xllm.py.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Count, Flag, Size, Tokens
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Experts, Layer, Shard, Tensor


class Schema(PlainSchema):
    core_keys = (*PlainSchema.core_keys, "intermediate_size")
    inert_keys = (
        "layernorm_num_groups", "rope_head_dim", "router_score_func", "router_scaling_factor", "dual_chunk_attention_config",
        "attn_gate_func", "num_dense_layers", "expert_shard_format", "ffn_hidden_shards",
    )  # fmt: skip
    norm_label = "RMSNorm in groups (pre)"

    max_position_embeddings: Tokens = 8192
    attention_bias: Flag = False
    query_key_norm: Flag = False
    attention_gate_func: str | None = None
    apply_attn_gate: Flag = False
    num_experts: Count = 0
    num_experts_per_tok: Size = 1
    moe_intermediate_size: Size = 1
    num_shared_experts: Count = 0
    moe_gate_bias: Flag = False
    decoder_sparse_step: Size = 1
    mlp_only_layers: list[Count] | None = None
    mova_num_experts: Count = named(0, "mova_num_experts", "num_values")
    mova_num_experts_per_tok: Count = named(0, "mova_num_experts_per_tok", "num_values_per_tok")

    def sparse(self) -> Sequence[bool]:
        dense, step = set(self.mlp_only_layers or ()), self.decoder_sparse_step
        return [self.num_experts > 0 and i not in dense and (i + 1) % step == 0 for i in range(self.num_hidden_layers)]

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            self.num_shared_experts, self.num_shared_experts * self.moe_intermediate_size, router_bias=self.moe_gate_bias,
        )  # fmt: skip

    def attention(self, window: int | None, variant: int) -> Mixer:
        gate = self.attention_gate_func is not None or self.apply_attn_gate
        bias = self.attention_bias
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias,
            qk_norm="full" if self.query_key_norm else "none", gate=self.num_attention_heads * self.head_size if gate else 0,
            gate_name="gate_proj",
        )  # fmt: skip

    def values(self) -> Iterator[Tensor]:
        """Projections of values, of which a token visits a few, and their router."""
        experts, width = Experts(self.mova_num_experts, self.mova_num_experts_per_tok or self.mova_num_experts), self.kv_heads
        shape = (self.mova_num_experts, width * self.head_size, self.hidden_size)
        yield Tensor("self_attn.v_experts.{}.weight", shape, "attention", Shard(1, width), experts)
        yield Tensor("self_attn.v_router.weight", (self.mova_num_experts, self.hidden_size), "router")
        if self.moe_gate_bias:
            yield Tensor("self_attn.v_router.bias", (self.mova_num_experts,), "router")

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        made = super().layer(window, sparse, variant)
        if not (sparse and self.mova_num_experts):
            return made
        kept = tuple(t for t in made.tensors if not t.name.startswith("self_attn.v_proj."))
        return made._replace(tensors=(*kept, *self.values()), mixer=f"{made.mixer}, values of {self.mova_num_experts} experts")

    def more(self) -> dict[str, Any]:
        if not self.mova_num_experts:
            return {}
        return {"more": (("value experts", f"{self.mova_num_experts}, top-{self.mova_num_experts_per_tok}"),)}


class Xllm(Schema):
    """xLLM: K2 Horizon's structure under the keys that it had first.
    Source: SGLang 0.5.23, srt/models/xllm.py (`XllmForCausalLM`) and srt/configs/k2_horizon.py."""
