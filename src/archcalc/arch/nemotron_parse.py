"""Nemotron Parse: C-RADIO with a neck that joins patches by four, and MBart's decoder without positions.

Source: vLLM 0.33, models/nemotron_parse.py (`NemotronParseForConditionalGeneration`, `RadioWithNeck`, `MBartDecoderNoPos`: names, modules,
the neck's width).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._bart import BartSchema
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch._whisper import conv
from archcalc.arch.c_radio import Schema as Radio
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import NOPE, Architecture, Tensor

NECK = 1024


class NemotronParseDecoder(BartSchema):
    """The decoder of Nemotron Parse: MBart's, without positions.
    Source: vLLM 0.33, models/nemotron_parse.py (`MBartDecoderNoPos`)."""

    inert_keys = (*BartSchema.inert_keys, "scale_embedding")
    norm_label = "LayerNorm (pre)"
    position = NOPE
    last_norm = True

    causal_vision_prefix: Flag = False

    @property
    def alone(self) -> bool:
        return True

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        return (t for t in super().outside(decodes=decodes) if not t.name.startswith("embed_positions"))


class Schema(ConfigSchema):
    prefix = ""
    inert_keys = ("max_sequence_length", "image_size", "decoder_start_token_id", "is_encoder_decoder")
    core_keys = ("encoder", "decoder")

    encoder: Annotated[Radio, nested("c_radio", fixed=True)]
    decoder: Annotated[NemotronParseDecoder, nested("nemotron_parse_decoder", fixed=True)]
    tie_word_embeddings: Flag = False

    def neck(self, width: int, summary: int) -> Iterator[Tensor]:
        yield from conv("conv1", NECK, width, 1, role="other")
        yield from conv("conv2", NECK, NECK, 1, 4, bias=False, role="other")
        yield from linear("sum_proj", NECK, summary, "other", bias=True)
        for i in (1, 2, 3):
            yield from layer_norm(f"layer_norm{i}", NECK)

    def architecture(self, prefix: str) -> Architecture:
        if self.decoder.causal_vision_prefix:
            raise UnsupportedError("decoder.causal_vision_prefix is true: the form that reads an image as a prefix is not known")
        tied = self.tie_word_embeddings or bool((self.decoder.model_extra or {}).get("tie_word_embeddings"))
        text = self.decoder.model_copy(update={"tie_word_embeddings": tied}).standalone()
        text = text._replace(
            groups=tuple(
                g._replace(tensors=tuple(t._replace(name=t.name.removeprefix("model.")) for t in g.tensors)) for g in text.groups
            ),
            stacks=tuple(s._replace(prefix=s.prefix.removeprefix("model.")) for s in text.stacks),
        )
        groups, stacks = self.encoder.tower("encoder.model_encoder")
        width = self.encoder.hidden_size
        groups.append(group("vision", prefixed("encoder", self.neck(width, width * self.encoder.num_cls_tokens))))
        return with_tower(text, groups, stacks)
