"""The image tokenizer of Janus: convolutions down to a grid of codes, and up again.

Source: transformers 5.23, models/janus/modeling_janus.py (`JanusVQVAE`) and configuration_janus.py (defaults); Esser et al. 2021,
arXiv:2012.09841.
"""

from collections.abc import Callable, Iterable, Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor

Norm = Callable[[str, int], Iterator[Tensor]]


def resnet(name: str, inner: int, outer: int, norm: Norm = layer_norm) -> Iterator[Tensor]:
    """Two convolutions, each behind a norm, and a shortcut where the width changes."""
    yield from norm(f"{name}.norm1", inner)
    yield from conv(f"{name}.conv1", outer, inner, 3, 3)
    yield from norm(f"{name}.norm2", outer)
    yield from conv(f"{name}.conv2", outer, outer, 3, 3)
    if inner != outer:
        yield from conv(f"{name}.nin_shortcut", outer, inner, 1, 1)


def attention(name: str, width: int) -> Iterator[Tensor]:
    """Attention of one head over the grid."""
    yield from layer_norm(f"{name}.norm", width)
    for projection in ("q", "k", "v", "proj_out"):
        yield from conv(f"{name}.{projection}", width, width, 1, 1)


class Schema(TowerSchema):
    inert_keys = ("num_patches", "beta")

    embed_dim: Size = 8
    num_embeddings: Size = 16384
    double_latent: Flag = False
    latent_channels: Size = 256
    in_channels: Size = 3
    base_channels: Size = 128
    channel_multiplier: tuple[Size, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: Layers = 2
    out_channels: Size = 3
    # Of what leads from codes into the text model and back.
    projection_dim: Size = 2048
    num_hidden_layers: Layers = 2
    image_token_embed_dim: Size = 2048

    def attended(self, level: int) -> bool:
        """Whether attention follows the encoder's blocks of this level."""
        return level == len(self.channel_multiplier) - 1

    def middle(self, width: int) -> Iterator[Tensor]:
        yield from resnet("mid.block_1", width, width)
        yield from attention("mid.attn_1", width)
        yield from resnet("mid.block_2", width, width)

    def encoder(self) -> Iterator[Tensor]:
        base, widths = self.base_channels, [self.base_channels * m for m in self.channel_multiplier]
        last, width = len(widths) - 1, base
        yield from conv("conv_in", base, self.in_channels, 3, 3)
        for i, outer in enumerate(widths):
            for j in range(self.num_res_blocks):
                yield from resnet(f"down.{i}.block.{j}", width, outer)
                width = outer
                if self.attended(i):
                    yield from attention(f"down.{i}.attn.{j}", outer)
            if i != last:
                yield from conv(f"down.{i}.downsample.conv", outer, outer, 3, 3)
        yield from self.middle(width)
        yield from layer_norm("norm_out", width)
        yield from conv("conv_out", self.latent_channels * (2 if self.double_latent else 1), width, 3, 3)

    def decoder(self) -> Iterator[Tensor]:
        widths = [self.base_channels * m for m in self.channel_multiplier]
        last, width = len(widths) - 1, widths[-1]
        yield from conv("conv_in", width, self.latent_channels, 3, 3)
        yield from self.middle(width)
        for i, outer in enumerate(reversed(widths)):
            for j in range(self.num_res_blocks + 1):
                yield from resnet(f"up.{i}.block.{j}", width, outer)
                width = outer
                if i == 0:
                    yield from attention(f"up.{i}.attn.{j}", outer)
            if i != last:
                yield from conv(f"up.{i}.upsample.conv", outer, outer, 3, 3)
        yield from layer_norm("norm_out", width)
        yield from conv("conv_out", self.out_channels, width, 3, 3)

    def plain(self, tensors: Iterable[Tensor]) -> Iterator[Tensor]:
        """Convolutions in no role of a language model's."""
        for t in tensors:
            yield t._replace(role="other") if t.role == "embedding" and len(t.shape) != 2 else t

    def tower(self, prefix: str) -> Pieces:
        tensors = (
            *prefixed("encoder", self.encoder()),
            *prefixed("decoder", self.decoder()),
            table("quantize.embedding", self.num_embeddings, self.embed_dim),
            *conv("quant_conv", self.embed_dim, self.latent_channels, 1, 1),
            *conv("post_quant_conv", self.latent_channels, self.embed_dim, 1, 1),
        )
        return [group("vision", self.plain(prefixed(prefix, tensors)))], []
