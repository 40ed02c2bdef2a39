"""Kanana-V: Llama with Qwen2-VL's tower, whose patches RegNet's blocks mix before and after two by two of them are joined.

Source: vLLM 0.33, models/kanana_v.py (`KananaVForConditionalGeneration`, `DynamicCAbstractor`, `CustomQwen2VLVE`); timm 1.0,
models/regnet.py (`RegStage`, `Bottleneck`: one channel a group, a squeeze of a quarter of the input) and layers/squeeze_excite.py.
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch import qwen2_vl_vision
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, Few, Flag, Layers, Size, nested
from archcalc.arch._vlm import under
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Group, Stack, Tensor


class Vision(qwen2_vl_vision.Schema):
    """Qwen2-VL's tower without its merger."""

    inert_keys = (*qwen2_vl_vision.Schema.inert_keys, "num_queries_vis_abstractor")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().tower(prefix)
        merger = join(prefix, "merger.")
        return [group(g.part, (t for t in g.tensors if not t.name.startswith(merger))) for g in groups], stacks


class Projector(ConfigSchema):
    inert_keys = ("projector_type", "prenorm", "feature_layer_index", "num_eos_tokens", "use_pre_norm", "num_query_tokens")

    encoder_hidden_size: Size
    hidden_size: Size
    output_hidden_size: Size
    merge_size: Size
    depth: Few
    mlp_depth: Layers
    pos_emb: Flag
    pos_emb_size: Size

    def block(self, inner: int) -> Iterator[Tensor]:
        """RegNet's bottleneck."""
        width, squeezed = self.hidden_size, round(inner * 0.25)
        shapes = (("conv1", width, inner, 1), ("conv2", width, 1, 3), ("conv3", width, width, 1))
        for name, outer, source, kernel in (*shapes, *((("downsample", width, inner, 1),) if inner != width else ())):
            yield from conv(f"{name}.conv", outer, source, kernel, kernel, bias=False, role="other")
            yield from layer_norm(f"{name}.bn", outer)
        yield from conv("se.fc1", squeezed, width, 1, 1, role="other")
        yield from conv("se.fc2", width, squeezed, 1, 1, role="other")

    def tensors(self) -> Iterator[Tensor]:
        if self.pos_emb:
            yield Tensor("pos_emb", (1, self.pos_emb_size, self.encoder_hidden_size), "embedding")
        for stage, inner in ((0, self.encoder_hidden_size), (2, self.merge_size**2 * self.hidden_size)):
            for i in range(self.depth):
                yield from prefixed(f"net.{stage}.b{i + 1}", self.block(self.hidden_size if i else inner))
        if not self.depth:
            raise UnsupportedError("projector_config.depth is 0: only abstractors with blocks are known here")
        for i in range(self.mlp_depth):
            inner = self.output_hidden_size if i else self.hidden_size
            yield from linear(f"readout.{2 * i}", self.output_hidden_size, inner, "other", bias=True)


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("text_config", "vision_config", "projector_config")

    text_config: Annotated[ConfigSchema, nested("llama", "kanana-1.5-v", "kanana")]
    vision_config: Vision
    projector_config: Projector

    def architecture(self, prefix: str) -> Architecture:
        text = under(self.text_config.standalone(), join(prefix, "language_model"))
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        groups.append(group("vision", prefixed(join(prefix, "abstractor"), self.projector_config.tensors())))
        return with_tower(text, groups, stacks)
