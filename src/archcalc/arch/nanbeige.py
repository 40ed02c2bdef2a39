"""Nanbeige 4: Llama's layers, which some models run several times over, each time over a past of their own.

Source: mlx-lm 0.32, models/nanbeige.py (`effective_num_loops`, `make_cache`; what it refuses is refused here).
"""

from archcalc.arch import llama
from archcalc.arch._schema import Flag, Layers
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(llama.Schema):
    inert_keys = ("skip_loop_final_norm",)

    num_loops: Layers = 1
    loop_loss_weights: list[float] | None = None
    enable_double_loop_split: Flag = False
    loop_share_kv: Flag = False
    enable_depth_attention: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        for key in ("enable_double_loop_split", "loop_share_kv", "enable_depth_attention"):
            if getattr(self, key):
                raise UnsupportedError(f"{key} is true: archcalc does not model it, as mlx-lm does not")
        # One weight for each loop after the first.
        loops = len(self.loop_loss_weights) + 1 if self.loop_loss_weights else self.num_loops
        a = super().architecture(prefix)
        if loops == 1:
            return a
        stacks = tuple(
            s._replace(kinds=tuple(k._replace(caches=k.caches * loops, attends=k.attends * loops) for k in s.kinds))
            for s in a.stacks
        )
        more = (*a.facts.more, ("recurrence", f"{loops} passes through all layers"))
        note = "FLOPs count the matrices of a layer once, however often it runs"
        return a._replace(stacks=stacks, facts=a.facts._replace(more=more), notes=(*a.notes, note))
