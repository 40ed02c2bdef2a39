"""The vision tower of Qwen-VL: an OpenCLIP ViT whose patches a resampler turns into a fixed number of tokens.

Source: Qwen/Qwen-VL, visual.py (`VisionTransformer`, `Resampler`).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import pooled, square, stated
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import openclip_layer, patch_conv, resampler
from archcalc.model import Encoder, Group, Stack, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("image_size", "image_start_id")

    heads: Size
    layers: Layers
    width: Size
    mlp_ratio: float
    output_dim: Size
    patch_size: Size
    n_queries: Size = 256

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, out, p = self.width, self.output_dim, self.patch_size
        divided(h, self.heads, "width", "heads")
        outside = [
            *patch_conv("conv1", h, 3, p, p, bias=False),
            Tensor("positional_embedding", (256, h), "embedding"),  # fixed, and stretched over the image's patches
            *layer_norm("ln_pre", h),
            *prefixed("attn_pool", resampler(self.n_queries, out, h, divided(out, 128, "output_dim", "128"), positions=True)),
            *layer_norm("ln_post", out),
            Tensor("proj", (out, out), "other"),
        ]
        layer = openclip_layer(h, self.heads, int(h * self.mlp_ratio))
        layers = stack(join(prefix, "transformer.resblocks"), "vision", [layer] * self.layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, read by the queries."""
        return pooled(square(self, stated(self, "image_size", 448)), tokens=self.n_queries)
