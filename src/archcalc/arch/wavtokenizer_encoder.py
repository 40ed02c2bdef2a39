"""The encoder of WavTokenizer, which turns a waveform into codes: SEANet's convolutions with weight normalization, and an LSTM.

Its codebook is a buffer, so it is counted nowhere.

Source: transformers 5.24, models/wavtokenizer/modeling_wavtokenizer.py (`WavTokenizerEncoderModel`) and configuration_wavtokenizer.py
(defaults); Ji et al. 2024, arXiv:2408.16532.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.arch._seanet import SeanetTower
from archcalc.blocks._tensor import prefixed
from archcalc.model import Tensor


class Schema(SeanetTower):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "adanorm_num_embeddings", "codebook_dim", "codebook_size", "decoder_attention_num_groups", "decoder_hidden_size",
        "decoder_intermediate_size", "decoder_num_layers", "dilation_growth_rate", "pad_mode", "use_causal_conv", "sampling_rate",
    )  # fmt: skip

    num_filters: Size = 32
    upsampling_ratios: list[Size] | None = Field(default_factory=lambda: [6, 5, 5, 4])
    last_kernel_size: Size = 7
    use_conv_shortcut: Flag = True
    norm_type: Literal["weight_norm", "time_group_norm"] = "weight_norm"
    num_lstm_layers: Layers = 2

    def normalized(self, tensors: Iterator[Tensor]) -> Iterator[Tensor]:
        """Each convolution as a direction and a length, or with a norm behind it."""
        for t in tensors:
            name, _, end = t.name.rpartition(".")
            if end == "bias" or self.norm_type != "weight_norm":
                yield t
                if end == "bias" and self.norm_type != "weight_norm":
                    at = name.removesuffix("conv")
                    yield from (Tensor(f"{at}norm.{kind}", t.shape, "norm") for kind in ("weight", "bias"))
                continue
            weight = f"{name}.parametrizations.weight.original"
            yield t._replace(name=f"{weight}0", shape=(t.shape[0], 1, 1))
            yield t._replace(name=f"{weight}1")

    def lstm(self, at: int, width: int) -> Iterator[Tensor]:
        for i in range(self.num_lstm_layers):
            for name in ("ih", "hh"):
                yield Tensor(f"{at}.lstm.weight_{name}_l{i}", (4 * width, width), "other")
                yield Tensor(f"{at}.lstm.bias_{name}_l{i}", (4 * width,), "other")

    def layers(self) -> Iterator[Tensor]:
        """SEANet's, with the LSTM and what follows it one place on."""
        at, width = len(self.ratios) * (self.num_residual_layers + 2) + 1, self.num_filters * 2 ** len(self.ratios)
        last = f"{at + 1}."
        for t in self.encoder():
            yield t._replace(name=f"{at + 2}.{t.name.removeprefix(last)}") if t.name.startswith(last) else t
        yield from self.lstm(at, width)

    def tower(self, prefix: str) -> Pieces:
        convolutions = (t for t in self.layers() if ".lstm." not in t.name)
        recurrent = (t for t in self.layers() if ".lstm." in t.name)
        inside = prefixed("encoder.layers", (*self.normalized(convolutions), *recurrent))
        return [group("audio", prefixed(prefix, inside))], []


class Encodec(Schema):
    """EnCodec, an audio codec: SEANet's convolutions with weight normalization and an LSTM either way, a residual quantizer
    between.
    Its codebooks are buffers, so they are counted nowhere.
    Source: transformers 5.24, models/encodec/modeling_encodec.py (`EncodecModel`) and configuration_encodec.py (defaults);
    Défossez et al. 2022, arXiv:2210.13438."""

    inert_keys = (
        *Schema.inert_keys, "chunk_length_s", "normalize", "overlap", "target_bandwidths", "trim_right_ratio",
    )  # fmt: skip

    hidden_size: Size = 128
    upsampling_ratios: list[Size] | None = Field(default_factory=lambda: [8, 5, 4, 2])

    def up(self) -> Iterator[Tensor]:
        """SEANet's way up with an LSTM behind the first convolution."""
        width = self.num_filters * 2 ** len(self.ratios)
        for t in self.decoder():
            at, _, rest = t.name.partition(".")
            yield t if at == "0" else t._replace(name=f"{int(at) + 1}.{rest}")
        yield from self.lstm(1, width)

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        convolutions, recurrent = (t for t in self.up() if ".lstm." not in t.name), (t for t in self.up() if ".lstm." in t.name)
        inside = prefixed("decoder.layers", (*self.normalized(convolutions), *recurrent))
        return [*groups, group("audio", prefixed(prefix, inside))], stacks
