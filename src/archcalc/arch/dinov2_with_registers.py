"""DINOv2 with registers: tokens that belong to no patch.

Source: transformers 5.24, models/dinov2_with_registers/modeling_dinov2_with_registers.py (`Dinov2WithRegistersModel`) and
configuration_dinov2_with_registers.py (defaults); Darcet et al. 2023, arXiv:2309.16588.
"""

from collections.abc import Iterable

from archcalc.arch import dinov2
from archcalc.arch._composite import Sides
from archcalc.arch._schema import Count
from archcalc.model import Tensor


class Schema(dinov2.Schema):
    root = "dinov2_with_registers"

    patch_size: Sides = 16
    num_register_tokens: Count = 4

    def registers(self) -> Iterable[Tensor]:
        if self.num_register_tokens:
            yield Tensor("embeddings.register_tokens", (1, self.num_register_tokens, self.hidden_size), "embedding")
