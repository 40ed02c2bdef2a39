"""SmolLM3: Llama's layer, with rotary positions left out of every fourth.

Source: transformers 5.23, models/smollm3/modeling_smollm3.py and configuration_smollm3.py (defaults, `no_rope_layers`,
`layer_types`).
"""

from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder, every
from archcalc.arch._plain import rotary_flags
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer


class Schema(DecoderSchema):
    whole_heads = False
    vocab_size: Size = 128256
    hidden_size: Size = 2048
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    max_position_embeddings: Tokens = 32768
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    mlp_bias: Flag = False
    use_sliding_window: Flag = False
    sliding_window: Size | None = None
    max_window_layers: Count | None = None
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Size = 4
    layer_types: list[str] | None = None

    def layer(self, window: int | None, rope: bool) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias, window=window, rope=rope
        )
        return make_layer(
            attention,
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, bias=self.mlp_bias),
            (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)),
        )

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        ropes = rotary_flags(self.no_rope_layers, self.no_rope_layer_interval, n)
        slides = self.use_sliding_window and self.sliding_window is not None
        default = ["sliding_attention" if slides and not rope else "full_attention" for rope in ropes]
        windows = attention_pattern(self.layer_types or default, n, self.sliding_window)
        kinds = {kind: self.layer(*kind) for kind in set(zip(windows, ropes, strict=True))}
        rope = rope_label(self.model_extra or {})
        facts = self.facts(
            position=rope.also(f", NoPE {every(i for i, r in enumerate(ropes) if not r)}") if not all(ropes) else rope,
            sliding_window=self.sliding_window if slides else None,
        )
        layers = [kinds[kind] for kind in zip(windows, ropes, strict=True)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])
