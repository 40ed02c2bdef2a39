"""An image encoder and a language model that attends to it (TrOCR, Donut, ViT-GPT2), each with the config of its own type.

Source: transformers 5.23, models/vision_encoder_decoder/modeling_vision_encoder_decoder.py and
configuration_vision_encoder_decoder.py (defaults; the decoder's own flag ties its head).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, head_below, width_of
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
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
        # Below it, the decoder's tensors are called as in its own type.
        root = self.decoder.prefix
        text = self.decoder.architecture(join(name, root) if root else name)
        if not any(t.name.startswith(f"{name}.") for g in text.groups if g.part == "head" for t in g.tensors):
            text = head_below(text, name)  # of some types it is named below the model already
        groups, stacks = self.encoder.tower(join(prefix, "encoder"))
        width, hidden = width_of(self.encoder), text.facts.hidden_size
        if width != hidden and not getattr(self.decoder, "cross_attention_hidden_size", None):
            groups.append(group("vision", linear(join(prefix, "enc_to_dec_proj"), hidden, width, "other", bias=True)))
        return with_tower(text, groups, stacks)


class SpeechEncoderDecoder(Schema):
    """An encoder of sound and a language model that attends to it, each with the config of its own type.
    Source: transformers 5.24, models/speech_encoder_decoder/modeling_speech_encoder_decoder.py and
    configuration_speech_encoder_decoder.py (defaults)."""

    name = "speech-encoder-decoder"

    encoder: Annotated[TowerSchema, nested("wav2vec2"), DEFAULT]
