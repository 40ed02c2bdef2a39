"""RecurrentGemma (Griffin): two layers of a gated linear recurrence to one of attention over a window.

Source: transformers 5.23, models/recurrent_gemma/modeling_recurrent_gemma.py and configuration_recurrent_gemma.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import LINEAR, SLIDING, hybrid_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.recurrent import GatedLinearRecurrence
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer


class Schema(DecoderSchema):
    inert_keys = ("embeddings_scale_by_sqrt_dim",)
    whole_heads = False

    num_hidden_layers: Layers = 26
    vocab_size: Size = 256000
    hidden_size: Size = 2560
    intermediate_size: Size = 3 * 2560
    num_attention_heads: Size = 10
    hidden_act: str = Field("gelu_pytorch_tanh", validation_alias="hidden_activation")
    # Nothing limits how far it runs.
    max_position_embeddings: Tokens | None = None  # type: ignore[assignment]
    tie_word_embeddings: Flag = True
    lru_width: Size | None = None
    attention_window_size: Tokens = Field(2048, validation_alias=AliasChoices("sliding_window", "attention_window_size"))
    conv1d_width: Size = 4
    logits_soft_cap: float | None = 30.0
    block_types: list[str] = ["recurrent", "recurrent", "attention"]
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(capped_logits=bool(self.logits_soft_cap), norm="rms-1p", joined=True)

    def layer(self, kind: str) -> Layer:
        h, heads, lru = self.hidden_size, self.num_attention_heads, self.lru_width or self.hidden_size
        ffn = GatedFeedForward(h, self.intermediate_size // 2, self.hidden_act, bias=True)
        norms = (rms_norm("temporal_pre_norm", h), rms_norm("channel_pre_norm", h))
        if kind == LINEAR:
            divided(lru, heads, "lru_width", "num_attention_heads")
            recurrence = GatedLinearRecurrence(h, lru, heads, self.conv1d_width)
            return make_layer(recurrence, ffn, norms, mixer_name="temporal_block", ffn_name="mlp_block")
        attention = GroupedQueryAttention(
            h, heads, self.kv_heads, self.head_size, self.attention_bias, True, self.attention_window_size
        )
        return make_layer(attention, ffn, norms, mixer_name="temporal_block", ffn_name="mlp_block")

    def architecture(self, prefix: str) -> Architecture:
        names = {"recurrent": LINEAR, "attention": SLIDING}
        if unknown := set(self.block_types) - names.keys():
            raise UnsupportedError(f'block_types holds "{min(unknown)}": only {", ".join(names)} are known here')
        kinds = [names[self.block_types[i % len(self.block_types)]] for i in range(self.num_hidden_layers)]
        built = {kind: self.layer(kind) for kind in set(kinds)}
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        facts = self.facts(
            attention=hybrid_label(kinds, "RG-LRU", f"sliding {sharing}"),
            position=rope_label(self.model_extra or {}, 0.5),
            intermediate_size=self.intermediate_size // 2,
            sliding_window=self.attention_window_size if SLIDING in built else None,
            more=(
                ("recurrence", f"{self.lru_width or self.hidden_size} channels, convolution over {self.conv1d_width} tokens"),
                ("soft-capping", f"logits {self.logits_soft_cap:g}" if self.logits_soft_cap else "none"),
            ),
        )
        norm = [rms_norm("final_norm", self.hidden_size)]
        return decoder(
            [built[kind] for kind in kinds],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
        )
