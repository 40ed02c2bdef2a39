"""PEGASUS: sinusoidal positions that are stored, norms before the blocks.

Source: transformers 5.23, models/pegasus/modeling_pegasus.py and configuration_pegasus.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.model import SINUSOIDAL


class Schema(BartSchema):
    offset = 0
    embedding_norm = False
    last_norm = True
    norm_label = "LayerNorm (pre)"
    position = SINUSOIDAL
