"""The image tokenizer of Chameleon: convolutions down to a grid of codes.

Source: transformers 5.23, models/chameleon/modeling_chameleon.py (`ChameleonVQVAE`) and configuration_chameleon.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import janus_vqgan
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.arch._whisper import conv
from archcalc.arch.janus_vqgan import attention, resnet
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(janus_vqgan.Schema):
    embed_dim: Size = 256
    num_embeddings: Size = 8192
    resolution: Size = 512
    attn_resolutions: list[Size] | None = None
    attn_type: str = "vanilla"

    def attended(self, level: int) -> bool:
        # The image is half as wide at each level.
        return self.attn_type == "vanilla" and self.resolution >> level in (self.attn_resolutions or ())

    def middle(self, width: int) -> Iterator[Tensor]:
        yield from resnet("mid.block_1", width, width)
        if self.attn_type == "vanilla":
            yield from attention("mid.attn_1", width)
        yield from resnet("mid.block_2", width, width)

    def tower(self, prefix: str) -> Pieces:
        tensors = (
            *prefixed("encoder", self.encoder()),
            table("quantize.embedding", self.num_embeddings, self.embed_dim),
            *conv("quant_conv", self.embed_dim, self.latent_channels, 1, 1),
            *conv("post_quant_conv", self.latent_channels, self.embed_dim, 1, 1),
        )
        return [group("vision", self.plain(prefixed(prefix, tensors)))], []
