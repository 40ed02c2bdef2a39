"""OLMo 2: norms behind attention and FFN, inside the residual; QK-norm over all channels.

Source: transformers 5.23, models/olmo2/modeling_olmo2.py and configuration_olmo2.py (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer


class Schema(DecoderSchema):
    whole_heads = False
    vocab_size: Size = 50304
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", tables="fp32")

    def layer(self, window: int | None = None) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias, window=window, qk_norm="full"
        )
        return make_layer(
            attention,
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            (rms_norm("post_attention_layernorm", h), rms_norm("post_feedforward_layernorm", h)),
        )

    def architecture(self, prefix: str) -> Architecture:
        facts = self.facts(norm="RMSNorm (post, inside the residual)", more=(("QK-norm", "RMSNorm over all heads"),))
        layers = [self.layer()] * self.num_hidden_layers
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])


class Olmo3(Schema):
    """OLMo 3: OLMo 2 with three sliding-window layers to one that sees all.
    Source: transformers 5.23, models/olmo3/modeling_olmo3.py and configuration_olmo3.py (defaults, `layer_types`)."""

    sliding_window: Size | None = 4096
    layer_types: list[str] | None = None

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        default = ["full_attention" if (i + 1) % 4 == 0 else "sliding_attention" for i in range(n)]
        windows = attention_pattern(self.layer_types or default, n, self.sliding_window)
        by_window = {window: self.layer(window) for window in set(windows)}
        facts = self.facts(
            norm="RMSNorm (post, inside the residual)",
            sliding_window=self.sliding_window,
            more=(("QK-norm", "RMSNorm over all heads"),),
        )
        layers = [by_window[window] for window in windows]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])
