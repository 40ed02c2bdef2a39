"""Janus and Janus-Pro: Llama with SigLIP for reading images, and an image tokenizer with its own embedding and head for drawing them.

Source: transformers 5.23, models/janus/modeling_janus.py and configuration_janus.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._schema import Flag, nested
from archcalc.arch.janus_vision_model import Schema as Vision
from archcalc.arch.janus_vqgan import Schema as Vqgan
from archcalc.blocks.vision import projector, table
from archcalc.model import Architecture, Tensor


def aligner(name: str, width: int, out: int, depth: int) -> Iterable[Tensor]:
    """`depth` linear layers from a tower's or a code's width."""
    yield from projector((f"{name}.fc1",), (width, out))
    for i in range(depth - 1):
        yield from projector((f"{name}.hidden_layers.{i}",), (out, out))


class Schema(VisionSchema):
    tower_name = "vision_model"

    vision_config: Annotated[Vision, nested("janus_vision_model", fixed=True), DEFAULT]
    vq_config: Annotated[Vqgan, nested("janus_vqgan", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        vision, vq = self.vision_config, self.vq_config
        yield from aligner("aligner", vision.hidden_size, vision.projection_dim, vision.depth)
        yield table("generation_embeddings", vq.num_embeddings, vq.embed_dim)
        yield from aligner("generation_aligner", vq.embed_dim, vq.projection_dim, vq.num_hidden_layers)
        widths = (vq.image_token_embed_dim, vq.projection_dim, vq.num_embeddings)
        yield from projector(("generation_head.proj_out", "generation_head.vision_head"), widths)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        return groups + self.vq_config.tower(f"{prefix}.vqmodel")[0], stacks
