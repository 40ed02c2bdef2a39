"""An image encoder and a language model that attends to it (TrOCR, Donut, ViT-GPT2), each with the config of its own type.

Source: transformers 5.23, models/vision_encoder_decoder/modeling_vision_encoder_decoder.py and
configuration_vision_encoder_decoder.py (defaults; the decoder's own flag ties its head).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, width_of
from archcalc.arch._crossed import decoder_below
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested, type_of
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture

BERT = {"is_decoder": True, "add_cross_attention": True}


class Schema(ConfigSchema):
    prefix = ""
    inert_keys = ("tie_word_embeddings",)

    encoder: Annotated[TowerSchema, nested("vit"), DEFAULT]
    decoder: Annotated[ConfigSchema, nested("bert", absent=BERT), DEFAULT]

    def architecture(self, prefix: str) -> Architecture:
        name = join(prefix, "decoder")
        text = decoder_below(self.decoder, name)
        groups, stacks = self.encoder.pieces(join(prefix, "encoder"), "Model")
        width, hidden = width_of(self.encoder), text.facts.hidden_size
        if width != hidden and not getattr(self.decoder, "cross_attention_hidden_size", None):
            groups.append(group("vision", linear(join(prefix, "enc_to_dec_proj"), hidden, width, "other", bias=True)))
        a = with_tower(text, groups, stacks)
        if self.encoder.whole:
            return a
        note = f"of {type_of(self.encoder)} counted as it stands in the whole model: alone it has other tensors too, or lacks some"
        return a._replace(status="partial", notes=(*a.notes, note))


class SpeechEncoderDecoder(Schema):
    """An encoder of sound and a language model that attends to it, each with the config of its own type.
    Source: transformers 5.24, models/speech_encoder_decoder/modeling_speech_encoder_decoder.py and
    configuration_speech_encoder_decoder.py (defaults)."""

    name = "speech-encoder-decoder"

    encoder: Annotated[TowerSchema, nested("wav2vec2"), DEFAULT]
