"""Backbones of timm by the names of its models: ResNet, on which DETR and its relatives stand.

Source: transformers 5.24, models/timm_backbone/modeling_timm_backbone.py (`TimmBackbone`) and configuration_timm_backbone.py (defaults);
timm 1.0, timm/models/resnet.py (`_create_resnet`, `make_blocks`).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Encoder, Layer, Stack, Tensor, stack

# Layers of each stage, and how many times wider a layer comes out than it is inside.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), 1), "resnet26": ((2, 2, 2, 2), 4), "resnet34": ((3, 4, 6, 3), 1), "resnet50": ((3, 4, 6, 3), 4),
    "resnet101": ((3, 4, 23, 3), 4), "resnet152": ((3, 8, 36, 3), 4),
}  # fmt: skip
STEM = 64


def normed(name: str, norm: str, outer: int, inner: int, kernel: int) -> Iterator[Tensor]:
    yield from conv(name, outer, inner, kernel, kernel, bias=False, role="other")
    yield from layer_norm(norm, outer)


def resnet_layer(inner: int, inside: int, times: int, *, first: bool, halves: bool) -> Layer:
    outer = inside * times
    sides = ((inner, inside, 1), (inside, inside, 3), (inside, outer, 1)) if times > 1 else ((inner, inside, 3), (inside, outer, 3))
    tensors = [t for i, (a, b, kernel) in enumerate(sides, 1) for t in normed(f"conv{i}", f"bn{i}", b, a, kernel)]
    if first and (inner != outer or halves):
        tensors += normed("downsample.0", "downsample.1", outer, inner, 1)
    return Layer(f"convolution 3 x 3, {outer}", "none", tuple(tensors), (), (), 0, outer, 0)


def resnet(prefix: str, name: str, channels: int, stages: int) -> Pieces:
    """The first `stages` stages of one of timm's ResNets."""
    depths, times = RESNETS[name]
    made: list[Stack] = []
    inner = STEM
    for i, depth in enumerate(depths[:stages]):
        inside = STEM * 2**i
        layers = [resnet_layer(inner, inside, times, first=True, halves=i > 0)]
        inner = inside * times
        layers += [resnet_layer(inner, inside, times, first=False, halves=False)] * (depth - 1)
        made.append(stack(join(prefix, f"layer{i + 1}"), "vision", layers))
    stem = normed("conv1", "bn1", STEM, channels, 7)
    return [group("vision", prefixed(prefix, (t._replace(role="embedding") if t.role == "other" else t for t in stem)))], made


class Schema(TowerSchema):
    alone = "a model without text: it keeps no cache"
    batch_norms = True
    inert_keys = (
        "features_only", "use_pretrained_backbone", "output_stride", "out_features", "use_timm_backbone", "backbone_kwargs",
    )  # fmt: skip

    backbone: str = "resnet50"
    num_channels: Size = 3
    out_indices: list[int] | None = None

    def known(self) -> str:
        """The model's name without the tag of its weights."""
        name = self.backbone.partition(".")[0]
        if name not in RESNETS:
            raise UnsupportedError(
                f"backbone is {json_text(self.backbone)}: of timm's models archcalc knows {', '.join(RESNETS)} here"
            )
        return name

    def indices(self) -> list[int]:
        """What is given: 0 is the stem, 1 to 4 the stages; the last where nothing is asked for."""
        asked = [i + 5 if i < 0 else i for i in self.out_indices or (-1,)]
        if any(not 0 <= i <= 4 for i in asked):
            raise ConfigError(f"out_indices is {json_text(self.out_indices)}", "a ResNet gives 0 to 4", "out_indices")
        return asked

    def channels(self) -> list[int]:
        """The width of each feature map that is given."""
        times = RESNETS[self.known()][1]
        return [STEM * 2 ** (i - 1) * times if i else STEM for i in self.indices()]

    @property
    def hidden_size(self) -> int:
        return self.channels()[-1]

    def tower(self, prefix: str) -> Pieces:
        return resnet(prefix, self.known(), self.num_channels, max(self.indices()))

    def pieces(self, prefix: str, named: str) -> Pieces:
        return self.tower("_backbone")

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
