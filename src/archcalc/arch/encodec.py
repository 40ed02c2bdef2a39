"""EnCodec, an audio codec: SEANet's convolutions with weight normalization and an LSTM either way, a residual quantizer between.

Its codebooks are buffers, so they are counted nowhere.

Source: transformers 5.24, models/encodec/modeling_encodec.py (`EncodecModel`) and configuration_encodec.py (defaults); Défossez et al.
2022, arXiv:2210.13438.
"""

from collections.abc import Iterator

from pydantic import Field

from archcalc.arch import wavtokenizer_encoder
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import prefixed
from archcalc.model import Tensor


class Schema(wavtokenizer_encoder.Schema):
    inert_keys = (
        *wavtokenizer_encoder.Schema.inert_keys, "chunk_length_s", "normalize", "overlap", "target_bandwidths", "trim_right_ratio",
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
