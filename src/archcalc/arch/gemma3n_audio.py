"""The Universal Speech Model encoder of Gemma 3n: two convolutions, then conformer layers that see a few frames.

Source: transformers 5.23, models/gemma3n/modeling_gemma3n.py (`Gemma3nAudioEncoder`) and configuration_gemma3n.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import heard
from archcalc.arch._schema import Count, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.audio import conformer_layer, subsampling
from archcalc.model import Encoder, Group, Stack, stack

Pair = tuple[Size, Size]


class Schema(TowerSchema):
    inert_keys = ("vocab_offset", "gradient_clipping", "conf_attention_logit_cap", "conf_reduction_factor", "conf_residual_weight")

    vocab_size: Size = 128
    input_feat_size: Size = 128
    hidden_size: Size = 1536
    conf_attention_chunk_size: Size = 12
    conf_attention_context_left: Count = 13
    conf_attention_context_right: Count = 0
    conf_num_attention_heads: Size = 8
    conf_num_hidden_layers: Layers = 12
    conf_conv_kernel_size: Size = 5
    sscp_conv_channel_size: Pair = (128, 32)
    sscp_conv_kernel_size: tuple[Pair, Pair] = ((3, 3), (3, 3))
    sscp_conv_stride_size: tuple[Pair, Pair] = ((2, 2), (2, 2))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads = self.hidden_size, self.conf_num_attention_heads
        divided(h, heads, "hidden_size", "conf_num_attention_heads")
        convolutions = subsampling(
            self.input_feat_size, h, self.sscp_conv_channel_size, self.sscp_conv_kernel_size, self.sscp_conv_stride_size
        )
        # A chunk of frames sees itself and the frames beside it; the context to the left counts the frame itself.
        context = self.conf_attention_chunk_size + max(0, self.conf_attention_context_left - 1) + self.conf_attention_context_right
        layer = conformer_layer(h, heads, self.conf_conv_kernel_size, context)
        layers = stack(join(prefix, "conformer"), "audio", [layer] * self.conf_num_hidden_layers)
        return [group("audio", prefixed(join(prefix, "subsample_conv_projection"), convolutions))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound, four rows a token."""
        return heard(self, 750, 188, 4 * self.input_feat_size, "vLLM 0.33, models/gemma3n_mm.py `TOKENS_PER_AUDIO`, for 30 seconds")
