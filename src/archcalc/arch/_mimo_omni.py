"""What stands beside MiMo-V2's text model where it sees and hears.

Source: vLLM 0.33, models/mimo_v2_omni.py (`MiMoVisionTransformer`), models/mimo_audio.py (`MimoAudioEncoder`, `MimoAudioEncoderConfig`:
defaults) and transformers_utils/configs/mimo_v2_omni.py (`Mimo_VLVisionConfig`: defaults). The tokenizer of sound stands in a folder of its
own, and is not counted.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, per_layer
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv, table
from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Encoder, Layer, Tensor, stack


class MimoVision(TowerSchema):
    """A ViT with groups of keys, windows of rows or columns, and sinks in layers that have one."""

    name = "mimovl"
    inert_keys = ("tokens_per_second", "num_query_groups", "window_size", "vit_window_attn_types", "visual_token_window_size")

    depth: Layers = 28
    hidden_size: Size = 1280
    hidden_act: str = "silu"
    intermediate_size: Size = 4608
    num_heads: Size = 32
    num_key_value_heads: Size | None = 8
    in_channels: Size = 3
    patch_size: Size = 16
    spatial_merge_size: Size = 2
    temporal_patch_size: Size = 2
    out_hidden_size: Size = 2048
    fullatt_block_indexes: tuple[int, ...] | None = None
    qk_channels: Size = 64
    kv_channels: Size = 64
    # The reference has no default.
    use_sink: Flag

    def layer(self, sinks: bool) -> Layer:
        h, n = self.hidden_size, self.num_heads
        attention = GroupedQueryAttention(
            h, n, self.num_key_value_heads or n, self.qk_channels, True, True, fused="qkv", names=("", "", "", "proj"),
            value_dim=self.kv_channels, sinks=sinks,
        )  # fmt: skip
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, bias=True)
        return encoder_layer(attention, ffn, (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")

    def outside(self) -> Iterator[Tensor]:
        h, patch, joined = self.hidden_size, self.patch_size, self.hidden_size * self.spatial_merge_size**2
        yield from patch_conv("patch_embed.proj", h, self.in_channels, self.temporal_patch_size, patch, patch, bias=False)
        yield rms_norm("merger.ln_q", h)
        yield from linear("merger.mlp.0", joined, joined, "other")
        yield from linear("merger.mlp.2", self.out_hidden_size, joined, "other")

    def tower(self, prefix: str) -> Pieces:
        full = (7, 15, 23, 31) if self.fullatt_block_indexes is None else self.fullatt_block_indexes
        layers = [self.layer(self.use_sink and i not in full) for i in range(self.depth)]
        return [group("vision", prefixed(prefix, self.outside()))], [stack(f"{prefix}.blocks", "vision", layers)]


class MimoAudio(TowerSchema):
    """Codes of several streams, summed, through a small Qwen 2 that joins a few frames."""

    name = "mimo_audio_encoder"
    inert_keys = ("speech_zeroemb_idx", "input_full_attention", "audio_segment_size")

    speech_vocab_size: str = "1025-1025-129-129-129-129-129-129"
    group_size: Size = 4
    audio_channels: Size = 8
    input_local_layers: Layers = 6
    input_local_dim: Size = 1024
    input_local_attn_heads: Size = 64
    input_local_head_dim: Size = 16
    input_local_intermediate_size: Size = 4096
    out_hidden_size: Size = 4096
    projection_layers: int = 1
    add_post_norm: Flag = False

    def codes(self) -> list[int]:
        """How many codes each stream has."""
        sizes = self.speech_vocab_size.split("-")
        if not all(size.isdigit() and int(size) for size in sizes):
            raise ConfigError(
                f"speech_vocab_size is {json_text(self.speech_vocab_size)}: numbers joined by - were expected",
                'as in "1025-1025-129"', "speech_vocab_size",
            )  # fmt: skip
        return [int(size) for size in per_layer(sizes, self.audio_channels, "speech_vocab_size", "audio_channels")]

    def outside(self) -> Iterator[Tensor]:
        h = self.input_local_dim
        for i, rows in enumerate(self.codes()):
            yield table(f"speech_embeddings.{i}", rows, h)
        joined, out = h * self.group_size, self.out_hidden_size
        if self.projection_layers == 1:
            yield from linear("projection", out, joined, "other")
        elif self.projection_layers == 2:
            yield from linear("projection.mlp.0", 4 * joined, joined, "other")
            yield from linear("projection.mlp.2", out, 4 * joined, "other")
        else:
            raise UnsupportedError(f"projection_layers is {self.projection_layers}: only 1 and 2 are known")
        if self.add_post_norm:
            yield rms_norm("input_local_transformer.norm", h)

    def tower(self, prefix: str) -> Pieces:
        h, n = self.input_local_dim, self.input_local_attn_heads
        attention = GroupedQueryAttention(h, n, n, head_width(h, n), bias=True)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        layer = make_layer(attention, GatedFeedForward(h, self.input_local_intermediate_size, "silu"), norms)._replace(caches=())
        layers = stack(f"{prefix}.input_local_transformer.layers", "audio", [layer] * self.input_local_layers)
        return [group("audio", prefixed(prefix, self.outside()))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
