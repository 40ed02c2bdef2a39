"""gpt-oss: alternating windows, attention sinks and biases, experts with biases, MXFP4.

Source: transformers 5.23, models/gpt_oss/modeling_gpt_oss.py and configuration_gpt_oss.py (defaults, `layer_types`, YaRN).
"""

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import SLIDING
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder, group
from archcalc.arch._heads import labels_of, task_of, unrooted
from archcalc.arch._schema import Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, both_ways


class Schema(DecoderSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("experts_per_token",)
    fp32_modules = ("post_attention_layernorm", "input_layernorm", "norm")
    vocab_size: Size = 201088
    hidden_size: Size = 2880
    intermediate_size: Size = 2880
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 64
    max_position_embeddings: Tokens = 131072
    sliding_window: Size | None = 128
    layer_types: list[str] | None = None
    attention_bias: Flag = True
    num_experts_per_tok: Size = Field(4, validation_alias=AliasChoices("num_experts_per_tok", "experts_per_token"))
    num_local_experts: Size = Field(128, validation_alias=AliasChoices("num_local_experts", "num_experts"))

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", softmax="own", sinks="column-max", routing="chosen")

    def layer(self, window: int | None) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias, window=window, sinks=True
        )
        experts = MixtureOfExperts(
            h, self.intermediate_size, self.num_local_experts, self.num_experts_per_tok, self.hidden_act,
            router="router", router_bias=True, expert_bias=True, transposed=True, stored=(), clamped=True, linear=False,
        )  # fmt: skip
        return make_layer(attention, experts, (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)))

    def kinds(self) -> list[str]:
        """`layer_types`, or a window on every other layer, the first included."""
        return self.layer_types or ["full_attention" if i % 2 else "sliding_attention" for i in range(self.num_hidden_layers)]

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        windows = attention_pattern(self.kinds(), n, self.sliding_window)
        by_window = {window: self.layer(window) for window in set(windows)}
        extra = self.model_extra or {}
        scaled = extra if extra.get("rope_scaling") or extra.get("rope_parameters") else {"rope_scaling": {"rope_type": "yarn"}}
        facts = self.facts(
            position=rope_label(scaled),
            sliding_window=self.sliding_window,
            moe=Moe(self.num_local_experts, self.num_experts_per_tok, 0, n, self.intermediate_size),
            more=(("attention sinks", "one learned logit a head"), ("attention bias", "yes" if self.attention_bias else "no")),
        )
        layers = [by_window[window] for window in windows]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])


LABELS = 33


class OpenaiPrivacyFilter(Schema):
    """OpenAI's privacy filter: gpt-oss's layers with a window to both sides, and a label for each token.
    Source: transformers 5.23, models/openai_privacy_filter/modeling_openai_privacy_filter.py
    (`OpenAIPrivacyFilterForTokenClassification`) and configuration_openai_privacy_filter.py (defaults)."""

    inert_keys = ()
    own_heads = True

    architectures: list[str] | None = None
    vocab_size: Size = 200064
    hidden_size: Size = 640
    intermediate_size: Size = 640
    num_hidden_layers: Layers = 8
    num_attention_heads: Size = 14
    num_key_value_heads: Size | None = 2

    def kinds(self) -> list[str]:
        return [SLIDING] * self.num_hidden_layers

    def layer(self, window: int | None) -> Layer:
        return both_ways(super().layer(window))

    def architecture(self, prefix: str) -> Architecture:
        a, labels = super().architecture(prefix), labels_of(self.model_extra or {}, LABELS)
        facts = a.facts._replace(attention=f"{a.facts.attention}, bidirectional", tied_embeddings=False)
        body = tuple(g for g in a.groups if g.part != "head")
        if task_of(self.architectures) == "bare":
            facts = facts._replace(more=(*facts.more, ("head", "none")))
            return unrooted(a._replace(groups=body, facts=facts))
        head = group("head", linear("score", labels, self.hidden_size, "head", bias=True))
        facts = facts._replace(more=(*facts.more, ("head", f"{labels} labels")))
        return a._replace(groups=(*body, head), facts=facts)
