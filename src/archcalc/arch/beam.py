"""Beam: gated attention, without positions where it sees everything; norms around each block; dense layers, then experts.

Source: transformers 5.23, models/beam/modeling_beam.py and configuration_beam.py (defaults).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archcalc.arch._alternating import FULL, SLIDING, sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Shard, Tensor


class Schema(WindowedSchema):
    whole_heads = False
    norms = (
        "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
    )  # fmt: skip
    norm_label = "RMSNorm (pre + post)"

    vocab_size: Size = 151936
    hidden_size: Size = 5120
    intermediate_size: Size = 20480
    num_hidden_layers: Layers = 52
    num_attention_heads: Size = 48
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    max_position_embeddings: Tokens = 8192
    attention_bias: Flag = False
    sliding_window: Tokens | None = 512
    moe_intermediate_size: Size = 2560
    num_experts_per_tok: Size = 8
    num_experts: Size = 256
    mlp_layer_types: list[str] | None = None
    final_logit_softcapping: float | None = 30.0

    def computes(self) -> Computes:
        return (
            super()
            .computes()
            ._replace(
                capped_logits=bool(self.final_logit_softcapping),
                norm="rms-fp32",
                tables="fp32",
                routing="grouped",
                widened=True,
                capped_in="fp32",
            )
        )

    def kinds(self) -> list[str]:
        if self.layer_types is not None:
            return self.layer_types
        last = self.num_hidden_layers - 1
        return [SLIDING if (i + 1) % 6 and i < last else FULL for i in range(last + 1)]

    def rotary_layers(self) -> list[bool]:
        """A kind of layer whose `rope_parameters` are null has no positions; by default those that see everything."""
        ropes = (self.model_extra or {}).get("rope_parameters")
        given = ropes if isinstance(ropes, Mapping) else {SLIDING: {}, FULL: None}
        return [given.get(kind) is not None for kind in self.kinds()]

    def sparse(self) -> Sequence[bool]:
        return sparse_layers(self.mlp_layer_types, [i >= 3 for i in range(self.num_hidden_layers)])

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, gate = self.attention_bias, self.num_attention_heads * self.head_dim
        return self.gqa(
            bias=bias, output_bias=bias, window=window, qk_norm="head", rope=not variant, gate=gate, gate_name="gate_proj"
        )

    def extra(self, variant: int) -> Iterable[Tensor]:
        heads = self.num_attention_heads
        yield Tensor("self_attn.gate_bias", (heads,), "attention", Shard(0, heads), acts="adds")

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        cap = self.final_logit_softcapping
        facts = [("output gate", "one a channel")]
        return {**super().more(), "more": (*facts, *([("soft-capping", f"logits {cap:g}")] if cap else []))}
