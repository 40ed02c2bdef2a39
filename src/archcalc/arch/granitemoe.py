"""Granite 3 with experts.

Source: transformers 5.23, models/granitemoe/modeling_granitemoe.py and configuration_granitemoe.py (defaults),
conversion_mapping.py ("granitemoe": checkpoints hold fused experts as `input_linear` and `output_linear`).
"""

from typing import ClassVar

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._granite import RENAMES, ffn
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe


class Schema(DecoderSchema):
    sinks: ClassVar[bool] = False
    whole_heads = False

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    num_local_experts: Count = 8
    num_experts_per_tok: Size = 2

    def computes(self) -> Computes:
        return super().computes()._replace(routing="chosen")

    def shared(self) -> int:
        """The width of the FFN that every token visits beside the experts."""
        return 0

    def windows(self) -> list[int | None]:
        return [None] * self.num_hidden_layers

    def attention(self, window: int | None = None) -> GroupedQueryAttention:
        bias = self.attention_bias
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias, window, sinks=self.sinks
        )

    def ffn(self) -> Block:
        return ffn(
            self.hidden_size,
            self.intermediate_size,
            self.num_local_experts,
            self.num_experts_per_tok,
            self.shared(),
            self.hidden_act,
        )

    def layer(self, window: int | None) -> Layer:
        h = self.hidden_size
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(self.attention(window), self.ffn(), norms, ffn_name="")

    def moe(self) -> Moe | None:
        return Moe(
            self.num_local_experts, self.num_experts_per_tok, int(self.shared() > 0), self.num_hidden_layers, self.intermediate_size
        )

    def architecture(self, prefix: str) -> Architecture:
        windows = self.windows()
        built = {window: self.layer(window) for window in set(windows)}
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        facts = self.facts(
            attention=mixed_label([FULL if window is None else SLIDING for window in windows], sharing),
            sliding_window=next((window for window in windows if window), None),
            moe=self.moe(),
            more=(("attention sinks", "one learned logit a head"),) if self.sinks else (),
        )
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(
            [built[window] for window in windows],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
            renames=RENAMES,
        )


class Granitemoeshared(Schema):
    """Granite with experts and a gated FFN beside them for every token.
    Source: transformers 5.23, models/granitemoeshared/modeling_granitemoeshared.py and configuration_granitemoeshared.py (defaults).
    """

    shared_intermediate_size: Count = 0

    def shared(self) -> int:
        return self.shared_intermediate_size
