"""A language model that attends to an encoder beside it, as a part of a model of both.

Source: transformers 5.24, models/vision_encoder_decoder/modeling_vision_encoder_decoder.py (`VisionEncoderDecoderModel`): the decoder is
what `AutoModelForCausalLM.from_config` makes of its config, whatever `architectures` says there.
"""

from archcalc.arch._decoder import join
from archcalc.arch._levels import language_of
from archcalc.arch._schema import ConfigSchema, type_of
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Tensor


def decoder_below(decoder: ConfigSchema, prefix: str) -> Architecture:
    """The decoder of a model of an encoder and a decoder, every tensor named below `prefix`.

    Raises `UnsupportedError` for a model with towers of its own: its config has no width, which the reference needs.
    """
    if language_of(type(decoder)):
        raise UnsupportedError(
            f"decoder.model_type is {type_of(decoder)}, a model with parts of its own: the reference builds no such decoder",
            "give the config of its text model as decoder",
        )
    # Below the prefix its tensors are called as in its own type.
    root = decoder.prefix
    text = decoder.as_decoder().architecture(join(prefix, root) if root else prefix)

    def named(t: Tensor) -> Tensor:
        return t if t.name.startswith(f"{prefix}.") else t._replace(name=join(prefix, t.name))

    return text._replace(groups=tuple(g._replace(tensors=tuple(map(named, g.tensors))) for g in text.groups))
