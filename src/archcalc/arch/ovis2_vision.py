"""The vision tower of Ovis 2: AIMv2's layers, and a head over a vocabulary of visual tokens.

Source: transformers 5.23, models/ovis2/modeling_ovis2.py (`Ovis2VisionModel`) and configuration_ovis2.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv, table
from archcalc.model import stack


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("tokenize_function", "backbone_config", "backbone_kwargs", "depths", "tau")

    hidden_size: Size = 1024
    intermediate_size: Size = 2816
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 8
    num_channels: Size = 3
    image_size: Size = 224
    patch_size: Size = 14
    qkv_bias: Flag = False
    mlp_bias: Flag = False
    hidden_act: str = "silu"
    vocab_size: Size = 16384
    hidden_stride: Size = 1
    num_visual_indicator_tokens: Count = 5

    def tower(self, prefix: str) -> Pieces:
        h, n, p, bias = self.hidden_size, self.num_attention_heads, self.patch_size, self.qkv_bias
        words = self.vocab_size - self.num_visual_indicator_tokens
        outside = [
            *patch_conv("transformer.embeddings.patch_embedding", h, self.num_channels, p, p),
            table("transformer.embeddings.position_embedding", grid(self.image_size, p), h),
            rms_norm("transformer.embeddings.rms_norm", h),
            rms_norm("transformer.rms_norm", h),
            *linear("head_linear", words, h * self.hidden_stride**2, "other"),
            *layer_norm("head_norm", words),
        ]
        layer = encoder_layer(
            GroupedQueryAttention(
                h, n, n, divided(h, n, "hidden_size", "num_attention_heads"), bias, bias,
                names=("q_proj", "k_proj", "v_proj", "out_proj"),
            ),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias),
            (rms_norm("rms_norm1", h), rms_norm("rms_norm2", h)),
            attention_name="attention",
            ffn_name="ffn",
        )  # fmt: skip
        layers = stack(join(prefix, "transformer.encoder.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Aimv2Alone(Schema):
    """AIMv2 without a head, as Ovis 2 holds it.
    Source: vLLM 0.33, models/aimv2.py (`AIMv2Model`)."""

    inert_keys = (*Schema.inert_keys, "use_bias", "is_native", "use_head")

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        kept = (group(g.part, (t for t in g.tensors if ".head_" not in t.name)) for g in groups)
        return list(kept), stacks
