"""The resampler of IDEFICS: learned latents that attend to the patches and to themselves, without an FFN's gate.

Source: transformers 5.23, models/idefics/perceiver.py (`IdeficsPerceiverResampler`) and configuration_idefics.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Group, Stack, Tensor, stack

NAMES = ("q_proj", "k_proj", "v_proj", "output_proj")


class Schema(ConfigSchema):
    # The whole model's flag of this name decides.
    inert_keys = ("use_resampler",)

    resampler_n_latents: Size = 64
    resampler_depth: Layers = 6
    resampler_n_heads: Size = 16
    resampler_head_dim: Size = 96
    qk_layer_norms_perceiver: Flag = False

    def resampler(self, prefix: str, width: int) -> tuple[list[Group], list[Stack]]:
        """What reads a tower of width `wide`."""
        heads, dim = self.resampler_n_heads, self.resampler_head_dim
        norms = [*layer_norm("0.context_layer_norm", width), *layer_norm("0.latents_layer_norm", width), *layer_norm("1.ln", width)]
        if self.qk_layer_norms_perceiver:
            norms += (*layer_norm("0.q_layer_norm", dim), *layer_norm("0.k_layer_norm", dim))
        attention = GroupedQueryAttention(width, heads, heads, dim, rope=False, names=NAMES)
        ffn = FeedForward(width, 4 * width, "relu", bias=False, names=("fc", "c_proj"))
        layer = encoder_layer(attention, ffn, norms, attention_name="0", ffn_name="1")
        outside = (Tensor("latents", (self.resampler_n_latents, width), "embedding"), *layer_norm("layer_norm", width))
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.resampler_depth)
        return [group("vision", prefixed(prefix, outside))], [layers]
