"""The encoder of VibeVoice's tokenizers: stages of depthwise convolutions with FFNs, each half as wide as the next.

Source: transformers 5.23, models/vibevoice_acoustic_tokenizer/modeling_vibevoice_acoustic_tokenizer.py
(`VibeVoiceAcousticTokenizerEncoderModel`) and configuration_vibevoice_acoustic_tokenizer.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._decoder import group
from archcalc.arch._schema import Few, Size, TowerSchema
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Group, Stack, Tensor


class Schema(TowerSchema):
    prefix = "model"
    prefix = ""
    alone = "a model without text: it keeps no cache"

    channels: Size = 1
    hidden_size: Size = 64
    kernel_size: Size = 7
    num_filters: Size = 32
    downsampling_ratios: tuple[Size, ...] = (2, 2, 4, 5, 5, 8)
    depths: tuple[Few, ...] = (3, 3, 3, 3, 3, 3, 8)
    hidden_act: str = "gelu"
    ffn_expansion: Size = 4

    def block(self, width: int) -> Iterator[Tensor]:
        inner = self.ffn_expansion * width
        yield from (Tensor(name, (width,), "other") for name in ("gamma", "ffn_gamma"))
        yield from (rms_norm(name, width) for name in ("norm", "ffn_norm"))
        yield from linear("ffn.linear1", inner, width, "mlp", bias=True)
        yield from linear("ffn.linear2", width, inner, "mlp", bias=True)
        yield Tensor("mixer.conv.weight", (width, 1, self.kernel_size), "other")
        yield Tensor("mixer.conv.bias", (width,), "other")

    def depths_of(self) -> tuple[int, ...]:
        if len(self.depths) <= len(self.downsampling_ratios):
            raise ConfigError("depths is too short", "give one more depth than there are downsampling_ratios", "depths")
        return self.depths[: len(self.downsampling_ratios) + 1]

    def stages(self) -> Iterator[Tensor]:
        width, inner = self.num_filters, self.channels
        names = ["stem", *(f"conv_layers.{i}" for i in range(len(self.downsampling_ratios)))]
        kernels = [self.kernel_size, *(2 * ratio for ratio in self.downsampling_ratios)]
        for name, kernel, depth in zip(names, kernels, self.depths_of(), strict=True):
            yield from conv(f"{name}.conv.conv", width, inner, kernel)
            for i in range(depth):
                yield from prefixed(f"{name}.stage.{i}", self.block(width))
            width, inner = 2 * width, width
        yield from conv("head.conv", self.hidden_size, inner, self.kernel_size)

    def unstaged(self, depths: tuple[int, ...]) -> Iterator[Tensor]:
        """The way back to a waveform, of stages so deep: from the widest to the narrowest, with transposed convolutions between them."""
        ratios = self.downsampling_ratios
        if len(depths) != len(ratios) + 1:
            raise ConfigError("depths does not fit", "give one more depth than there are downsampling_ratios", "depths")
        width = self.num_filters * 2 ** len(ratios)
        yield from conv("stem.conv.conv", width, self.hidden_size, self.kernel_size)
        for i in range(depths[0]):
            yield from prefixed(f"stem.stage.{i}", self.block(width))
        for layer, (ratio, depth) in enumerate(zip(ratios[::-1], depths[1:], strict=True)):
            name, width = f"conv_layers.{layer}", width // 2
            yield Tensor(f"{name}.convtr.convtr.weight", (2 * width, width, 2 * ratio), "embedding")
            yield Tensor(f"{name}.convtr.convtr.bias", (width,), "embedding")
            for i in range(depth):
                yield from prefixed(f"{name}.stage.{i}", self.block(width))
        yield from conv("head.conv", self.channels, width, self.kernel_size)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        return [group("audio", below(prefix, self.stages()))], []


class VibevoiceAcousticTokenizerDecoder(Schema):
    """The decoder of VibeVoice's acoustic tokenizer.
    Source: transformers 5.24, models/vibevoice_acoustic_tokenizer/modeling_vibevoice_acoustic_tokenizer.py
    (`VibeVoiceAcousticTokenizerDecoderModel`)."""

    outcome = "waves"

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        return [group("audio", below(prefix, self.unstaged(self.depths)))], []


class VibevoiceAcousticTokenizer(Schema):
    """VibeVoice's acoustic tokenizer: a waveform into vectors and back.
    Source: transformers 5.24, models/vibevoice_acoustic_tokenizer/modeling_vibevoice_acoustic_tokenizer.py
    (`VibeVoiceAcousticTokenizerModel`)."""

    outcome = "waves"

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        both = (*prefixed("encoder", self.stages()), *prefixed("decoder", self.unstaged(self.depths[::-1])))
        return [group("audio", below(prefix, both))], []
