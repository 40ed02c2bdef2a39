"""The vision tower of Janus: SigLIP's form with the projector's keys, and QK-norm if asked for.

Source: transformers 5.23, models/janus/modeling_janus.py (`JanusVisionModel`) and configuration_janus.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv, table
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    num_channels: Size = 3
    image_size: Size = 384
    patch_size: Size = 16
    hidden_act: str = "gelu"
    mlp_ratio: float = 4.0
    attention_bias: Flag = True
    use_qk_norm: Flag = False
    # The aligner's width and depth.
    projection_dim: Size = 2048
    depth: Layers = 2

    def qk_norms(self) -> Iterator[Tensor]:
        for name in ("q_norm", "k_norm") if self.use_qk_norm else ():
            yield from layer_norm(f"self_attn.{name}", self.hidden_size)

    def tower(self, prefix: str) -> Pieces:
        h, n, p = self.hidden_size, self.num_attention_heads, self.patch_size
        outside = [
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, p, p),
            table("embeddings.position_embedding", grid(self.image_size, p), h),
            *layer_norm("post_layernorm", h),
        ]
        layer = encoder_layer(
            GroupedQueryAttention(
                h, n, n, divided(h, n, "hidden_size", "num_attention_heads"), self.attention_bias, True,
                names=("q_proj", "k_proj", "v_proj", "projection_layer"),
            ),
            FeedForward(h, int(h * self.mlp_ratio), self.hidden_act),
            (*layer_norm("layer_norm1", h), *layer_norm("layer_norm2", h)),
            extra=self.qk_norms(),
        )  # fmt: skip
        layers = stack(join(prefix, "encoder.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
