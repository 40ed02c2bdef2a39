"""Gear: Gemma 3's layers, some of which gate convolved values in place of attending.

Source: mlx-lm 0.32, mlx_lm/models/gear.py (`ConvKVGatedMixer`, `ModelArgs`).
"""

from pydantic import Field

from archcalc.arch import gemma3_text
from archcalc.arch._alternating import FULL, LINEAR, SLIDING, hybrid_label, known_kinds
from archcalc.arch._decoder import attention_pattern, decoder
from archcalc.arch._schema import Flag, Size, Tokens, per_layer
from archcalc.arch.gemma2 import NORMS
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.convolved import ConvolvedGate
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer

CONV = "conv_mixer"


class Schema(gemma3_text.Schema):
    core_keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "layer_types")

    sliding_window: Tokens = 512
    conv_tokens: Size = Field(3, validation_alias="conv_L_cache")
    use_bidirectional_attention: Flag = False

    def convolves(self) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        mixer = ConvolvedGate(h, self.num_attention_heads, self.kv_heads, self.head_size, self.conv_tokens, bias)
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        return make_layer(mixer, ffn, (rms_norm(norm, h) for norm in NORMS), mixer_name="local_mixer")

    def architecture(self, prefix: str) -> Architecture:
        if self.use_bidirectional_attention:
            raise UnsupportedError("use_bidirectional_attention is true: mlx-lm refuses it")
        n = self.num_hidden_layers
        kinds = known_kinds(per_layer(self.layer_types or [FULL] * n, n, "layer_types"), "layer_types", CONV, FULL, SLIDING)
        windows = attention_pattern([FULL if kind == CONV else kind for kind in kinds], n, self.window())
        built = {
            kind: self.convolves() if kind == CONV else self.layer(window) for kind, window in zip(kinds, windows, strict=True)
        }
        shared = head_sharing(self.num_attention_heads, self.kv_heads)
        facts = self.facts(
            attention=hybrid_label([LINEAR if kind == CONV else kind for kind in kinds], "gated convolution", shared),
            norm="RMSNorm (pre + post)", sliding_window=self.window() if SLIDING in kinds else None,
            more=(("QK-norm", "RMSNorm per head"), ("convolution", f"{self.conv_tokens} tokens")),
        )  # fmt: skip
        layers, norm = [built[kind] for kind in kinds], [rms_norm("norm", self.hidden_size)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm)
