"""vLLM's weights: joined and padded, and what its kernels make of some of them."""

from __future__ import annotations

from archcalc.engines.vllm.cache import served_dtype
from archcalc.engines.vllm.rules import at_least
from archcalc.engines.weights import FLOATS, JoinedKeep, Options, Piece, cuda, mxfp4_tiles
from archcalc.figures.checkpoint import Entry
from archcalc.model import Architecture


class VllmKeep(JoinedKeep):
    def __init__(self, architecture: Architecture, options: Options) -> None:
        super().__init__(architecture, options)
        version, generation = options.version, cuda(options.device)
        if options.dtype is None and served_dtype(architecture, version, generation and generation[0]) == "fp32":
            self.dtype = "F32"
        # 0.11 took Marlin on Hopper where triton_kernels was missing.
        self.tiles = mxfp4_tiles(architecture, options, triton=at_least(version, 0, 12), narrow=at_least(version, 0, 19))
        self.towers = "first" if at_least(version, 0, 33) else "every"
        # Scales of Marlin's FP8 kernels, for GPUs without FP8 units, are of the model's dtype, one to each column and group.
        # vLLM 0.33, quantization/utils/marlin_utils_fp8.py `prepare_fp8_layer_for_marlin`, `prepare_moe_fp8_layer_for_marlin`.
        self.marlin_fp8 = (cuda(options.device) or (9, 0)) < (8, 9)

    def latent_copy(self, entry: Entry) -> Piece | None:
        """vLLM 0.33, layers/attention/mla_attention.py `process_weights_after_loading`: views of the weight, unless it was quantized."""
        tensor = entry.tensor
        if tensor.shard is None or not self.up_projection(entry) or entry.dtype in FLOATS:
            return None
        return Piece(2 * tensor.elements, tensor.shard.units)

    def bytes(self, entry: Entry) -> int:
        if self.marlin_fp8 and entry.name.endswith("weight_scale_inv"):
            out, width = entry.tensor.shape[-2:]
            if entry.tensor.experts is not None and entry.experts:
                out //= len(entry.tensor.stored) or 1
            return out * -(-width // 128) * (entry.experts or 1) * 2
        return super().bytes(entry)
