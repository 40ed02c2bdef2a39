"""The talker of Qwen3-Omni: a decoder with experts that writes the first code of a sound, and a small one that writes the others,
with a table and a head for each.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeTalkerForConditionalGeneration`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.arch.qwen3 import Qwen3OmniMoeTalkerCodePredictor as Predictor
from archcalc.arch.qwen3_omni_moe_talker_text import Schema as Text
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.vision import projector, table
from archcalc.model import Architecture, Tensor


class Schema(TowerSchema):
    inert_keys = (
        "num_code_groups", "accept_hidden_layer", "codec_nothink_id", "codec_think_bos_id", "codec_think_eos_id", "codec_pad_id",
        "codec_bos_id", "codec_eos_token_id", "position_id_per_seconds", "speaker_id", "spatial_merge_size", "seconds_per_chunk",
    )  # fmt: skip

    code_predictor_config: Annotated[Predictor, nested("qwen3_omni_moe_talker_code_predictor", fixed=True), DEFAULT]
    text_config: Annotated[Text, nested("qwen3_omni_moe_talker_text", fixed=True), DEFAULT]
    thinker_hidden_size: Size = 2048

    def outside(self, text: Architecture, predictor: Architecture) -> Iterator[Tensor]:
        t = self.text_config
        for g in text.groups:
            yield from g.tensors if g.part == "decoder" else ()
        for g in predictor.groups:
            yield from g.tensors
        yield table("model.codec_embedding", t.vocab_size, t.hidden_size)
        for name in ("text_projection", "hidden_projection"):
            widths = (self.thinker_hidden_size, t.intermediate_size, t.hidden_size)
            yield from projector((f"{name}.linear_fc1", f"{name}.linear_fc2"), widths)
        yield from linear("codec_head", t.vocab_size, t.hidden_size, "head")

    def tower(self, prefix: str) -> Pieces:
        text, predictor = self.text_config.architecture("model"), self.code_predictor_config.architecture("code_predictor.model")
        stacks = [s._replace(prefix=f"{prefix}.{s.prefix}", part="audio") for s in (*text.stacks, *predictor.stacks)]
        return [group("audio", prefixed(prefix, self.outside(text, predictor)))], stacks
