"""The vision tower of Ling 3 with vision: Qwen3-VL's, which feeds no deeper layers and ends in a norm.

Source: vLLM 0.33, models/bailing_moe_v3_vl.py (`BailingMoeV3VisionTransformer`, `BailingMoeV3VLProjector`) and
transformers_utils/configs/bailing_moe_v3_vl.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import qwen3_vl_vision
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(qwen3_vl_vision.Schema):
    whole = False

    def deepstack(self) -> int:
        return 0

    def merger(self, norm: int) -> Iterator[Tensor]:
        return layer_norm("norm", norm)

    def projection(self, hidden: int) -> Iterator[Tensor]:
        """Into a text model of this width."""
        merged = self.hidden_size * self.spatial_merge_size**2
        return projector(("linear_fc1", "linear_fc2"), (merged, hidden, hidden))
