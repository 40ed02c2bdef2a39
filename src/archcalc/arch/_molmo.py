"""Molmo's vision backbone: CLIP's tower without its last layers, pooled by attention, and a gated projector.

Source: allenai/Molmo-7B-D-0924, modeling_molmo.py (`VisionBackboneConfig`: the tower is fixed by the code).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group, join
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, vit_attention
from archcalc.model import Group, Layer, Shard, Stack, Tensor, stack

# CLIP ViT-L/14 at 336 pixels: 24 x 24 patches and a class token; two layers' features side by side.
WIDTH, HEADS, PATCHES, LAYERS, FEATURES = 1024, 16, 577, 23, 2 * 1024
NAMES = ("wq", "wk", "wv", "wo")


def clip_block() -> Layer:
    ffn = FeedForward(WIDTH, 4 * WIDTH, "quick_gelu", names=("w1", "w2"))
    norms = (*layer_norm("attention_norm", WIDTH), *layer_norm("ffn_norm", WIDTH))
    attention = vit_attention(WIDTH, HEADS, names=NAMES)
    return encoder_layer(attention, ffn, norms, attention_name="attention", ffn_name="feed_forward")


def projector(hidden: int, width: int) -> Iterator[Tensor]:
    """Four patches into one by attention over the features of two layers, then a gated FFN into the text model's width."""
    by_head = Shard(0, HEADS)
    yield Tensor("pad_embed", (2, FEATURES), "embedding")
    for name in NAMES[:3]:
        yield from linear(f"image_pooling_2d.{name}", WIDTH, FEATURES, "attention", bias=True, shard=by_head)
    yield from linear("image_pooling_2d.wo", WIDTH, WIDTH, "attention", bias=True, shard=Shard(1, HEADS))
    for name in ("w1", "w3"):
        yield from linear(f"image_projector.{name}", width, WIDTH, "other", shard=Shard(0, width))
    yield from linear("image_projector.w2", hidden, width, "other", shard=Shard(1, width))


def backbone(prefix: str, hidden: int, width: int) -> tuple[Group, Stack]:
    tower = (
        Tensor("class_embedding", (WIDTH,), "embedding"),
        Tensor("positional_embedding", (PATCHES, WIDTH), "embedding"),
        *linear("patch_embedding", WIDTH, 3 * 14 * 14, "embedding"),
        *layer_norm("pre_ln", WIDTH),
    )
    outside = (*projector(hidden, width), *prefixed("image_vit", tower))
    layers = stack(join(prefix, "image_vit.transformer.resblocks"), "vision", [clip_block()] * LAYERS)
    return group("vision", prefixed(prefix, outside)), layers
