"""The text tower of CLIP.

Source: transformers 5.23, models/clip/modeling_clip.py (`CLIPTextModel`) and configuration_clip.py (defaults).
"""

from archcalc.arch._dual import TextTower


class Schema(TextTower):
    inert_keys = ("projection_dim",)
