"""The audio tower of Granite Speech Plus. Source: transformers 5.23, models/granite_speech_plus/ (the same as granite_speech's)."""

from archcalc.arch.granite_speech_encoder import Schema

__all__ = ["Schema"]
