"""The keys of Nemotron-H and the layers that its patterns name: Mamba-2, attention, a plain FFN or experts.

Source: transformers 5.23, models/nemotron_h/modeling_nemotron_h.py and configuration_nemotron_h.py (defaults, pattern letters).
"""

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import FULL, LINEAR, known_kinds
from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import STATE_DTYPES, Count, Flag, Layers, Size, StateDtype, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import PlainExperts
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.mamba import Mamba2
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Layer, Tensor

MOE, MLP = "moe", "mlp"
_LETTERS = {"M": LINEAR, "E": MOE, "*": FULL, "-": MLP}


class PatternSchema(DecoderSchema):
    """One kind of block a layer, under one norm."""

    core_keys: ClassVar[tuple[str, ...]] = ("hidden_size", "vocab_size", "num_attention_heads")
    inert_keys = (
        "attention_bias", "attention_head_dim", "chunk_size", "expand", "mamba_expand", "mamba_chunk_size", "mamba_hidden_act",
        "mamba_proj_bias", "moe_shared_expert_overlap", "num_logits_to_keep", "rescale_prenorm_residual", "residual_in_fp32",
        "sliding_window", "time_step_floor", "time_step_limit", "time_step_max", "time_step_min", "time_step_rank",
        "mamba_dt_min", "mamba_dt_max", "mamba_dt_limit", "mamba_dt_rank",
    )  # fmt: skip

    vocab_size: Size = 131072
    hidden_size: Size = 4096
    intermediate_size: Size = 21504
    # The number of layers is the pattern's.
    num_hidden_layers: Layers | None = None  # type: ignore[assignment]
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    head_dim: Size = 128
    hidden_act: str = Field("relu2", validation_alias="mlp_hidden_act")
    max_position_embeddings: Tokens = 4096
    layers_block_type: list[str] | None = Field(None, validation_alias=AliasChoices("layer_types", "layers_block_type"))
    hybrid_override_pattern: str | None = None
    mlp_bias: Flag = False
    use_bias: Flag = False
    mamba_ssm_cache_dtype: StateDtype = "float32"
    ssm_state_size: Size = 128
    mamba_num_heads: Size = 128
    mamba_head_dim: Size = 64
    n_groups: Size = Field(8, validation_alias=AliasChoices("mamba_n_groups", "n_groups"))
    conv_kernel: Size = Field(4, validation_alias=AliasChoices("mamba_d_conv", "conv_kernel"))
    use_conv_bias: Flag = Field(True, validation_alias=AliasChoices("mamba_conv_bias", "use_conv_bias"))
    n_routed_experts: Size = Field(8, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    n_shared_experts: Count = 1
    moe_intermediate_size: Size = 7688
    moe_shared_expert_intermediate_size: Count = 7688
    moe_latent_size: Size | None = None
    num_experts_per_tok: Size = 2
    num_nextn_predict_layers: Count = 0
    mtp_layers_block_type: list[str] | None = None
    mtp_hybrid_override_pattern: str | None = None

    def kinds(self) -> list[str]:
        if self.layers_block_type is not None:
            return known_kinds(self.layers_block_type, "layers_block_type", *_LETTERS.values())
        if self.hybrid_override_pattern is not None:
            return spelled(self.hybrid_override_pattern, "hybrid_override_pattern")
        return [LINEAR, MOE, FULL, MLP]

    def mtp_kinds(self) -> list[str]:
        """Of one step; a pattern decides unless the list says other than the default."""
        default, kinds = [FULL, MOE], self.mtp_layers_block_type
        known = default if kinds is None else known_kinds(kinds, "mtp_layers_block_type", *_LETTERS.values())
        if known == default and self.mtp_hybrid_override_pattern is not None:
            return spelled(self.mtp_hybrid_override_pattern, "mtp_hybrid_override_pattern")
        return known

    def layer(self, kind: str, extra: tuple[Tensor, ...] = ()) -> Layer:
        h, norms = self.hidden_size, (rms_norm("norm", self.hidden_size),)
        if kind == LINEAR:
            mamba = Mamba2(
                h, self.mamba_num_heads, self.mamba_head_dim, self.ssm_state_size, self.n_groups, self.conv_kernel, self.use_bias,
                self.use_bias, self.use_conv_bias, asked=STATE_DTYPES[self.mamba_ssm_cache_dtype],
            )  # fmt: skip
            return make_layer(mamba, None, norms, mixer_name="mixer", extra=extra)
        if kind == FULL:
            attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_dim, rope=False)
            return make_layer(attention, None, norms, mixer_name="mixer", extra=extra)
        if kind == MLP:
            dense = FeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias, ("up_proj", "down_proj"))
            return make_layer(None, dense, norms, ffn_name="mixer", extra=extra)
        shared = self.moe_shared_expert_intermediate_size or self.intermediate_size
        experts = PlainExperts(
            h, self.moe_intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared,
            self.moe_latent_size, self.mlp_bias,
        )  # fmt: skip
        return make_layer(None, experts, norms, ffn_name="mixer", extra=extra)


def spelled(pattern: str, key: str) -> list[str]:
    """The layers that a pattern of letters spells."""
    for letter in pattern:
        if letter not in _LETTERS:
            raise ConfigError(f"{key} holds {letter!r}", f"one of {' '.join(_LETTERS)}", key)
    return [_LETTERS[letter] for letter in pattern]
