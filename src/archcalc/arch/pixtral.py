"""Pixtral, the vision tower: Llama's layers with axial rotary positions, for images of any shape.

Source: transformers 5.23, models/pixtral/modeling_pixtral.py (`PixtralVisionModel`) and configuration_pixtral.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import square, stated
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv, vit_attention
from archcalc.model import Encoder, Group, Stack, stack


class Schema(TowerSchema):
    # Positions are rotary, so the image's size costs no weight; a head is the width split among heads, whatever the config states.
    inert_keys = ("image_size", "head_dim", "vocab_size")

    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    num_channels: Size = 3
    patch_size: Size = 16
    hidden_act: str = "gelu"

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        divided(h, heads, "hidden_size", "num_attention_heads")
        outside = [*patch_conv("patch_conv", h, self.num_channels, p, p, bias=False), rms_norm("ln_pre", h)]
        layer = encoder_layer(
            vit_attention(h, heads, bias=False, names=("q_proj", "k_proj", "v_proj", "o_proj")),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            (rms_norm("attention_norm", h), rms_norm("ffn_norm", h)),
            attention_name="attention",
            ffn_name="feed_forward",
        )
        layers = stack(join(prefix, "transformer.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """The largest image that the config states."""
        # A width and a height of this many pixels at most.
        return square(self, stated(self, "image_size", 1024), rotated=True)
