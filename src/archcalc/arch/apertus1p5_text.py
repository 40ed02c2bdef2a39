"""The text model of Apertus 1.5: Apertus with codes of images and audio in its vocabulary, and a head that may leave those out.

Source: transformers 5.24, models/apertus1p5/modeling_apertus1p5.py (`Apertus1p5TextForCausalLM`) and configuration_apertus1p5.py
(defaults).
"""

from typing import Any

from archcalc.arch import apertus
from archcalc.arch._schema import Size


class Schema(apertus.Schema):
    vocab_size: Size = 266752
    output_vocab_size: Size | None = None

    def placed(self) -> dict[str, Any]:
        return {"head_rows": self.output_vocab_size}
