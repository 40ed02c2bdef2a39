"""Qwen3-Next: three Gated DeltaNet layers to one of gated attention, many small experts beside a gated shared one, MTP.

Source: transformers 5.23, models/qwen3_next/modeling_qwen3_next.py and configuration_qwen3_next.py (defaults, `layer_types`);
vLLM 0.33, models/qwen3_next_mtp.py (one MTP layer unless the config says how many).
"""

from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch import qwen2_moe
from archcalc.arch._alternating import ratio
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._mtp import apart
from archcalc.arch._schema import STATE_DTYPES, Count, Flag, Fraction, Layers, Size, StateDtype, divided, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.linear import GatedDeltaNet
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer

LINEAR, FULL = "linear_attention", "full_attention"


class Schema(qwen2_moe.Schema):
    fused: ClassVar[bool] = True
    inert_keys: ClassVar[tuple[str, ...]] = ("attn_output_gate", "output_gate_type")

    num_hidden_layers: Layers = 48
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 256
    attention_bias: Flag = False
    partial_rotary_factor: Fraction = 0.25
    full_attention_interval: Size = 4
    linear_conv_kernel_dim: Size = 4
    linear_key_head_dim: Size = 128
    linear_value_head_dim: Size = 128
    linear_num_key_heads: Size = 16
    linear_num_value_heads: Size = 32
    moe_intermediate_size: Size = 512
    shared_expert_intermediate_size: Count = 512
    num_experts_per_tok: Size = 10
    num_experts: Count = Field(512, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    mtp_layers: Count = Field(1, validation_alias=AliasChoices("mtp_num_hidden_layers", "num_nextn_predict_layers"))
    mtp_use_dedicated_embeddings: Flag = False
    mamba_ssm_dtype: StateDtype | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-1p", joined=True)

    def kinds(self) -> list[str]:
        if self.layer_types is not None:
            return self.layer_types
        return [LINEAR if (i + 1) % self.full_attention_interval else FULL for i in range(self.num_hidden_layers)]

    def layer(self, kind: str, sparse: bool) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        if kind == LINEAR:
            keys, values = self.linear_num_key_heads, self.linear_num_value_heads
            divided(values, keys, "linear_num_value_heads", "linear_num_key_heads")
            key_dim, value_dim = self.linear_key_head_dim, self.linear_value_head_dim
            asked = STATE_DTYPES[self.mamba_ssm_dtype]
            delta = GatedDeltaNet(h, keys, values, key_dim, value_dim, self.linear_conv_kernel_dim, self.fused, asked)
            return make_layer(delta, self.ffn(sparse), norms, mixer_name="linear_attn")
        if kind != FULL:
            raise UnsupportedError(f'layer_types holds "{kind}": only "{LINEAR}" and "{FULL}" are known here')
        heads, kv_heads, head_dim = self.num_attention_heads, self.kv_heads, self.head_size
        attention = GroupedQueryAttention(h, heads, kv_heads, head_dim, bias, bias, qk_norm="head", gated=True)
        return make_layer(attention, self.ffn(sparse), norms)

    def stored_mtp_layers(self) -> int:
        return self.mtp_layers

    def more(self) -> dict[str, Any]:
        kinds, sharing = self.kinds(), head_sharing(self.num_attention_heads, self.kv_heads)
        both = LINEAR in kinds and FULL in kinds
        values, keys = self.linear_num_value_heads, self.linear_num_key_heads
        return {
            "attention": f"Gated DeltaNet + {sharing} ({ratio(kinds)})" if both else sharing if FULL in kinds else "Gated DeltaNet",
            "position": rope_label(self.model_extra or {}, self.partial_rotary_factor),
            "more": (
                ("linear heads", f"{values} x {self.linear_value_head_dim} value, {keys} x {self.linear_key_head_dim} key"),
                ("convolution", f"{self.linear_conv_kernel_dim} tokens"),
                ("output gate", "on the full attention"),
                ("QK-norm", "RMSNorm per head"),
            ),
        }

    def architecture(self, prefix: str) -> Architecture:
        h, n = self.hidden_size, self.num_hidden_layers
        pairs = list(zip(per_layer(self.kinds(), n, "layer_types"), map(self.sparse, range(n)), strict=True))
        built = {pair: self.layer(*pair) for pair in set(pairs)}
        behind = [self.layer(FULL, self.sparse(i)) for i in range(self.stored_mtp_layers())]
        stacks, groups = apart(behind, h, self.vocab_size if self.mtp_use_dedicated_embeddings else 0)
        return decoder(
            [built[pair] for pair in pairs], self.facts(moe=self.moe(), **self.more()), computes=self.computes(), prefix=prefix,
            final_norm=[rms_norm("norm", h)], mtp=stacks, mtp_groups=groups,
        )  # fmt: skip
