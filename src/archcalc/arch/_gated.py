"""Decoders of gated attention whose layers differ in heads and windows, dense at first and with experts after: Laguna and Step 3.

Source: transformers 5.23, models/laguna/modeling_laguna.py and models/step3p7/modeling_step3p7.py.
"""

from abc import abstractmethod

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._decoder import DecoderSchema, attention_pattern
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Facts, Layer, Moe, Position, Tensor


class GatedSchema(DecoderSchema):
    """`gating` is true or "per-head" for one number a head, anything else for one a channel."""

    whole_heads = False

    head_dim: Size = 128
    attention_bias: Flag = False
    gating: bool | str = True
    sliding_window: Size | None = None
    layer_types: list[str] | None = None
    mlp_layer_types: list[str] | None = None
    moe_intermediate_size: Size = 512
    num_experts_per_tok: Size = 8

    def kinds(self) -> list[str]:
        return [FULL] * self.num_hidden_layers if self.layer_types is None else self.layer_types

    @abstractmethod
    def sparse(self) -> list[bool]:
        """Which layers have experts."""

    @abstractmethod
    def heads(self) -> list[int]:
        """Query heads of each layer."""

    @abstractmethod
    def dense(self) -> Block:
        """The FFN of a dense layer."""

    @abstractmethod
    def experts(self) -> MixtureOfExperts:
        """The experts of a sparse layer."""

    def layer(self, window: int | None, heads: int, sparse: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        h, dim, bias, kv_heads = self.hidden_size, self.head_dim, self.attention_bias, self.num_key_value_heads or heads
        if heads % kv_heads:
            raise ConfigError(
                f"{heads} heads are not a multiple of num_key_value_heads ({kv_heads})", "correct one", "num_key_value_heads"
            )
        gate = heads if self.gating is True or self.gating == "per-head" else heads * dim
        attention = GroupedQueryAttention(h, heads, kv_heads, dim, bias, bias, window, qk_norm="head", gate=gate)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(attention, self.experts() if sparse else self.dense(), norms, extra=extra)

    def layers(self) -> list[Layer]:
        windows = attention_pattern(self.kinds(), self.num_hidden_layers, self.sliding_window)
        order = list(zip(windows, self.heads(), self.sparse(), strict=True))
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        return [built[what] for what in order]

    def gated_facts(self, position: Position) -> Facts:
        kinds, heads, sparse = self.kinds(), self.heads(), sum(self.sparse())
        e, names = self.experts(), {FULL: "full", SLIDING: "sliding"}
        by_kind = dict(zip(kinds, heads, strict=True))
        more = (
            [("query heads", ", ".join(f"{n} in {names[kind]} layers" for kind, n in by_kind.items()))]
            if len(set(heads)) > 1
            else []
        )
        more += [("output gate", "one a head" if self.gating is True or self.gating == "per-head" else "one a channel")]
        more += [("QK-norm", "RMSNorm per head")]
        return self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            position=position,
            sliding_window=self.sliding_window if SLIDING in kinds else None,
            moe=Moe(e.experts, e.active, e.shared, sparse, e.intermediate) if sparse else None,
            more=tuple(more),
        )
