"""CLIP: two towers and a projection of each into one space.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPModel`) and configuration_clip.py (defaults); Radford et al. 2021,
arXiv:2103.00020.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group
from archcalc.arch._dual import DualSchema
from archcalc.arch._schema import Flag, Size, nested
from archcalc.arch._whisper import conv
from archcalc.arch.clip_text_model import Schema as Text
from archcalc.arch.clip_vision_model import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import clip_layer
from archcalc.model import Architecture, Tensor, stack


def shared(out: int, text: int, vision: int) -> Iterator[Tensor]:
    """What brings both towers' vectors into one space, and the scale of their products."""
    yield Tensor("logit_scale", (), "other")
    yield from linear("visual_projection", out, vision, "other")
    yield from linear("text_projection", out, text, "other")


class Schema(DualSchema):
    text_config: Annotated[Text, nested("clip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("clip_vision_model", fixed=True), DEFAULT]
    projection_dim: Size = 512

    def extra_tensors(self, text: Any, vision: Any) -> Iterator[Tensor]:
        return shared(self.projection_dim, text.hidden_size, vision.hidden_size)


class Metaclip2(Schema):
    """MetaCLIP 2: CLIP for many languages.
    Source: transformers 5.24, models/metaclip_2/modeling_metaclip_2.py (`MetaClip2Model`, `MetaClip2ForImageClassification`) and
    configuration_metaclip_2.py (defaults); Chuang et al. 2025, arXiv:2507.22062."""


def transposed(name: str, inner: int, outer: int, kernel: int) -> Iterator[Tensor]:
    """A transposed convolution, whose weight has its input first."""
    yield Tensor(f"{name}.weight", (inner, outer, kernel, kernel), "head")
    yield Tensor(f"{name}.bias", (outer,), "head")


class Clipseg(Schema):
    """CLIPSeg: CLIP, and a narrow decoder that names the pixels which a text or an image asks for.
    Source: transformers 5.24, models/clipseg/modeling_clipseg.py (`CLIPSegModel`, `CLIPSegForImageSegmentation`) and
    configuration_clipseg.py (defaults); Lüddecke and Ecker 2021, arXiv:2112.10003."""

    extract_layers: tuple[int, ...] = (3, 6, 9)
    reduce_dim: Size = 64
    decoder_num_attention_heads: Size = 4
    decoder_intermediate_size: Size = 2048
    decoder_hidden_act: str = "quick_gelu"
    conditional_layer: int = 0
    decoder_attention_dropout: float = 0.0
    use_complex_transposed_convolution: Flag = False

    def outside(self) -> Iterator[Tensor]:
        """The decoder but for its layers."""
        width, vision, name = self.reduce_dim, self.vision_config, "decoder.transposed_convolution"
        for film in ("film_mul", "film_add"):
            yield from linear(f"decoder.{film}", width, self.projection_dim, "head", bias=True)
        for i in range(len(self.extract_layers)):
            yield from linear(f"decoder.reduces.{i}", width, vision.hidden_size, "head", bias=True)
        if self.use_complex_transposed_convolution:
            kernel = vision.patch_size // 4
            yield from conv(f"{name}.0", width, width, 3, 3, role="head")
            yield from transposed(f"{name}.2", width, width // 2, kernel)
            yield from transposed(f"{name}.4", width // 2, 1, kernel)
        else:
            yield from transposed(name, width, 1, vision.patch_size)

    def headed(self, named: str) -> Architecture | None:
        if not named.endswith("ForImageSegmentation"):
            return super().headed(named)
        a = self.both("clip")
        layer = clip_layer(self.reduce_dim, self.decoder_num_attention_heads, self.decoder_intermediate_size, "relu")
        layers = stack("decoder.layers", "vision", [layer] * len(self.extract_layers))
        return a._replace(groups=(*a.groups, group("head", self.outside())), stacks=(*a.stacks, layers))
