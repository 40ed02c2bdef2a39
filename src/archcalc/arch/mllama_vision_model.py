"""The vision tower of Llama 3.2 Vision: tiles of an image side by side, positions by tile and aspect ratio, gated global layers.

Source: transformers 5.23, models/mllama/modeling_mllama.py (`MllamaVisionModel`) and configuration_mllama.py (defaults).
"""

from collections.abc import Iterator

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, grid, patch_conv, vit_attention
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    inert_keys = ("intermediate_layers_indices", "tie_word_embeddings")

    hidden_size: Size = 1280
    hidden_act: str = "gelu"
    num_hidden_layers: Layers = 32
    num_global_layers: int = Field(8, strict=True, ge=0, le=10_000)
    attention_heads: Size = Field(16, validation_alias=AliasChoices("num_attention_heads", "attention_heads"))
    num_channels: Size = 3
    intermediate_size: Size = 5120
    vision_output_dim: Size = 7680
    image_size: Size = 448
    patch_size: Size = 14
    max_num_tiles: Size = 4
    supported_aspect_ratios: list[list[int]] | None = None

    def layer(self, gated: bool) -> Layer:
        h = self.hidden_size
        norms = (*layer_norm("input_layernorm", h), *layer_norm("post_attention_layernorm", h))
        gates = [Tensor(name, (1,), "other") for name in ("gate_attn", "gate_ffn")] if gated else []
        attention = vit_attention(h, self.attention_heads, bias=False, names=("q_proj", "k_proj", "v_proj", "o_proj"))
        return encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms, extra=gates)

    def outside(self) -> Iterator[Tensor]:
        h, p, tiles, patches = self.hidden_size, self.patch_size, self.max_num_tiles, grid(self.image_size, self.patch_size) + 1
        # One row for each aspect ratio, and one for padding; eight ratios unless the config lists others.
        ratios = (8 if self.supported_aspect_ratios is None else len(self.supported_aspect_ratios)) + 1
        yield from patch_conv("patch_embedding", h, self.num_channels, p, p, bias=False)
        yield Tensor("class_embedding", (h,), "embedding")
        yield Tensor("gated_positional_embedding.gate", (1,), "embedding")
        yield Tensor("gated_positional_embedding.embedding", (patches, h), "embedding")
        yield Tensor("gated_positional_embedding.tile_embedding.weight", (ratios, tiles * patches * h), "embedding")
        for name in ("pre_tile_positional_embedding", "post_tile_positional_embedding"):
            yield Tensor(f"{name}.gate", (1,), "embedding")
            yield Tensor(f"{name}.embedding.weight", (ratios, tiles * h), "embedding")
        yield from layer_norm("layernorm_pre", h)
        yield from layer_norm("layernorm_post", h)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        stacks = [stack(join(prefix, "transformer.layers"), "vision", [self.layer(False)] * self.num_hidden_layers)]
        if self.num_global_layers:
            stacks.append(stack(join(prefix, "global_transformer.layers"), "vision", [self.layer(True)] * self.num_global_layers))
        return [group("vision", prefixed(prefix, self.outside()))], stacks
