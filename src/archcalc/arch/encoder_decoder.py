"""A text encoder and a language model that attends to it (BERT2BERT), each with the config of its own type.

Source: transformers 5.24, models/encoder_decoder/modeling_encoder_decoder.py and configuration_encoder_decoder.py (the decoder's own flag
ties its head; the encoder is its type's model without a head).
"""

from typing import Annotated

from archcalc.arch._bert import BertSchema
from archcalc.arch._crossed import decoder_below
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._schema import ConfigSchema, nested, type_of
from archcalc.arch._vlm import under
from archcalc.blocks._tensor import linear
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("encoder", "decoder")
    inert_keys = ("tie_word_embeddings", "tie_encoder_decoder")
    own_heads = True

    encoder: Annotated[ConfigSchema, nested("bert")]
    decoder: Annotated[ConfigSchema, nested("bert")]

    def bare(self) -> Architecture:
        encoder = self.encoder
        if not isinstance(encoder, BertSchema):
            kind = type_of(encoder)
            raise UnsupportedError(f"encoder.model_type is {kind}: archcalc knows BERT and its relatives there")
        return encoder.model_copy(update={"architectures": [f"{encoder.name.replace('_', '')}Model"]}).standalone()

    def architecture(self, prefix: str) -> Architecture:
        name = join(prefix, "decoder")
        text = decoder_below(self.decoder, name)
        if not (text.crosses or "add_cross_attention" in type(self.decoder).model_fields):
            raise UnsupportedError(
                f"decoder.model_type is {type_of(self.decoder)}: the reference hands such a decoder nothing of an encoder",
                "a decoder here is BERT, GPT-2, BART or one of their relatives",
            )
        encoder = under(self.bare(), join(prefix, "encoder"))
        groups = [group("other", g.tensors) for g in encoder.groups]
        width, hidden = encoder.facts.hidden_size, text.facts.hidden_size
        if width != hidden and not getattr(self.decoder, "cross_attention_hidden_size", None):
            groups.append(group("other", linear(join(prefix, "enc_to_dec_proj"), hidden, width, "other", bias=True)))
        stacks = [stack._replace(part="other") for stack in encoder.stacks]
        a = with_tower(text, groups, stacks)
        return a._replace(
            crosses=True,
            facts=a.facts._replace(more=(*a.facts.more, ("encoder", f"{self.encoder.name}, {encoder.layers} layers"))),
        )
