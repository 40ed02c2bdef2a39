"""Canary: Parakeet's encoder and a decoder with LayerNorms, which also attends to what the encoder made.

Source: transformers 5.24, models/canary/modeling_canary.py (`CanaryForConditionalGeneration`; positions are sines, not stored) and
configuration_canary.py (defaults, those of the encoder among them).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.cohere_asr import Schema as Cohere
from archcalc.arch.parakeet_encoder import Schema as Encoder
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError
from archcalc.model import SINUSOIDAL, Architecture


class CanaryDecoder(Cohere):
    """The decoder of Canary.
    Source: transformers 5.24, models/canary/modeling_canary.py (`CanaryDecoder`) and configuration_canary.py (defaults)."""

    prefix = "model.decoder"
    core_keys = ()

    def architecture(self, prefix: str) -> Architecture:
        facts = self.facts(
            gated=False, attention=f"{self.facts().attention} + cross-attention", norm="LayerNorm (pre)", position=SINUSOIDAL
        )
        return decoder(
            [self.layer()] * self.num_hidden_layers, facts, computes=self.computes(), crosses=True, prefix=prefix,
            final_norm=layer_norm("norm", self.hidden_size), head="proj_out", head_bias=True,
            extra=layer_norm("embedding_layernorm", self.hidden_size),
        )  # fmt: skip


class Schema(ConfigSchema):
    inert_keys = ("decoder_start_token_id", "vocab_size")

    encoder_config: Annotated[
        Encoder, nested("parakeet_encoder", fixed=True, absent={"num_hidden_layers": 32, "num_mel_bins": 128}), DEFAULT
    ]
    decoder_config: Annotated[CanaryDecoder, nested("canary_decoder", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        encoder, hidden = self.encoder_config, self.decoder_config.hidden_size
        if encoder.hidden_size != hidden:
            raise ConfigError(
                f"encoder_config.hidden_size is {encoder.hidden_size}, and the decoder's {hidden}: it reads what the encoder made as it is",
                "correct one of the two", "encoder_config.hidden_size",
            )  # fmt: skip
        text = self.decoder_config.model_copy(update={"tie_word_embeddings": self.tie_word_embeddings})
        a = text.architecture(f"{prefix}.decoder")
        groups, stacks = encoder.tower(f"{prefix}.encoder")
        more = (("encoder", f"{encoder.num_hidden_layers} layers of {encoder.hidden_size}"),)
        return a._replace(groups=(*a.groups, *groups), stacks=(*a.stacks, *stacks), facts=a.facts._replace(more=more))
