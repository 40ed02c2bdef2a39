"""NVLM-D: InternVL's structure, whose projector is as wide inside as the text model's FFN and has no biases.

Source: vLLM 0.33, models/nvlm_d.py (`_init_mlp1`); nvidia/NVLM-D-72B, modeling_nvlm_d.py.
"""

from archcalc.arch import internvl_chat
from archcalc.arch._decoder import group
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture


class Schema(internvl_chat.Schema):
    def architecture(self, prefix: str = "") -> Architecture:
        a = super().architecture(prefix)
        joined, hidden = self.vision_config.hidden_size * int(1 / self.downsample_ratio) ** 2, a.facts.hidden_size
        inner = a.facts.intermediate_size or hidden
        tensors = (*layer_norm("0", joined), *projector(("1", "3"), (joined, inner, hidden), bias=False))
        kept = tuple(g for g in a.groups if not any(t.name.startswith("mlp1.") for t in g.tensors))
        return a._replace(model_type="nvlm_d", groups=(*kept, group("vision", prefixed("mlp1", tensors))))
