"""The text model of Qwen 3.5, 3.6 and 3.8, dense: Qwen3-Next's mixers with four projections apart, a plain FFN, MTP.

Source: transformers 5.23, models/qwen3_5/modeling_qwen3_5.py and configuration_qwen3_5.py (defaults), conversion_mapping.py;
vLLM 0.33, models/qwen3_5_mtp.py.
"""

from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch import qwen3_next
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Count, Layers, Size
from archcalc.model import Architecture


class Schema(qwen3_next.Schema):
    fused = False

    vocab_size: Size = 248320
    hidden_size: Size = 4096
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 32
    num_key_value_heads: Size | None = 4
    # Published configs state it; the reference implementation has no such key, so its absence means no MTP.
    mtp_layers: Count = Field(0, validation_alias=AliasChoices("mtp_num_hidden_layers", "num_nextn_predict_layers"))

    def sparse(self, index: int) -> bool:
        return False

    def cut_out(self) -> bool:
        """Whether the checkpoint is the text half of a multimodal one, saved again by the reference implementation.

        The class is then still the multimodal one: tensors keep its names, and `mtp.*`, which it does not load, is gone.
        """
        classes = (self.model_extra or {}).get("architectures")
        return isinstance(classes, list) and any(str(c).endswith("ForConditionalGeneration") for c in classes)

    def stored_mtp_layers(self) -> int:
        return 0 if self.cut_out() else self.mtp_layers

    def architecture(self, prefix: str) -> Architecture:
        text = super().architecture(prefix)
        return text._replace(renames=((f"{prefix}.", f"{prefix}.language_model."),)) if self.cut_out() else text


class Qwen35MoeText(Schema):
    """The text model of Qwen 3.5, 3.6 and 3.8 with experts: a mixture in every layer.
    Source: transformers 5.23, models/qwen3_5_moe/modeling_qwen3_5_moe.py and configuration_qwen3_5_moe.py (defaults)."""

    hidden_size: Size = 2048
    num_hidden_layers: Layers = 40
    num_key_value_heads: Size | None = 2
    num_experts_per_tok: Size = 8
    num_experts: Size = 256

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")

    def sparse(self, index: int) -> bool:
        return True

    def more(self) -> dict[str, Any]:
        # The type has no dense layer, so its `intermediate_size` means nothing.
        return {**super().more(), "intermediate_size": None}
