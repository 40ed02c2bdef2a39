"""The audio tower of Fun-ASR-Nano: attention with a memory of the neighbouring frames, over stacked frames.

Source: transformers 5.23, models/fun_asr_nano/modeling_fun_asr_nano.py (`FunAsrNanoEncoder`) and configuration_fun_asr_nano.py
(defaults).
"""

from archcalc.arch._decoder import join
from archcalc.arch._schema import Count, Layers, Size, TowerSchema, divided
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Group, Layer, Stack, Tensor, stack


def sanm_layer(
    hidden: int, heads: int, width: int, activation: str, *, source: int = 0, kernel: int = 0, norm: bool = False
) -> Layer:
    """A pre-norm layer, whose input may be of another width, and whose values a convolution may carry over to neighbours."""
    head_dim = divided(hidden, heads, "hidden_size", "num_attention_heads")
    attention = GroupedQueryAttention(source or hidden, heads, heads, head_dim, True, True, output_width=hidden)
    norms = [*layer_norm("input_layernorm", source or hidden), *layer_norm("post_attention_layernorm", hidden)]
    if norm:
        norms += layer_norm("final_layernorm", hidden)
    memory = [Tensor("self_attn.fsmn.conv.weight", (hidden, 1, kernel), "attention")] if kernel else []
    return encoder_layer(attention, FeedForward(hidden, width, activation), norms, extra=memory)


class Schema(TowerSchema):
    num_mel_bins: Size = 80
    hidden_size: Size = 512
    num_attention_heads: Size = 4
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 70
    hidden_act: str = "relu"
    num_stacked_frames: Size = 7
    num_timestamp_prediction_layers: Count = 20
    fsmn_kernel_size: Size = 11

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        n, frame = self.num_hidden_layers, self.num_mel_bins * self.num_stacked_frames
        # The last layer of the transcription and the last of all norm their output.
        normed = (n - self.num_timestamp_prediction_layers - 1, n - 1)

        def layer(source: int, norm: bool) -> Layer:
            h, heads, width = self.hidden_size, self.num_attention_heads, self.intermediate_size
            return sanm_layer(h, heads, width, self.hidden_act, source=source, kernel=self.fsmn_kernel_size, norm=norm)

        keys = [(0 if i else frame, i in normed) for i in range(n)]
        built = {key: layer(*key) for key in dict.fromkeys(keys)}
        return [], [stack(join(prefix, "layers"), "audio", [built[key] for key in keys])]
