"""Decoders' layers that see both ways, over a text that is filled in over several passes: nothing of one pass serves the next."""

from __future__ import annotations

from archcalc.model import Architecture, bidirectional

NOTE = "a diffusion model: all tokens are made in several passes over the whole text: FLOPs are those of one pass, and nothing is cached"
IN_BLOCKS = (
    "a diffusion model: a block of tokens is made in several passes over all of them, and cached when it is done: FLOPs are those of "
    "one pass"
)


def uncached(a: Architecture) -> Architecture:
    """The same layers, each of which sees all tokens of a pass and keeps none."""
    return bidirectional(a)._replace(refines=True, returned=False, notes=(*a.notes, NOTE))
