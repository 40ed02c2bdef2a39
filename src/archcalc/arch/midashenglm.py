"""MiDashengLM: Qwen 2.5 Omni's text model with Dasheng, a ViT over spectrograms, whose frames are joined by five.

Source: vLLM 0.33, models/midashenglm.py (`MiDashengLMModel`, `DashengAudioTransformer`: names, modules) and
transformers_utils/configs/midashenglm.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, Sides, both
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Architecture, Encoder, Layer, Tensor, stack


class MidashenglmDashengEncoder(TowerSchema):
    """Dasheng: a ViT over spectrograms, with positions for time and for pitch.
    Source: vLLM 0.33, models/midashenglm.py (`DashengAudioTransformer`)."""

    inert_keys = ("outputdim", "drop_rate", "attn_drop_rate", "f_min", "f_max", "center", "win_length", "hop_length", "sample_rate",
                  "n_fft")  # fmt: skip

    embed_dim: Size = 768
    patch_size: Sides = 16
    patch_stride: Sides = 16
    input_channels: Size = 1
    target_length: Size = 1012
    depth: Layers = 12
    num_heads: Size = 12
    mlp_ratio: float = 4.0
    qkv_bias: Flag = True
    init_values: float | None = None
    n_mels: Size = 64

    @property
    def hidden_size(self) -> int:
        return self.embed_dim

    def layer(self) -> Layer:
        h, n = self.embed_dim, self.num_heads
        attention = GroupedQueryAttention(h, n, n, head_width(h, n), self.qkv_bias, True, fused="qkv", names=("", "", "", "proj"))
        scales = [Tensor(f"ls{i}.gamma", (h,), "other") for i in (1, 2) if self.init_values]
        norms = (*layer_norm("norm1", h), *layer_norm("norm2", h))
        return encoder_layer(attention, FeedForward(h, int(h * self.mlp_ratio)), norms, attention_name="attn", extra=scales)

    def outside(self) -> Iterator[Tensor]:
        h, (down, across) = self.embed_dim, both(self.patch_stride)
        yield from layer_norm("init_bn", self.n_mels)
        yield from patch_conv("patch_embed.proj", h, self.input_channels, *both(self.patch_size))
        yield Tensor("time_pos_embed", (1, h, 1, self.target_length // across), "embedding")
        yield Tensor("freq_pos_embed", (1, h, self.n_mels // down, 1), "embedding")
        yield from layer_norm("norm", h)

    def tower(self, prefix: str) -> Pieces:
        layers = stack(f"{prefix}.blocks", "audio", [self.layer()] * self.depth)
        return [group("audio", prefixed(prefix, self.outside()))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Schema(CompositeSchema):
    ties = "stated"

    text_config: Annotated[ConfigSchema, nested("qwen2_5_omni_text", fixed=True), DEFAULT]
    audio_encoder_config: Annotated[MidashenglmDashengEncoder, nested("midashenglm_dasheng_encoder", fixed=True), DEFAULT]
    subsample_factor: Size = 5

    def text(self, prefix: str) -> Architecture:
        text = self.text_config.architecture("decoder.model")
        heads = (g._replace(tensors=tuple(prefixed("decoder", g.tensors))) if g.part == "head" else g for g in text.groups)
        return text._replace(groups=tuple(heads))

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        audio, hidden = self.audio_encoder_config, text.facts.hidden_size
        groups, stacks = audio.tower("audio_encoder")
        others = (
            *linear("audio_projector.net.0", hidden, audio.embed_dim * self.subsample_factor, "other", bias=True),
            *linear("audio_projector.net.2", hidden, hidden, "other", bias=True),
        )
        return [*groups, group("audio", others)], stacks
