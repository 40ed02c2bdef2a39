"""The encoder of VibeVoice's tokenizers: stages of depthwise convolutions with FFNs, each half as wide as the next.

Source: transformers 5.23, models/vibevoice_acoustic_tokenizer/modeling_vibevoice_acoustic_tokenizer.py
(`VibeVoiceAcousticTokenizerEncoderModel`) and configuration_vibevoice_acoustic_tokenizer.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group
from archcalc.arch._schema import Few, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Group, Stack, Tensor


class Schema(TowerSchema):
    inert_keys = ("layer_scale_init_value", "vae_std")

    channels: Size = 1
    hidden_size: Size = 64
    kernel_size: Size = 7
    num_filters: Size = 32
    downsampling_ratios: tuple[Size, ...] = (2, 2, 4, 5, 5, 8)
    depths: tuple[Few, ...] = (3, 3, 3, 3, 3, 3, 8)
    hidden_act: str = "gelu"
    ffn_expansion: Size = 4

    def block(self, wide: int) -> Iterator[Tensor]:
        inner = self.ffn_expansion * wide
        yield from (Tensor(name, (wide,), "other") for name in ("gamma", "ffn_gamma"))
        yield from (rms_norm(name, wide) for name in ("norm", "ffn_norm"))
        yield from linear("ffn.linear1", inner, wide, "mlp", bias=True)
        yield from linear("ffn.linear2", wide, inner, "mlp", bias=True)
        yield Tensor("mixer.conv.weight", (wide, 1, self.kernel_size), "other")
        yield Tensor("mixer.conv.bias", (wide,), "other")

    def stages(self) -> Iterator[Tensor]:
        wide, inner = self.num_filters, self.channels
        if len(self.depths) <= len(self.downsampling_ratios):
            raise ConfigError("depths is too short", "give one more depth than there are downsampling_ratios", "depths")
        names = ["stem", *(f"conv_layers.{i}" for i in range(len(self.downsampling_ratios)))]
        kernels = [self.kernel_size, *(2 * ratio for ratio in self.downsampling_ratios)]
        for name, kernel, depth in zip(names, kernels, self.depths, strict=False):
            yield from conv(f"{name}.conv.conv", wide, inner, kernel)
            for i in range(depth):
                yield from prefixed(f"{name}.stage.{i}", self.block(wide))
            wide, inner = 2 * wide, wide
        yield from conv("head.conv", self.hidden_size, inner, self.kernel_size)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        return [group("audio", prefixed(prefix, self.stages()))], []
