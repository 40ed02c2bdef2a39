"""SAM's image encoder as DeepSeek's OCR models use it: windows and a few layers that see all, a neck, and two strided convolutions.

Source: deepseek-ai/DeepSeek-OCR, deepencoder.py (`ImageEncoderViT`; Kirillov et al. 2023, arXiv:2304.02643).
"""

from collections.abc import Sequence

from archcalc.arch._decoder import group, join
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.sam import sam_layer
from archcalc.blocks.vision import patch_conv
from archcalc.model import Group, Stack, Tensor, stack


def tower(
    prefix: str,
    width: int,
    layers: int,
    heads: int,
    every: Sequence[int],
    channels: Sequence[int],
    image: int = 1024,
    patch: int = 16,
) -> tuple[list[Group], list[Stack]]:
    """The encoder below `prefix`. Layers in `every` see the whole image, the others a window of 14 by 14 patches."""
    side, neck = image // patch, 256
    outside = [
        *patch_conv("patch_embed.proj", width, 3, patch, patch),
        Tensor("pos_embed", (1, side, side, width), "embedding"),
        *patch_conv("neck.0", neck, width, 1, 1, bias=False),
        *layer_norm("neck.1", neck),
        *patch_conv("neck.2", neck, neck, 3, 3, bias=False),
        *layer_norm("neck.3", neck),
    ]
    inner = neck
    for i, outer in enumerate(channels):
        outside += patch_conv(f"net_{i + 2}", outer, inner, 3, 3, bias=False)
        inner = outer
    near, far = sam_layer(width, heads, 14), sam_layer(width, heads, side)
    kinds = [far if i in every else near for i in range(layers)]
    return [group("vision", prefixed(prefix, outside))], [stack(join(prefix, "blocks"), "vision", kinds)]
