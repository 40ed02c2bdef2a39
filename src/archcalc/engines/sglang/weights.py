"""SGLang's weights: as vLLM's, but for a second copy of MLA's up-projection that is always there."""

from __future__ import annotations

from archcalc.engines.weights import JoinedKeep, Options, Piece, mxfp4_tiles
from archcalc.figures.checkpoint import Entry
from archcalc.model import Architecture


class SglangKeep(JoinedKeep):
    def __init__(self, architecture: Architecture, options: Options) -> None:
        super().__init__(architecture, options)
        self.tiles = mxfp4_tiles(architecture, options, triton=True, narrow=True)

    def latent_copy(self, entry: Entry) -> Piece | None:
        """SGLang 0.5.23, srt/models/deepseek_common/deepseek_weight_loader.py `post_load_weights`: always copies, FP8 stays FP8."""
        tensor = entry.tensor
        if tensor.shard is None or not self.up_projection(entry):
            return None
        return Piece(tensor.elements * (1 if entry.dtype.startswith("F8") else 2), tensor.shard.units)
