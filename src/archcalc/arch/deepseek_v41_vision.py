"""The vision tower of DeepSeek-V4.1.

Source: deepseek-ai/DeepSeek-V4.1-Flash, inference/vision.py (`ViT`, `Aligner`).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import stated, within
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Encoder, Group, Layer, Stack, Tensor, stack


def plain(tensor: Tensor) -> Tensor:
    """Never quantized, whatever the text model is."""
    return tensor._replace(dtype="BF16")


class Schema(TowerSchema):
    inert_keys = ("max_image_tokens", "max_wh_ratio")

    num_hidden_layers: Layers = 32
    hidden_size: Size = 1024
    num_attention_heads: Size = 16
    intermediate_size: Size = 2816
    patch_size: Size = 14
    downsample_ratio: Size = 3

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = divided(h, heads, "hidden_size", "num_attention_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, True, True, fused="wqkv", names=("", "", "", "wo"))
        ffn = GatedFeedForward(h, self.intermediate_size, fused="w1", names=("", "", "w2"))
        layer = encoder_layer(attention, ffn, (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")
        return layer._replace(tensors=tuple(map(plain, layer.tensors)))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h = self.hidden_size
        outside = (*linear("patch_embed.proj", h, 3 * self.patch_size**2, "embedding", bias=True), rms_norm("norm", h))
        layers = stack(join(prefix, "blocks"), "vision", [self.layer()] * self.num_hidden_layers)
        return [group("vision", map(plain, prefixed(prefix, outside)))], [layers]

    def aligner(self, hidden: int) -> Group:
        """Patches of a square side by side into the text model, and vectors for where an image begins, ends and breaks."""
        tensors = (
            *linear("aligner.w1", hidden, self.hidden_size * self.downsample_ratio**2, "other", bias=True),
            *linear("aligner.w2", hidden, hidden, "other", bias=True),
            *(Tensor(f"image_{name}", (hidden,), "embedding") for name in ("start", "end", "newline")),
        )
        return group("vision", map(plain, tensors))

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of as many tokens as the config allows."""
        return within(
            self, stated(self, "max_image_tokens", 1024), self.downsample_ratio, "the config's max_image_tokens", rotated=True
        )
