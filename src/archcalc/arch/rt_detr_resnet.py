"""RT-DETR's ResNet: three convolutions in front, and shortcuts that average before they project.

Source: transformers 5.24, models/rt_detr/modeling_rt_detr_resnet.py (`RTDetrResNetBackbone`) and configuration_rt_detr_resnet.py
(defaults).
"""

from archcalc.arch import resnet
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._upernet import normed
from archcalc.arch._vit import below
from archcalc.model import Layer, stack


class Schema(resnet.Schema):
    def layer(self, inner: int, outer: int, shortcut: bool) -> Layer:
        layer = super().layer(inner, outer, shortcut)
        # Where the image is halved, an average stands before the projection; basic layers average wherever they widen.
        if inner == outer or (
            self.layer_type == "bottleneck" and inner == self.embedding_size and not self.downsample_in_first_stage
        ):
            return layer
        return layer._replace(tensors=tuple(t._replace(name=t.name.replace("shortcut.", "shortcut.1.")) for t in layer.tensors))

    def body(self, prefix: str, named: str) -> Pieces:
        _, stages = super().body(prefix, named)
        wide = self.embedding_size
        sides = ((self.num_channels, wide // 2), (wide // 2, wide // 2), (wide // 2, wide))
        stem = (t for i, (a, b) in enumerate(sides) for t in normed(f"embedder.embedder.{i}", b, a, 3))
        own = group("vision", below(prefix, (t._replace(role="embedding") if t.role == "head" else t for t in stem)))
        if self.layer_type == "basic" and self.hidden_sizes[0] == self.embedding_size:
            # The first layer of a stage projects its shortcut whether it widens or not.
            first = stages[0]
            kept = [first.kinds[kind] for kind in first.pattern]
            stages[0] = stack(first.prefix, "vision", [self.layer(wide, wide, True), *kept[1:]])
        return [own], stages
