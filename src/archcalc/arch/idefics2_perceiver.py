"""The resampler of Idefics 2: learned latents that attend to the patches and to themselves, in a few layers.

Source: transformers 5.23, models/idefics2/modeling_idefics2.py (`Idefics2PerceiverResampler`) and configuration_idefics2.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Group, Stack, Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = 4096
    hidden_act: str = "silu"
    resampler_n_latents: Size = 64
    resampler_depth: Layers = 3
    resampler_n_heads: Size = 16
    resampler_head_dim: Size = 96
    num_key_value_heads: Size = 4

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h = self.hidden_size
        attention = GroupedQueryAttention(h, self.resampler_n_heads, self.num_key_value_heads, self.resampler_head_dim)
        norms = [rms_norm(name, h) for name in ("input_latents_norm", "input_context_norm", "post_attention_layernorm")]
        layer = encoder_layer(attention, GatedFeedForward(h, 4 * h, self.hidden_act), norms)
        outside = (Tensor("latents", (self.resampler_n_latents, h), "embedding"), rms_norm("norm", h))
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.resampler_depth)
        return [group("vision", prefixed(prefix, outside))], [layers]
