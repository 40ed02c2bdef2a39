"""MoonViT, the vision tower of Kimi K2.5: a learned grid of positions beside rotary ones, and biases everywhere.

Source: transformers 5.23, models/kimi_k25/modeling_kimi_k25.py (`Kimi_K25VisionModel`) and configuration_kimi_k25.py (defaults).
Published configs name some keys otherwise (`vt_hidden_size`).
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import encoder
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv, projector, vit_attention
from archcalc.model import Encoder, Group, Stack, Tensor, stack


class Schema(TowerSchema):
    # Positions in time are computed, and frames are pooled: neither has weights.
    inert_keys: ClassVar[tuple[str, ...]] = (
        "pos_emb_time", "pos_emb_type", "merge_type", "video_attn_type", "mm_projector_type", "projector_hidden_act",
        "text_hidden_size",
    )  # fmt: skip

    patch_size: Size = 14
    pos_emb_height: Size = Field(64, validation_alias=AliasChoices("pos_emb_height", "init_pos_emb_height"))
    pos_emb_width: Size = Field(64, validation_alias=AliasChoices("pos_emb_width", "init_pos_emb_width"))
    num_attention_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "vt_num_attention_heads"))
    num_hidden_layers: Layers = Field(27, validation_alias=AliasChoices("num_hidden_layers", "vt_num_hidden_layers"))
    hidden_size: Size = Field(1152, validation_alias=AliasChoices("hidden_size", "vt_hidden_size"))
    intermediate_size: Size = Field(4304, validation_alias=AliasChoices("intermediate_size", "vt_intermediate_size"))
    hidden_act: str = "gelu_pytorch_tanh"
    merge_kernel_size: tuple[Size, Size] = (2, 2)
    mm_hidden_size: Size = 1152

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        divided(h, heads, "hidden_size", "num_attention_heads")
        outside = [
            *patch_conv("patch_embed.proj", h, 3, p, p),
            Tensor("patch_embed.pos_emb.position_embeddings", (self.pos_emb_height, self.pos_emb_width, h), "embedding"),
            *layer_norm("final_layernorm", h),
        ]
        layer = encoder_layer(
            vit_attention(h, heads, names=("q_proj", "k_proj", "v_proj", "proj")),
            FeedForward(h, self.intermediate_size, self.hidden_act),
            (*layer_norm("norm1", h), *layer_norm("norm2", h)),
            attention_name="attn",
        )
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """The square image of 3,000 pixels that engines profile, scaled down to the processor's limit of patches and filled up."""
        (high, width), p = self.merge_kernel_size, self.patch_size
        side = 3000 * min(128, 3000 // p) // max(3000 // p, 1)
        tokens = -(-side // (p * high)) * -(-side // (p * width))
        source = (
            "transformers 5.24, models/kimi_k25/image_processing_kimi_k25.py `navit_resize`, `max_patches` (128 x 128); "
            "vLLM 0.33, models/kimi_k25.py `MaxImageTokenMeta`"
        )
        return (encoder(self, tokens * high * width, tokens, 3 * p**2, source, rotated=True),)


class Moonvit(Schema):
    """MoonViT, the vision tower of Kimi-VL, under its publisher's names: a learned grid of positions beside rotary ones.
    Source: moonshotai/Kimi-VL-A3B-Instruct, modeling_kimi_vl.py (`MoonVitPretrainedModel`); vLLM 0.33, models/moonvit.py and
    transformers_utils/configs/moonvit.py (defaults)."""

    def tower(self, prefix: str) -> Pieces:
        h, heads, p = self.hidden_size, self.num_attention_heads, self.patch_size
        outside = [
            *patch_conv("patch_embed.proj", h, 3, p, p),
            Tensor("patch_embed.pos_emb.weight", (self.pos_emb_height, self.pos_emb_width, h), "embedding"),
            *layer_norm("encoder.final_layernorm", h),
        ]
        attention = GroupedQueryAttention(h, heads, heads, head_width(h, heads), True, True, fused="wqkv", names=("", "", "", "wo"))
        ffn = prefixed("mlp", FeedForward(h, self.intermediate_size, self.hidden_act, names=("fc0", "fc1")).tensors())
        layer = encoder_layer(
            attention, FeedForward(h, self.intermediate_size, self.hidden_act), (*layer_norm("norm0", h), *layer_norm("norm1", h)),
            attention_name="",
        )  # fmt: skip
        kept = tuple(t for t in layer.tensors if not t.name.startswith("mlp."))
        layer = layer._replace(tensors=(*kept, *ffn))
        layers = stack(join(prefix, "encoder.blocks"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def merged(self, hidden: int) -> Iterator[Tensor]:
        """Into a text model of this width: a norm over each patch, then two layers over those that are merged."""
        width = self.hidden_size * self.merge_kernel_size[0] * self.merge_kernel_size[1]
        yield from layer_norm("pre_norm", self.hidden_size)
        yield from projector(("linear_1", "linear_2"), (width, width, hidden))
