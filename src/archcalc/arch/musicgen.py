"""MusicGen: T5's encoder reads a text, and a decoder makes codes of music, which EnCodec turns into sound.

Source: transformers 5.24, models/musicgen/modeling_musicgen.py (`MusicgenForConditionalGeneration`) and configuration_musicgen.py
(defaults).
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.arch._vlm import under
from archcalc.arch.musicgen_decoder import Schema as Decoder
from archcalc.arch.t5 import Schema as T5Schema
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Tensor


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("text_encoder", "audio_encoder", "decoder")
    own_heads = True
    inert_keys: ClassVar[tuple[str, ...]] = ("initializer_factor", "sampling_rate", "tie_encoder_decoder")

    text_encoder: Annotated[T5Schema, nested("t5")]
    audio_encoder: Annotated[TowerSchema, nested("encodec")]
    decoder: Annotated[Decoder, nested("musicgen_decoder", fixed=True)]

    def between(self, prefix: str, width: int, hidden: int) -> Iterator[Tensor]:
        """What leads from the text to the decoder."""
        if width != hidden:
            yield from linear(join(prefix, "enc_to_dec_proj"), hidden, width, "other", bias=True)

    def architecture(self, prefix: str) -> Architecture:
        text = under(
            self.text_encoder.model_copy(update={"architectures": ["T5EncoderModel"]}).standalone(), join(prefix, "text_encoder")
        )
        groups, stacks = self.audio_encoder.tower(join(prefix, "audio_encoder"))
        groups += [group("other", g.tensors) for g in text.groups]
        stacks += [s._replace(part="other") for s in text.stacks]
        a = self.decoder.architecture(join(prefix, "decoder"))
        groups.append(group("other", self.between(prefix, text.facts.hidden_size, a.facts.hidden_size)))
        a = with_tower(a, groups, stacks)
        return a._replace(facts=a.facts._replace(more=(*a.facts.more, ("encoder", f"T5, {len(text.stacks[0].pattern)} layers"))))
