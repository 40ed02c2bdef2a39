"""Moshi's text model: one embedding row more than the vocabulary, a gated FFN of half the stated width, a window in each layer.

Source: transformers 5.23, models/moshi/modeling_moshi.py (`MoshiForCausalLM`) and configuration_moshi.py (defaults).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Layers, Size, Tokens, divided
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(PlainSchema):
    # Parts of the whole model, which the text model alone does not have.
    inert_keys: ClassVar[tuple[str, ...]] = (
        "audio_encoder", "audio_encoder_config", "depth_decoder", "depth_decoder_config", "audio_vocab_size", "num_codebooks",
        "sampling_rate",
    )  # fmt: skip

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = named(22528, "ffn_dim")
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 3000
    sliding_window: Tokens | None = 3000
    architectures: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-cast-gain")

    @property
    def ffn_size(self) -> int:
        return divided(self.intermediate_size, 2, "ffn_dim", "2")

    def windows(self) -> Sequence[int | None]:
        return [self.sliding_window] * self.num_hidden_layers

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(window=window, names=("q_proj.linear", "k_proj.linear", "v_proj.linear", "o_proj.linear"))

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, fused="fc1", names=("", "", "fc2"))

    def decoder_options(self) -> dict[str, Any]:
        return {"embed_rows": self.vocab_size + 1, "head_rows": self.vocab_size}

    def more(self) -> dict[str, Any]:
        # The reference ties no head, whatever the config says.
        return {"tied_embeddings": False}

    def architecture(self, prefix: str) -> Architecture:
        if any(c.endswith("ConditionalGeneration") for c in self.architectures or ()):
            raise UnsupportedError("MoshiForConditionalGeneration is not modelled: only its text model, MoshiForCausalLM, is")
        return super().architecture(prefix)
