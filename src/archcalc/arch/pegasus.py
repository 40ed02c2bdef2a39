"""PEGASUS: sinusoidal positions that are stored, norms before the blocks.

Source: transformers 5.23, models/pegasus/modeling_pegasus.py and configuration_pegasus.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._bart import BartSchema
from archcalc.model import SINUSOIDAL, Position


class Schema(BartSchema):
    name: ClassVar[str] = "pegasus"
    offset: ClassVar[int] = 0
    embedding_norm: ClassVar[bool] = False
    last_norm: ClassVar[bool] = True
    norm_label: ClassVar[str] = "LayerNorm (pre)"
    position: ClassVar[Position] = SINUSOIDAL
