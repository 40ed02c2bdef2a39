"""The image tokenizer of Apertus 1.5: convolutions down to a grid of codes, and no way up.

Source: transformers 5.24, models/apertus1p5/modeling_apertus1p5.py (`Apertus1p5VisionTokenizerModel`) and configuration_apertus1p5.py
(defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.arch.janus_vqgan import attention, resnet
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(TowerSchema):
    inert_keys = ("spatial_scale_factor",)

    codebook_size: Size = 131072
    embed_dim: Size = 256
    latent_channels: Size = 256
    in_channels: Size = 3
    base_channels: Size = 256
    channel_multiplier: Annotated[tuple[Size, ...], Field(min_length=1)] = (1, 1, 2, 2, 4)
    num_res_blocks: Layers = 4
    attn_resolutions: tuple[int, ...] = (16,)
    resolution: Size = 256

    def encoder(self) -> Iterator[Tensor]:
        widths = [self.base_channels * m for m in self.channel_multiplier]
        last, width = len(widths) - 1, self.base_channels
        yield from conv("conv_in", width, self.in_channels, 3, 3)
        for i, outer in enumerate(widths):
            for j in range(self.num_res_blocks):
                yield from resnet(f"stages.{i}.layers.{j}.resnet", width, outer)
                width = outer
                if self.resolution // 2**i in self.attn_resolutions:
                    yield from attention(f"stages.{i}.layers.{j}.attention", outer)
            if i != last:
                yield from conv(f"stages.{i}.downsample.conv", outer, outer, 3, 3)
        yield from resnet("mid.block_1", width, width)
        yield from attention("mid.attn_1", width)
        yield from resnet("mid.block_2", width, width)
        yield from layer_norm("norm_out", width)
        yield from conv("conv_out", self.latent_channels, width, 3, 3)

    def tower(self, prefix: str) -> Pieces:
        tensors = (
            *prefixed("encoder", self.encoder()),
            table("quantize.embedding", self.codebook_size, self.embed_dim),
            *conv("quant_conv", self.embed_dim, self.latent_channels, 1, 1),
        )
        plain = (t._replace(role="other") if t.role == "embedding" and len(t.shape) != 2 else t for t in tensors)
        return [group("vision", prefixed(prefix, plain))], []
