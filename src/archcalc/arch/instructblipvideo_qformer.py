"""The Q-Former of InstructBLIP for video. Source: transformers 5.23, models/instructblipvideo/ (the same as instructblip's)."""

from archcalc.arch.blip_2_qformer import InstructblipQformer as Schema

__all__ = ["Schema"]
