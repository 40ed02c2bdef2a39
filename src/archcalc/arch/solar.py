"""Solar Pro (preview): Llama's layers, some of which read again what earlier ones made; that has no weights.

Source: upstage/solar-pro-preview-instruct, modeling_solar.py and configuration_solar.py; vLLM 0.33, models/solar.py (`bskcn_*`).
"""

from archcalc.arch import llama
from archcalc.model import Architecture


class Schema(llama.Schema):
    inert_keys = (
        "bskcn_1",
        "bskcn_2",
        "bskcn_3",
        "bskcn_4",
        "bskcn_tv",
        "pretraining_tp",
        "sliding_window",
    )

    def architecture(self, prefix: str = "model") -> Architecture:
        a = super().architecture(prefix)
        more = ("skips", "hidden states of earlier layers mixed into later ones")
        return a._replace(model_type="solar", facts=a.facts._replace(more=(*a.facts.more, more)))
