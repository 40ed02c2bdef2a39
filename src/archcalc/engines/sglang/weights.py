"""SGLang's weights: as vLLM's, but for a second copy of MLA's up-projection that is always there."""

from __future__ import annotations

from archcalc.engines.budget import capability
from archcalc.engines.sglang.rules import since
from archcalc.engines.weights import JoinedKeep, Piece, WeightOptions, mxfp4_tiles
from archcalc.figures.checkpoint import Entry
from archcalc.model import Architecture


class SglangKeep(JoinedKeep):
    def __init__(self, architecture: Architecture, options: WeightOptions) -> None:
        super().__init__(architecture, options)
        self.tiles = mxfp4_tiles(architecture, options, triton=True, narrow=True)
        self.hidden = architecture.facts.hidden_size
        self.order_kept = _order_kept(architecture, options)

    def pieces(self, entry: Entry) -> tuple[Piece, ...]:
        """Experts in 4 bits whose Triton kernel reads no order of columns keep the tables of it all the same, two a product of int32."""
        pieces = super().pieces(entry)
        tensor = entry.tensor
        if not self.order_kept or tensor.experts is None or tensor.shard is None or not entry.name.endswith("weight_packed"):
            return pieces
        table = 2 * 4 * (entry.experts or 1)
        if ".down_proj." in entry.name:
            return (*pieces, Piece(table * tensor.shard.units, tensor.shard.units))
        # Gate and up share theirs.
        return (*pieces, Piece(table * self.hidden)) if ".gate_proj." in entry.name else pieces

    def latent_copy(self, entry: Entry) -> Piece | None:
        """SGLang 0.5.23, srt/models/deepseek_common/deepseek_weight_loader.py `post_load_weights`: always copies, FP8 stays FP8."""
        tensor = entry.tensor
        if tensor.shard is None or not self.up_projection(entry):
            return None
        return Piece(tensor.elements * (1 if entry.dtype.startswith("F8") else 2), tensor.shard.units)


def _order_kept(architecture: Architecture, options: WeightOptions) -> bool:
    """Whether experts run in Triton's kernel, whose loader leaves `w13_weight_g_idx` and the like as they were created.

    On AMD's GPUs, and on B200 and B300 for symmetric groups of 32 or 128 whose columns are not reordered.

    Source: SGLang 0.5.10 (AMD) and 0.5.23, srt/layers/quantization/compressed_tensors/compressed_tensors.py `get_moe_scheme`,
    schemes/compressed_tensors_wNa16_moe.py `create_weights`, `CompressedTensorsWNA16TritonMoE.process_weights_after_loading`.
    """
    device, stored = options.device, architecture.quantization or {}
    if device is None or stored.get("quant_method") != "compressed-tensors":
        return False
    if device.vendor == "amd":
        return since(options.version, 0, 5, 10)
    if device.vendor != "nvidia" or capability(device)[0] != 10 or not since(options.version, 0, 5, 23):
        return False
    groups = stored.get("config_groups")
    ways = [g.get("weights") or {} for g in groups.values() if isinstance(g, dict)] if isinstance(groups, dict) else []
    return bool(ways) and all(
        w.get("num_bits") == 4 and w.get("type") == "int" and w.get("strategy") == "group" and w.get("group_size") in (32, 128)
        and w.get("symmetric") and not w.get("actorder")
        for w in ways
    )  # fmt: skip
