"""The vision tower of Qwen3-Omni: Qwen3-VL's, its mergers under other names.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeVisionEncoder`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from archcalc.arch import qwen3_vl_vision
from archcalc.arch._encoder import area, within
from archcalc.model import Encoder, Group, Stack

NAMES = (
    (".deepstack_merger_list.", ".merger_list."), (".norm.", ".ln_q."), (".linear_fc1.", ".mlp.0."), (".linear_fc2.", ".mlp.2."),
)  # fmt: skip


def renamed(name: str) -> str:
    for old, new in NAMES:
        name = name.replace(old, new)
    return name


class Schema(qwen3_vl_vision.Schema):
    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().tower(prefix)
        return [Group(g.part, tuple(t._replace(name=renamed(t.name)) for t in g.tensors)) for g in groups], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """As Qwen2.5-Omni, whose processors it has: an image, and a video of 14 frames."""
        most = area(28**2 * 16384, self.patch_size, self.spatial_merge_size)
        side, frames, levels = self.spatial_merge_size, self.temporal_patch_size, 1 + self.deepstack()
        source = "Qwen/Qwen3-Omni-30B-A3B-Instruct, preprocessor_config.json `max_pixels`"
        image = within(self, most, side, source, frames=frames, levels=levels, interpolated=True, rotated=True)
        source = "vLLM 0.33, models/qwen2_vl.py `_MAX_FRAMES_PER_VIDEO`"
        return (*image, *(e._replace(modality="video", source=source, clips=max(14 // frames, 1)) for e in image))
