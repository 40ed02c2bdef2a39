"""The tokenizer of images and video of Emu3: convolutions in space and time down to codes, and up again.

Source: transformers 5.23, models/emu3/modeling_emu3.py (`Emu3VQVAE`) and configuration_emu3.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.arch.janus_vqgan import Norm, resnet
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(TowerSchema):
    inert_keys = ("num_attention_heads",)

    codebook_size: Size = 32768
    embed_dim: Size = 4
    latent_channels: Size = 4
    double_latent: Flag = False
    in_channels: Size = 3
    out_channels: Size = 3
    temporal_downsample_factor: Size = 4
    base_channels: Size = 256
    channel_multiplier: tuple[Size, ...] = (1, 2, 2, 4)
    num_res_blocks: Layers = 2
    attn_resolutions: tuple[int, ...] = (3,)
    hidden_size: Size = 1024

    def spatial(self, name: str, width: int) -> Iterator[Tensor]:
        """A norm whose gain and bias come from the codes."""
        yield from layer_norm(f"{name}.norm_layer", width)
        for end in ("conv_y", "conv_b"):
            yield from conv(f"{name}.{end}", width, self.embed_dim, 1, 1)

    def attention(self, name: str) -> Iterator[Tensor]:
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(f"{name}.{projection}", self.hidden_size, self.hidden_size, "attention", bias=True)

    def middle(self, width: int, norm: Norm) -> Iterator[Tensor]:
        yield from resnet("middle_block.block_1", width, width, norm)
        yield from self.attention("middle_block.attn_1")
        yield from norm("middle_block.attn_norm", width)
        yield from resnet("middle_block.block_2", width, width, norm)

    def level(self, name: str, blocks: int, inner: int, outer: int, norm: Norm, attended: bool) -> Iterator[Tensor]:
        for j in range(blocks):
            yield from resnet(f"{name}.block.{j}", outer if j else inner, outer, norm)
            if attended:
                yield from self.attention(f"{name}.attn.{j}")
                yield from norm(f"{name}.attn_norms.{j}", outer)

    def time(self, kernel: int, width: int) -> Iterator[Tensor]:
        for i in range(self.temporal_downsample_factor.bit_length() - 1):
            yield from conv(f"time_conv.{i}.conv.conv", width, width, kernel, 3, 3)
        for i in range(self.num_res_blocks):
            for j in (1, 2):
                yield from layer_norm(f"time_res_stack.{i}.norm{j}", width)
                yield from conv(f"time_res_stack.{i}.conv{j}.conv", width, width, 3, 3, 3)

    def half(self, *, down: bool) -> Iterator[Tensor]:
        name, norm, blocks = ("down", layer_norm, self.num_res_blocks) if down else ("up", self.spatial, self.num_res_blocks + 1)
        widths = [self.base_channels * m for m in self.channel_multiplier]
        levels, latent = len(widths), self.latent_channels * (2 if self.double_latent and down else 1)
        first, last = (self.base_channels, latent) if down else (widths[-1], self.out_channels)
        yield from conv("conv_in", first, self.in_channels if down else latent, 3, 3)
        width = first
        for i in range(levels) if down else reversed(range(levels)):
            at = f"{name}_block.{name}.{i}"
            yield from self.level(at, blocks, width, widths[i], norm, i in self.attn_resolutions)
            width = widths[i]
            if i != (levels - 1 if down else 0):
                yield from conv(f"{at}.{name}sample.conv", width, width, 3, 3)
        yield from self.middle(widths[-1], norm)
        yield from norm("norm_out", width)
        yield from conv("conv_out", last, width, 3, 3)
        yield from self.time(4 if down else 3, latent)

    def tower(self, prefix: str) -> Pieces:
        tensors = (
            *prefixed("encoder", self.half(down=True)),
            *prefixed("decoder", self.half(down=False)),
            table("quantize.embedding", self.codebook_size, self.embed_dim),
            *conv("quant_conv.conv", self.embed_dim, self.latent_channels, 3, 1, 1),
            *conv("post_quant_conv.conv", self.latent_channels, self.embed_dim, 3, 1, 1),
        )
        plain = (t._replace(role="other") if t.role == "embedding" and len(t.shape) != 2 else t for t in tensors)
        return [group("vision", prefixed(prefix, plain))], []
