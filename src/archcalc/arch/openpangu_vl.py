"""openPangu VL: openPangu Embedded with a ViT of windows, several of whose layers are merged, summed and projected.

Source: vLLM 0.33, models/openpangu_vl.py (`OpenPanguVLForConditionalGeneration`, `OpenPanguVisionTransformer`: names, modules).
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Size, TowerSchema, nested
from archcalc.arch.qwen2_vl_vision import Schema as QwenVision
from archcalc.blocks._tensor import Block, linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Architecture, Layer, Tensor, stack


class OpenpanguVlVision(QwenVision):
    """The vision tower of openPangu VL.
    Source: vLLM 0.33, models/openpangu_vl.py (`OpenPanguVisionTransformer`)."""

    core_keys = ("depth", "hidden_size", "num_heads", "intermediate_size", "out_hidden_size", "patch_size")
    inert_keys = (*QwenVision.inert_keys, "tokens_per_second")

    hidden_act: str = "gelu"
    intermediate_size: Size
    out_hidden_size: Size
    window_size: Size = 112
    fullatt_block_indexes: tuple[int, ...] = ()
    mm_unit_vision_select_layer: tuple[int, ...] = (-1, -3)

    def layer(self, window: int | None) -> Layer:
        h, n, width = self.hidden_size, self.num_heads, self.intermediate_size
        attention = GroupedQueryAttention(
            h, n, n, head_width(h, n), True, True, window, window is not None, fused="qkv", names=("", "", "", "proj")
        )
        plain = FeedForward(h, width, self.hidden_act, True, ("up_proj", "down_proj"))
        ffn: Block = GatedFeedForward(h, width, self.hidden_act, True) if self.hidden_act == "silu" else plain
        return encoder_layer(attention, ffn, (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")

    def outside(self) -> Iterator[Tensor]:
        h, patch, joined = self.hidden_size, self.patch_size, self.hidden_size * self.spatial_merge_size**2
        yield from patch_conv("patch_embed.proj", h, self.in_channels, self.temporal_patch_size, patch, patch, bias=False)
        yield rms_norm("final_layernorm", h)
        for i in range(len(self.mm_unit_vision_select_layer)):
            yield rms_norm(f"merger.{i}.ln_q", h)
            yield from linear(f"merger.{i}.mlp.0", joined, joined, "other", bias=True)
            yield from linear(f"merger.{i}.mlp.2", self.out_hidden_size, joined, "other", bias=True)

    def tower(self, prefix: str) -> Pieces:
        side = max(self.window_size // self.spatial_merge_size // self.patch_size, 1) * self.spatial_merge_size
        windowed, full = self.layer(side**2), self.layer(None)
        layers = [full if i in self.fullatt_block_indexes else windowed for i in range(self.depth)]
        return [group("vision", prefixed(prefix, self.outside()))], [stack(join(prefix, "blocks"), "vision", layers)]


class Schema(VisionSchema):
    tower_name = "visual"
    ties = "stated"

    text_config: Annotated[ConfigSchema, nested("panguembedded", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("openpangu_vl_vision", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The text model's keys may stand at the top level."""
        if isinstance(config.get("text_config"), dict):
            return config
        own = {key: value for key, value in config.items() if key not in ("vision_config", "architectures", "model_type")}
        return {
            "text_config": own,
            **{key: config[key] for key in ("vision_config", "architectures", "model_type") if key in config},
        }

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        out, hidden = int(getattr(self.vision_config, "out_hidden_size", 0)), text.facts.hidden_size
        projection = linear(f"{prefix}.visual.vision_projection.fc1", hidden, out, "other", bias=True)
        return [*groups, group("vision", projection)], stacks
