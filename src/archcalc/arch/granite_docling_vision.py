"""The vision tower of Granite Docling: SigLIP without its head, and a connector with a coarse and a fine path.

Source: transformers 5.23, models/granite_docling/modeling_granite_docling.py (`GraniteDoclingVisionModel`) and
configuration_granite_docling.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import idefics2_vision
from archcalc.arch._composite import Pieces, Sides
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(idefics2_vision.Schema):
    image_size: Sides = 512
    patch_size: Sides = 16
    out_hidden_size: Size = 1024
    scale_factor: Size = 4
    deepstack_visual_indexes: list[int] | None = None
    use_fine_route: Flag = True

    def path(self, factor: int) -> Iterator[Tensor]:
        """Merged patches, and those of the layers in between, into the text model's width."""
        merged, out = self.hidden_size * factor**2, self.out_hidden_size
        yield from linear("projection", out, merged, "other")
        for i in range(3 if self.deepstack_visual_indexes is None else len(self.deepstack_visual_indexes)):
            yield from layer_norm(f"deepstack_mergers.{i}.layer_norm", merged)
            yield from projector((f"deepstack_mergers.{i}.linear_1", f"deepstack_mergers.{i}.linear_2"), (merged, out, out))

    def connector(self) -> Iterator[Tensor]:
        out = self.out_hidden_size
        yield from layer_norm("ln_in", self.hidden_size)
        yield from prefixed("coarse", self.path(self.scale_factor))
        if self.use_fine_route:
            yield from prefixed("fine", self.path(self.scale_factor // 2))
        yield from layer_norm("ln_mid", out)
        yield from linear("mlp_fc2", out, out, "other")
        yield from layer_norm("ln_out", out)

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        return [*groups, group("vision", prefixed(f"{prefix}.connector", self.connector()))], stacks
