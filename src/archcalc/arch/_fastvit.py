"""FastViT, fused for inference: convolutions in stages, of which the last two attend.

Source: Vasu et al. 2023, arXiv:2303.14189; timm 1.0, timm/models/fastvit.py (`fastvit_mci3`, `fastvit_mci4`).
"""

from collections.abc import Iterator
from typing import TypeAlias

from archcalc.arch._decoder import join
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.model import Attend, Layer, Shard, Stack, Tensor, stack

Stages: TypeAlias = tuple[tuple[int, int], ...]
# Blocks and channels of each stage; the last two attend.
VARIANTS: dict[str, Stages] = {
    "fastvit_mci3": ((2, 96), (12, 192), (24, 384), (4, 768), (2, 1536)),
    "fastvit_mci4": ((2, 128), (12, 256), (24, 512), (4, 1024), (4, 2048)),
}
ATTENDING, HEAD, RATIO, SQUEEZE = 2, 32, 4, 16


def width(stages: Stages) -> int:
    """Channels that come out, twice those of the last stage."""
    return 2 * stages[-1][1]


def _ffn(width: int) -> Iterator[Tensor]:
    """A depthwise convolution with a norm, and two pointwise ones."""
    yield from conv("mlp.conv.conv", width, 1, 7, 7, bias=False, role="mlp")
    yield from layer_norm("mlp.conv.bn", width)
    yield from conv("mlp.fc1", RATIO * width, width, 1, 1, role="mlp")
    yield from conv("mlp.fc2", width, RATIO * width, 1, 1, role="mlp")


def _layer(width: int, attends: bool) -> Layer:
    ffn, text = tuple(_ffn(width)), f"convolutional FFN {RATIO * width}"
    if not attends:
        mixer = (
            *conv("token_mixer.reparam_conv", width, 1, 3, 3, role="attention"),
            Tensor("layer_scale.gamma", (width, 1, 1), "other"),
        )
        return Layer("depthwise convolution 3 x 3", text, (*mixer, *ffn), mixer_width=width, ffn_width=2 * RATIO * width)
    heads = width // HEAD
    tensors = (
        *layer_norm("norm", width),
        *linear("token_mixer.qkv", 3 * width, width, "attention", shard=Shard(0, heads)),
        *linear("token_mixer.proj", width, width, "attention", bias=True, shard=Shard(1, heads)),
        *(Tensor(f"layer_scale_{i}.gamma", (width, 1, 1), "other") for i in (1, 2)),
        *ffn,
    )
    attend = (Attend(heads, HEAD, HEAD),)
    return Layer(f"MHA ({heads}/{heads} x {HEAD})", text, tensors, (), attend, 0, 4 * width, 2 * RATIO * width)


def _outside(stages: Stages) -> Iterator[Tensor]:
    first, last, out = stages[0][1], stages[-1][1], width(stages)
    for i, (inner, kernel) in enumerate(((3, 3), (1, 3), (first, 1))):
        yield from conv(f"stem.{i}.reparam_conv", first, inner, kernel, kernel)
    for i, (_, channels) in enumerate(stages):
        if i:
            # The channels double: each gives two.
            yield from conv(f"stages.{i}.downsample.proj.0.reparam_conv", channels, 1, 7, 7, role="other")
            yield from conv(f"stages.{i}.downsample.proj.1.reparam_conv", channels, channels, 1, 1, role="other")
        if i >= len(stages) - ATTENDING:
            yield from conv(f"stages.{i}.pos_emb.reparam_conv", channels, 1, 7, 7)
    yield from conv("final_conv.reparam_conv", out, 1, 3, 3, role="other")
    yield from conv("final_conv.se.fc1", last * 2 // SQUEEZE, out, 1, 1, role="other")
    yield from conv("final_conv.se.fc2", out, last * 2 // SQUEEZE, 1, 1, role="other")


def tower(prefix: str, stages: Stages) -> tuple[Iterator[Tensor], list[Stack]]:
    """Tensors outside the blocks, and the blocks of each stage."""
    layers = []
    for i, (blocks, width) in enumerate(stages):
        layer = _layer(width, i >= len(stages) - ATTENDING)
        layers.append(stack(join(prefix, f"stages.{i}.blocks"), "vision", [layer] * blocks))
    return prefixed(prefix, _outside(stages)), layers
