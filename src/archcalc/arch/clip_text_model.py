"""The text tower of CLIP.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPTextModel`) and configuration_clip.py (defaults).
"""

from archcalc.arch._dual import TextTower


class Schema(TextTower):
    inert_keys = ("projection_dim",)


class ClipsegTextModel(Schema):
    """The text tower of CLIPSeg: CLIP's.
    Source: transformers 5.24, models/clipseg/modeling_clipseg.py (`CLIPSegTextModel`)."""

    prefix = ""


class Metaclip2TextModel(Schema):
    """The text tower of MetaCLIP 2: CLIP's.
    Source: transformers 5.24, models/metaclip_2/modeling_metaclip_2.py (`MetaClip2TextModel`)."""

    prefix = ""
