"""Youtu-VL: Youtu-LLM with SigLIP 2 of windows and rotary positions, whose patches are merged by four.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/youtuvl.py, gguf-py/gguf/tensor_mapping.py (names), tools/mtmd/clip.cpp and
tools/mtmd/models/youtuvl.cpp (`clip_graph_youtuvl`); defaults as SigLIP 2's.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Size, TowerSchema, nested
from archcalc.arch.siglip2_vision_model import Schema as Siglip2
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Tensor


class YoutuVlVision(Siglip2):
    """The vision tower of Youtu-VL: SigLIP 2 without a table of positions or a head.
    Source: llama.cpp (llama-cpp-python 0.3.36), tools/mtmd/models/youtuvl.cpp."""

    inert_keys = (
        *Siglip2.inert_keys, "window_size", "fullatt_block_indexes", "out_hidden_size", "tokens_per_second",
        "temporal_patch_size",
    )  # fmt: skip

    spatial_merge_size: Size = 2

    def pooled(self) -> bool:
        return False

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        table = f"{prefix}.embeddings.position_embedding.weight"
        return [g._replace(tensors=tuple(t for t in g.tensors if t.name != table)) for g in groups], stacks


class Schema(VisionSchema):
    ties = "stated"

    text_config: Annotated[ConfigSchema, nested("youtu_llm", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("youtu_vl_vision", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The text model's keys stand at the top level."""
        if isinstance(config.get("text_config"), dict):
            return config
        outer = ("vision_config", "architectures", "model_type", "auto_map")
        own = {key: value for key, value in config.items() if key not in outer}
        return {"text_config": own, **{key: config[key] for key in outer if key in config}}

    def text(self, prefix: str) -> Architecture:
        return self.text_config.architecture(prefix)

    def merger(self, width: int, hidden: int) -> Iterator[Tensor]:
        joined = width * int(getattr(self.vision_config, "spatial_merge_size", 2)) ** 2
        yield rms_norm("merger.ln_q", width)
        yield from linear("merger.mlp.0", joined, joined, "other", bias=True)
        yield from linear("merger.mlp.2", hidden, joined, "other", bias=True)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.vision_config.tower("siglip2.vision_model")
        return [*groups, group("vision", self.merger(self.tower_width(), text.facts.hidden_size))], stacks
