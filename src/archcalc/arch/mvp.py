"""MVP: BART, with learned prompts for each attention if asked for.

Source: transformers 5.23, models/mvp/modeling_mvp.py and configuration_mvp.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(BartSchema):
    vocab_size: Size = 50267
    use_prompt: Flag = False
    prompt_length: Size = 100
    prompt_mid_dim: Size = 800

    def prompt(self, layers: int) -> Iterator[Tensor]:
        """Keys and values of a prompt for each layer, from one table through two linear layers."""
        h, mid = self.d_model, self.prompt_mid_dim
        yield table("prompt_embedding", self.prompt_length, h)
        yield from linear("prompt_trans.0", mid, h, "other", bias=True)
        yield from linear("prompt_trans.2", 2 * layers * h, mid, "other", bias=True)

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        yield from super().outside(decodes=decodes)
        # The decoder alone has none, and the encoder none either.
        if self.use_prompt and decodes and not self.alone:
            for name in ("self_attn_prompt", "cross_attn_prompt"):
                yield from prefixed(name, self.prompt(self.decoder_layers))
