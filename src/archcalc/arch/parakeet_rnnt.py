"""Parakeet with a transducer: an LSTM over the tokens so far, and a small layer that joins it with the encoder's frames.

Source: transformers 5.24, models/parakeet/modeling_parakeet.py (`ParakeetForRNNT`) and configuration_parakeet.py (defaults); Graves 2012,
arXiv:1211.3711.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Layers, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import Tensor


def lstm(name: str, hidden: int, inner: int, layers: int) -> Iterator[Tensor]:
    """`torch.nn.LSTM`: four gates a layer, from the input and from the state."""
    for i in range(layers):
        yield Tensor(f"{name}.weight_ih_l{i}", (4 * hidden, hidden if i else inner), "other")
        yield Tensor(f"{name}.weight_hh_l{i}", (4 * hidden, hidden), "other")
        yield from (Tensor(f"{name}.bias_{side}_l{i}", (4 * hidden,), "other") for side in ("ih", "hh"))


class Schema(TowerSchema):
    outcome = "waves"

    prefix = "model"
    prefix = ""
    alone = "it keeps no cache of keys and values: of the tokens so far an LSTM keeps a state of a fixed size"
    inert_keys = ("blank_token_id", "max_symbols_per_step", "hidden_act", "is_encoder_decoder")

    encoder_config: Annotated[TowerSchema, nested("parakeet_encoder", fixed=True), DEFAULT]
    vocab_size: Size = 8193
    decoder_hidden_size: Size = 640
    num_decoder_layers: Layers = 2

    @property
    def hidden_size(self) -> int:
        return int(getattr(self.encoder_config, "hidden_size", 0))

    @property
    def num_attention_heads(self) -> int:
        return int(getattr(self.encoder_config, "num_attention_heads", 0))

    def rows(self) -> int:
        """How many things the joint layer chooses from."""
        return self.vocab_size

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.encoder_config.tower("encoder")
        h = self.decoder_hidden_size
        predictor = (
            *linear("encoder_projector", h, self.hidden_size, "other", bias=True), table("decoder.embedding", self.vocab_size, h),
            *lstm("decoder.lstm", h, h, self.num_decoder_layers), *linear("decoder.decoder_projector", h, h, "other", bias=True),
        )  # fmt: skip
        return [*groups, group("other", predictor)], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return linear("joint.head", self.rows(), self.decoder_hidden_size, "head", bias=True)


class ParakeetTdt(Schema):
    """Parakeet with a transducer that also says how long a token lasts.
    Source: transformers 5.24, models/parakeet/modeling_parakeet.py (`ParakeetForTDT`) and configuration_parakeet.py (defaults); Xu et al.
    2023, arXiv:2304.06795."""

    durations: tuple[int, ...] = (0, 1, 2, 3, 4)

    def rows(self) -> int:
        return self.vocab_size + len(self.durations)
