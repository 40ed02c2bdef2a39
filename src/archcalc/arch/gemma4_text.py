"""Gemma 4, the text model: wider heads in full layers, per-layer embeddings, experts beside the FFN.

Source: transformers 5.23, models/gemma4/modeling_gemma4.py and configuration_gemma4.py (defaults).
"""

from archcalc.arch._alternating import SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._gemma4 import TextSchema
from archcalc.arch._schema import Count, Flag, Size, Tokens, rope_label
from archcalc.blocks import altup
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.together import Together
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer, Moe, Tensor

_ROPE = {"rope_type": "proportional", "partial_rotary_factor": 0.25}


class Schema(TextSchema):
    vocab_size_per_layer_input: Size = 262_144
    hidden_size_per_layer_input: Count | None = 256
    enable_moe_block: Flag = False
    num_experts: Size | None = None
    top_k_experts: Size | None = None
    moe_intermediate_size: Size | None = None

    def computes(self) -> Computes:
        return (
            super()
            .computes()
            ._replace(bare_values="bare-rms", capped_logits=bool(self.final_logit_softcapping), norm="rms-cast-gain")
        )

    def per_layer_width(self) -> int:
        return self.hidden_size_per_layer_input or 0

    def has_experts(self) -> bool:
        return self.enable_moe_block

    def experts(self) -> MixtureOfExperts:
        for key in ("num_experts", "moe_intermediate_size", "top_k_experts"):
            if getattr(self, key) is None:
                raise ConfigError(f"{key} is missing, and enable_moe_block is set", f'add "{key}" to the config', key)
        number, width, active = self.num_experts or 0, self.moe_intermediate_size or 0, self.top_k_experts or 0
        return MixtureOfExperts(self.hidden_size, width, number, active, self.hidden_act, 1, router="router.proj", stored=())

    def layer(self, window: int | None, shared: bool, dim: int, kv_heads: int) -> Layer:
        h, attention = self.hidden_size, self.attention(window, dim, kv_heads, shared)
        inner = self.intermediate_size * (2 if self.use_double_wide_mlp and shared else 1)
        extra = self.extra_tensors(attention, shared)
        if width := self.per_layer_width():
            extra += altup.per_layer_gate(h, width)
        ffn: Block = GatedFeedForward(h, inner, self.hidden_act)
        if not self.has_experts():
            return make_layer(attention, ffn, extra)
        experts = self.experts()
        extra += (rms_norm(f"{n}_feedforward_layernorm_{i}", h) for n, i in (("post", 1), ("post", 2), ("pre", 2)))
        extra += (Tensor("router.scale", (h,), "router"), Tensor("router.per_expert_scale", (experts.experts,), "router"))
        both = Together(
            (("mlp", GatedFeedForward(h, inner, self.hidden_act, role="shared_experts")), ("", experts)), experts.label()
        )
        return make_layer(attention, both, extra, ffn_name="")

    def architecture(self, prefix: str) -> Architecture:
        h, n, width, first = self.hidden_size, self.num_hidden_layers, self.per_layer_width(), self.first_shared()
        kinds, heads = self.kinds(), self.heads()
        order = [(window, i >= first, *heads[i]) for i, window in enumerate(self.windows())]
        layers = {what: self.layer(*what) for what in dict.fromkeys(order)}
        more = (
            ("full layers", f"{heads[-1][1]} KV heads of {heads[-1][0]}"),
            ("QK-norm", "RMSNorm per head, and on values without weights"),
            ("values", "the keys, before their norm, in full layers" if self.attention_k_eq_v else ""),
            ("per-layer embeddings", f"{self.vocab_size_per_layer_input} x {width} for each layer" if width else ""),
            ("shared KV", f"the last {n - first} layers" if first < n else ""),
            ("FFN", f"twice as wide in the last {n - first} layers" if self.use_double_wide_mlp and first < n else ""),
            ("soft-capping", f"logits {self.final_logit_softcapping:g}" if self.final_logit_softcapping else ""),
        )
        experts = self.experts() if self.has_experts() else None
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            norm="RMSNorm (pre + post)",
            position=rope_label({"rope_parameters": _ROPE, **(self.model_extra or {})}),
            sliding_window=order[kinds.index(SLIDING)][0] if SLIDING in kinds else None,
            moe=Moe(experts.experts, experts.active, 1, n, experts.intermediate) if experts else None,
            more=tuple((what, value) for what, value in more if value),
        )
        table = [altup.per_layer_table(self.vocab_size_per_layer_input, n, width)] if width else []
        return decoder(
            [layers[what] for what in order], facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)],
            extra_embedding=table, extra=altup.per_layer_inputs(h, n, width) if width else (),
        )  # fmt: skip


class Gemma4UnifiedText(Schema):
    """The text model of Gemma 4 Unified: Gemma 4's without per-layer embeddings and experts.
    Source: transformers 5.23, models/gemma4_unified/modeling_gemma4_unified.py and configuration_gemma4_unified.py (defaults)."""

    max_position_embeddings: Tokens = 262_144
    sliding_window: Tokens = 1024

    def per_layer_width(self) -> int:
        return 0

    def has_experts(self) -> bool:
        return False
