"""The vision tower of Qwen 3.5, 3.6 and 3.8: Qwen3-VL's with one merger, behind the last layer.

Source: transformers 5.23, models/qwen3_5/modeling_qwen3_5.py (`Qwen3_5VisionModel`) and configuration_qwen3_5.py (defaults).
"""

from archcalc.arch import qwen3_vl_vision


class Schema(qwen3_vl_vision.Schema):
    # Published configs carry Qwen3-VL's key, empty; the implementation does not read it.
    deepstack_visual_indexes: tuple[int, ...] = ()

    def deepstack(self) -> int:
        return 0
