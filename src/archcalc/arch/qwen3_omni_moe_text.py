"""The text model of Qwen3-Omni's thinker: Qwen 3's with experts.

Source: transformers 5.23, models/qwen3_omni_moe/configuration_qwen3_omni_moe.py (`Qwen3OmniMoeTextConfig`, defaults).
"""

from archcalc.arch import qwen3_moe
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Layers, Size


class OmniSchema(qwen3_moe.Schema):
    """What the decoders of thinker and talker share."""

    sliding_window: Size | None = None

    @property
    def windowed(self) -> bool:
        """The class has no `use_sliding_window`: a window holds wherever it is stated."""
        return True


class Schema(OmniSchema):
    vocab_size: Size = 3584
    intermediate_size: Size = 18944
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 28

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")
