"""IQuest Q1: windows in three of four layers, a learned key that takes attention away, norms behind attention, experts from layer 1 on.

Source: SGLang 0.5.23, srt/models/iquest_q1.py (`IQuestQ1Attention`, `IQuestQ1DecoderLayer`, `IQuestQ1MoEBlock`), iquest_q1_mtp.py and
srt/configs/iquest_q1.py (defaults, `layer_types`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.arch._decoder import group
from archcalc.arch._plain import WindowedSchema, rotary_flags
from archcalc.arch._schema import Count, Few, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Shard, Tensor, stack

FULL, SLIDING = "full_attention", "sliding_attention"


class Schema(WindowedSchema):
    inert_keys = (
        "rotary_dim", "moe_router_dtype", "first_layer_attn_out_scale", "first_layer_ffn_out_scale", "attn_out_scale",
        "ffn_out_scale", "softmax_scale", "enable_lm_head_fp32", "fp32_residual_connection",
    )  # fmt: skip
    norms = ("attention_norm", "attn_out_norm", "feed_forward_norm")
    norm_label = "RMSNorm (pre, and behind attention)"
    qk_norm = "head"

    vocab_size: Size = 160000
    hidden_size: Size = 3072
    dense_intermediate_size: Size = 12288
    intermediate_size: Size = 1536
    num_hidden_layers: Layers = 88
    num_attention_heads: Size = 48
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 524288
    attention_bias: Flag = False
    no_rope_layers: list[Count] | None = None
    sliding_window: Tokens | None = 4096
    use_hybrid_layers: Flag = True
    use_sliding_window: Flag = True
    first_layers_types: tuple[str, ...] = (FULL,)
    hybrid_layers_types_block: tuple[str, ...] = (FULL, SLIDING, SLIDING, SLIDING)
    num_hybrid_layers_block: Few = 21
    last_layers_types: tuple[str, ...] = (FULL, FULL, FULL)
    mlp_only_layers: tuple[Count, ...] | None = (0,)
    num_experts: Size = 256
    num_experts_per_tok: Size = 8
    enable_sink_attention: Flag = True
    use_over_encoding: Flag = False
    num_mtp_layers: Few = 0

    @property
    def ffn_size(self) -> int:
        return self.dense_intermediate_size

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def kinds(self) -> list[str]:
        if not (self.use_hybrid_layers and self.use_sliding_window):
            return [FULL] * self.num_hidden_layers
        middle = self.hybrid_layers_types_block * self.num_hybrid_layers_block
        return [*self.first_layers_types, *middle, *self.last_layers_types]

    def rotary_layers(self) -> list[bool]:
        """`no_rope_layers` lists those without positions."""
        bare = set(self.no_rope_layers or ())
        return rotary_flags([int(i not in bare) for i in range(self.num_hidden_layers)], 1, self.num_hidden_layers)

    def sparse(self) -> Sequence[bool]:
        dense = set(self.mlp_only_layers or ())
        return [i not in dense for i in range(self.num_hidden_layers)]

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            router="router", stored=(),
        )  # fmt: skip

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.enable_sink_attention:
            yield Tensor("self_attn.sink_k", (self.kv_heads, self.head_size), "attention", Shard(0, self.kv_heads))

    def decoder_options(self) -> dict[str, Any]:
        if self.use_over_encoding:
            raise UnsupportedError("use_over_encoding is true: tables of n-grams are not known for IQuest Q1")
        h = self.hidden_size
        told: dict[str, Any] = {"extra": [rms_norm("layers.0.ffn_out_norm", h)]}
        if not self.num_mtp_layers:
            return told
        layer = self.layer(None, False, 0)
        layer = layer._replace(tensors=(*layer.tensors, rms_norm("ffn_out_norm", h)))
        outside = (*(rms_norm(name, h) for name in ("enorm", "hnorm", "final_layernorm")), *linear("eh_proj", h, 2 * h, "other"))
        mtp = [stack("mtp.mtp_model_layer", "mtp", [layer] * self.num_mtp_layers)]
        return {**told, "mtp": mtp, "mtp_groups": [group("mtp", prefixed("mtp", outside))]}
