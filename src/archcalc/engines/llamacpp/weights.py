"""llama.cpp's weights: the input layer stays on the CPU, and a tied head is loaded again for the GPU.

Source: llama.cpp 0c1e57098, src/llama-model.cpp `load_tensors`.
"""

from __future__ import annotations

from archcalc.engines.weights import Keep, WeightOptions
from archcalc.model import Architecture


class LlamaKeep(Keep):
    tied_apart = True

    def __init__(self, architecture: Architecture, options: WeightOptions) -> None:
        super().__init__(architecture, options)
        # Where the GPU reads the CPU's memory, the file is mapped for it whole, and nothing of it is held twice.
        self.embeds_on_cpu = options.device is None or options.device.vendor != "apple"
