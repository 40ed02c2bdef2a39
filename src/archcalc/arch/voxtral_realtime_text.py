"""The text model of Voxtral Realtime: Mistral's layer with a norm that two small linear layers adapt to the delay.

Source: transformers 5.23, models/voxtral_realtime/modeling_voxtral_realtime.py (`VoxtralRealtimeTextModel`) and
configuration_voxtral_realtime.py (defaults).
"""

from collections.abc import Iterable, Sequence

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(PlainSchema):
    whole_heads = False

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 131072
    sliding_window: Tokens | None = 4096

    def windows(self) -> Sequence[int | None]:
        return [self.sliding_window] * self.num_hidden_layers

    def extra(self, variant: int) -> Iterable[Tensor]:
        h, inner = self.hidden_size, 32  # fixed in the class
        yield from linear("ada_rms_norm.linear1", inner, h, "norm")
        yield from linear("ada_rms_norm.linear2", h, inner, "norm")
