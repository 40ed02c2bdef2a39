"""Pangu Ultra MoE: DeepSeek-V3's structure with norms around each block.

Source: vLLM 0.33, models/openpangu.py (`OpenPanguMLAAttention`, `OpenPanguDecoderLayer`: `sandwich_norm`) and models/openpangu_mtp.py.
"""

from archcalc.arch import deepseek_v3
from archcalc.arch._schema import Count, Flag, Size, Tokens
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Routing, Shard, Tensor


class Schema(deepseek_v3.Schema):
    inert_keys = (*deepseek_v3.Schema.inert_keys, "num_dense_layers", "param_sink_number")

    sandwich_norm: Flag = False
    router_enable_expert_bias: Flag = False

    def experts(self) -> MixtureOfExperts:
        correction = "gate.e_score_correction_bias" if self.router_enable_expert_bias else ""
        shared, width, routed = self.n_shared_experts or 0, self.moe_intermediate_size, self.n_routed_experts or 0
        return MixtureOfExperts(
            self.hidden_size, width, routed, self.num_experts_per_tok or routed, self.hidden_act, shared, shared * width,
            correction_bias=correction,
        )  # fmt: skip

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        names = ("pre_mlp_layernorm", "post_mlp_layernorm") if self.sandwich_norm else ()
        return super().layer(sparse, indexed, (*extra, *(rms_norm(name, self.hidden_size) for name in names)))


_LATENT = ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


class PanguProMoeV2(Schema):
    """Pangu Pro MoE 2: grouped attention whose keys have a norm and whose layers keep a few learned keys before every sequence.
    Source: vLLM 0.33, models/openpangu.py (`OpenPanguSinkAttention`, `PanguProMoEV2ForCausalLM`)."""

    inert_keys = (*deepseek_v3.Schema.inert_keys, "num_dense_layers", "param_sink_scalar", "param_sink_of_head_dim")

    core_keys = tuple(key for key in deepseek_v3.Schema.core_keys if key not in _LATENT)
    # There is no latent.
    kv_lora_rank: Size = 1
    qk_nope_head_dim: Size = 1
    qk_rope_head_dim: Size = 1
    v_head_dim: Size = 1
    qk_nope_dim: Size
    qk_rope_dim: Size
    v_channels: Size
    qkv_bias: Flag | None = None
    param_sink_number: Count = 0
    param_sink_with_value: Flag = False
    interleaved_sliding_window: Tokens | list[Tokens] | None = None

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        made, h, dim, kv, sinks = super().layer(sparse, indexed, extra), self.hidden_size, self.qk_nope_dim + self.qk_rope_dim, 0, 0
        kv, sinks = self.num_key_value_heads or self.num_attention_heads, self.param_sink_number
        if self.interleaved_sliding_window is not None:
            raise UnsupportedError("interleaved_sliding_window is set: only layers that see everything are known here")
        bias = self.attention_bias if self.qkv_bias is None else self.qkv_bias
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, kv, dim, bias, self.attention_bias, value_dim=self.v_channels
        )
        own = [*attention.tensors(), rms_norm("k_layernorm", dim)]
        if sinks:
            own.append(Tensor("param_sink_key", (sinks, kv, dim), "attention", Shard(1, kv)))
        if sinks and self.param_sink_with_value:
            own.append(Tensor("param_sink_value", (sinks, kv, self.v_channels), "attention", Shard(1, kv)))
        rest = (t for t in made.tensors if not t.name.startswith("self_attn."))
        caches = tuple(cache._replace(before=sinks) for cache in attention.caches())
        return made._replace(
            mixer=attention.label(), tensors=(*prefixed("self_attn", own), *rest), caches=caches, attends=tuple(attention.attends()),
            steps=(*attention.steps(), *(s for s in made.steps if isinstance(s, Routing))), mixer_width=attention.width(),
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        kv = self.num_key_value_heads or self.num_attention_heads
        sharing = head_sharing(self.num_attention_heads, kv)
        return a._replace(
            facts=a.facts._replace(attention=sharing, kv_heads=kv, head_dim=self.qk_nope_dim + self.qk_rope_dim, more=())
        )
