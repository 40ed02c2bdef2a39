"""A ViT under timm's names, with SigLIP's pooling head.

Source: deepseek-ai/DeepSeek-VL2, deepseek_vl2/models/siglip_vit.py (`VisionTransformer`, `AttentionPoolLatent`).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv
from archcalc.model import Group, Shard, Stack, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("cls", "params", "select_layer", "deterministic")

    image_size: Size = 384
    patch_size: Size = 16
    width: Size = 1024
    layers: Layers = 24
    heads: Size = 16
    mlp_ratio: float = 4.0

    def pooling(self) -> Iterator[Tensor]:
        """One learned query over all patches, then a norm and an FFN."""
        h, width, by_head = self.width, int(self.width * self.mlp_ratio), Shard(0, self.heads)
        yield Tensor("latent", (1, 1, h), "embedding")
        yield from linear("q", h, h, "attention", bias=True, shard=by_head)
        yield from linear("kv", 2 * h, h, "attention", bias=True, shard=by_head)
        yield from linear("proj", h, h, "attention", bias=True, shard=Shard(1, self.heads))
        yield from layer_norm("norm", h)
        yield from prefixed("mlp", FeedForward(h, width).tensors())

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p, heads = self.width, self.patch_size, self.heads
        dim = divided(h, heads, "width", "heads")
        outside = [
            Tensor("pos_embed", (1, grid(self.image_size, p), h), "embedding"),
            *patch_conv("patch_embed.proj", h, 3, p, p),
            *layer_norm("norm", h),
            *prefixed("attn_pool", self.pooling()),
        ]
        attention = GroupedQueryAttention(h, heads, heads, dim, True, True, fused="qkv", names=("", "", "", "proj"))
        norms = (*layer_norm("norm1", h), *layer_norm("norm2", h))
        layer = encoder_layer(attention, FeedForward(h, int(h * self.mlp_ratio)), norms, attention_name="attn")
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.layers)
        return [group("vision", prefixed(prefix, outside))], [layers]
