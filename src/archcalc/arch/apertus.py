"""Apertus: QK-norm and a plain FFN with xIELU, whose two slopes are learned.

Source: transformers 5.23, models/apertus/modeling_apertus.py and configuration_apertus.py (defaults), activations.py
(`XIELUActivation`).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import Tensor


class Schema(PlainSchema):
    inert_keys = ("mlp_bias", "post_norm", "qk_norm")
    whole_heads = False
    gated = False
    qk_norm = "head"
    norms = ("attention_layernorm", "feedforward_layernorm")

    vocab_size: Size = 131072
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    hidden_act: str = "xielu"
    max_position_embeddings: Tokens = 65536
    attention_bias: Flag = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, False, ("up_proj", "down_proj"))

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.hidden_act == "xielu":
            for name in ("alpha_p", "alpha_n"):
                yield Tensor(f"mlp.act_fn.{name}", (1,), "mlp", acts="multiplies")


class Apertus1p5Text(Schema):
    """The text model of Apertus 1.5: Apertus with codes of images and audio in its vocabulary, and a head that may leave those out.
    Source: transformers 5.24, models/apertus1p5/modeling_apertus1p5.py (`Apertus1p5TextForCausalLM`) and configuration_apertus1p5.py
    (defaults)."""

    vocab_size: Size = 266752
    output_vocab_size: Size | None = None

    def decoder_options(self) -> dict[str, Any]:
        return {"head_rows": self.output_vocab_size}
