"""PoolFormer: a transformer whose tokens are mixed by averages over their neighbours.

Source: transformers 5.24, models/poolformer/modeling_poolformer.py (`PoolFormerModel`, `PoolFormerForImageClassification`) and
configuration_poolformer.py (defaults); Yu et al. 2021, arXiv:2111.11418.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, per_layer
from archcalc.arch._vit import ImageSchema, below
from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Encoder, Layer, Tensor, stack


class Schema(ImageSchema):
    root = "poolformer"
    inert_keys = ("patch_size", "stride", "pool_size", "strides", "padding", "drop_path_rate")

    num_channels: Size = 3
    mlp_ratio: float = 4.0
    depths: tuple[Layers, ...] = (2, 2, 6, 2)
    hidden_sizes: tuple[Size, ...] = (64, 128, 320, 512)
    patch_sizes: tuple[Size, ...] = (7, 3, 3, 3)
    num_encoder_blocks: Layers = 4
    use_layer_scale: Flag = True

    @property
    def hidden_size(self) -> int:
        return self.hidden_sizes[-1]

    def layer(self, h: int) -> Layer:
        inner_width = int(h * self.mlp_ratio)
        tensors = [
            *conv("output.conv1", inner_width, h, 1, 1, role="mlp"),
            *conv("output.conv2", h, inner_width, 1, 1, role="mlp"),
            *layer_norm("before_norm", h),
            *layer_norm("after_norm", h),
            *(Tensor(f"layer_scale_{i}", (h,), "other") for i in (1, 2) if self.use_layer_scale),
        ]
        return Layer("average of neighbours", f"FFN {inner_width}", tuple(tensors), (), (), 0, h, 2 * inner_width)

    def stages(self) -> list[tuple[int, int, int]]:
        """Depth, width and the side of a patch of each stage."""
        n = self.num_encoder_blocks
        lists = [("depths", self.depths), ("hidden_sizes", self.hidden_sizes), ("patch_sizes", self.patch_sizes)]
        depths, widths, sides = (per_layer(values[:n], n, key, "num_encoder_blocks") for key, values in lists)
        return list(zip(depths, widths, sides, strict=True))

    def outside(self) -> Iterator[Tensor]:
        inner = self.num_channels
        for i, (_, h, side) in enumerate(self.stages()):
            yield from conv(f"encoder.patch_embeddings.{i}.projection", h, inner, side, side)
            inner = h

    def bare(self, named: str) -> bool:
        return not named.endswith("ForImageClassification")

    def body(self, prefix: str, named: str) -> Pieces:
        stacks = [
            stack(join(prefix, f"encoder.block.{i}"), "vision", [self.layer(h)] * depth)
            for i, (depth, h, _) in enumerate(self.stages())
        ]
        return [group("vision", below(prefix, self.outside()))], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        head = super().head_of(name)
        if head is not None and name.endswith("ForImageClassification"):
            return (*layer_norm("norm", self.hidden_size), *head)
        return head

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
