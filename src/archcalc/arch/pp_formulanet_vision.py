"""The encoder of PP-FormulaNet: SAM's, with convolutions and linear layers into the decoder's width.

Source: transformers 5.23, models/pp_formulanet/modeling_pp_formulanet.py (`PPFormulaNetVisionModel`) and configuration_pp_formulanet.py
(defaults).
"""

from archcalc.arch import got_ocr2_vision
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(got_ocr2_vision.Schema):
    image_size: Size = 512
    post_conv_in_channels: Size = 256
    post_conv_mid_channels: Size = 512
    post_conv_out_channels: Size = 1024
    decoder_hidden_size: Size = 512

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        first, second, out = self.post_conv_in_channels, self.post_conv_mid_channels, self.post_conv_out_channels
        tensors = (
            Tensor("conv1.weight", (second, first, 3, 3), "other"),
            Tensor("conv2.weight", (out, second, 3, 3), "other"),
            *projector(("linear_1", "linear_2"), (out, out, self.decoder_hidden_size)),
        )
        return [*groups, group("vision", prefixed(f"{prefix}.multi_modal_projector", tensors))], stacks
