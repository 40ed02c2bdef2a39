"""The vision tower of dots3 note: dense layers, then ever more experts, and a merger of patches.

Source: transformers 5.23, models/dots3_note/modeling_dots3_note.py (`Dots3NoteVisionModel`) and configuration_dots3_note.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import sparse_layers
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided, overrides
from archcalc.blocks._tensor import Block, linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.errors import ConfigError
from archcalc.model import Encoder, Group, Layer, Shard, Stack, stack

_PYRAMID = [-1] * 25 + list(range(4, 65, 4)) + [64]


class Schema(TowerSchema):
    inert_keys = ("base_config_key", "router_scale", "router_scaling_factor", "spatial_merge_size", "tie_word_embeddings")

    hidden_size: Size = Field(1536, validation_alias=AliasChoices("embed_dim", "hidden_size"))
    intermediate_size: Size = 4224
    num_hidden_layers: Layers = 42
    num_attention_heads: Size = Field(24, validation_alias=AliasChoices("num_heads", "num_attention_heads"))
    num_channels: Size = 3
    patch_size: Size = 14
    hidden_act: str = "silu"
    moe_intermediate_size: Size = 2112
    attention_bias: Flag = Field(False, validation_alias=AliasChoices("use_bias", "attention_bias"))
    mlp_bias: Flag = False
    mlp_layer_types: list[str] | None = None
    pyramid_num_routed: list[int] | None = None
    per_layer_config: dict[int, dict[str, Size]] | None = None
    num_local_experts: Size = 64
    num_experts_per_tok: Size | None = None
    capacity_factor: Size = 2
    adapter_in_dim: Size = 1536
    adapter_out_dim: Size = 5120
    adapter_merge_size: Size = 2

    def experts(self) -> list[int]:
        """How many experts each layer has; none is a dense FFN."""
        n, counts = self.num_hidden_layers, self.pyramid_num_routed
        if counts is None and self.mlp_layer_types is None:
            counts = _PYRAMID
        if counts is not None and len(counts) != n:
            raise ConfigError(
                f"pyramid_num_routed has {len(counts)} entries for {n} layers", "give one a layer", "pyramid_num_routed"
            )
        sparse = [count > 0 for count in counts] if counts is not None else sparse_layers(self.mlp_layer_types, [False] * n)
        given = overrides(self.per_layer_config, "num_local_experts")
        if self.per_layer_config is None:
            return [(counts[i] if counts else self.num_local_experts) if sparse[i] else 0 for i in range(n)]
        return [given.get(i, {}).get("num_local_experts", self.num_local_experts) if sparse[i] else 0 for i in range(n)]

    def layer(self, experts: int) -> Layer:
        h, heads, bias = self.hidden_size, self.num_attention_heads, self.attention_bias
        dim = divided(h, heads, "vision_config.hidden_size", "vision_config.num_attention_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, bias, bias, qk_norm="head", fused="qkv", names=("", "", "", "proj"))
        ffn: Block = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        if experts:
            active = min(self.num_experts_per_tok or self.capacity_factor, experts)
            ffn = MixtureOfExperts(
                h, self.moe_intermediate_size, experts, active, self.hidden_act, correction_bias="e_score_correction_bias"
            )
        return encoder_layer(attention, ffn, (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h, p, out, counts = self.hidden_size, self.patch_size, self.adapter_out_dim, self.experts()
        if self.adapter_in_dim != h:
            raise ConfigError(f"adapter_in_dim is {self.adapter_in_dim}, and the tower {h} wide", "correct one", "adapter_in_dim")
        built, width = {count: self.layer(count) for count in set(counts)}, h * self.adapter_merge_size**2
        outside = [
            *patch_conv("patch_embed.proj", h, self.num_channels, p, p),
            rms_norm("patch_embed.norm", h),
            rms_norm("norm", h),
            *layer_norm("merger.ln_q", h),
            *linear("merger.mlp.0", width, width, "other", bias=True, shard=Shard(0, width)),
            *linear("merger.mlp.2", out, width, "other", bias=True, shard=Shard(1, width)),
        ]
        layers = stack(join(prefix, "blocks"), "vision", [built[count] for count in counts])
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(28**2 * 1280, self.patch_size, self.adapter_merge_size)
        source = "transformers 5.24, models/qwen2_vl/image_processing_qwen2_vl.py `size`, which models/auto gives dots3_note"
        return within(self, most, self.adapter_merge_size, source, rotated=True)
