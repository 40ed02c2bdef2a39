"""Models of which a question has no answer: each is refused by name."""

from __future__ import annotations

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


def refuse_part(architecture: Architecture) -> None:
    """Raises `UnsupportedError` for an encoder that is a part of a model."""
    if architecture.is_part:
        parts = {s.part for s in architecture.stacks}
        tower = bool(parts & {"vision", "audio"})
        what = "an encoder alone, without a decoder" if tower else "a model of no tokens"
        if tower and _decodes(architecture):
            # Detectors decode a fixed number of queries, others masks, depths or waves; transducers' decoders are no attention's.
            what = "a model of images whose decoder" if "vision" in parts else "a model of sound whose decoder"
            what += " writes no tokens" if "vision" in parts else " is no attention over tokens"
            tower = False
        raise UnsupportedError(
            f"{architecture.model_type} is {what}: it keeps no cache, and neither its serving nor its training is modelled",
            "archcalc inspect counts its parameters"
            + ("; where it is a part of another model, give the config of that one" if tower else ""),
        )


def _decodes(architecture: Architecture) -> bool:
    """Whether any of its modules is called a decoder."""
    names = [s.prefix for s in architecture.stacks] + [t.name for g in architecture.groups for t in g.tensors]
    return any("decoder" in part.split("_") for name in names for part in name.split("."))


def refuse_headers(architecture: Architecture) -> None:
    """Raises `UnsupportedError` for what is known from headers alone."""
    if architecture.status == "header":
        raise UnsupportedError(
            f"{architecture.model_type} is counted from a checkpoint's headers, which do not say what it caches",
            "archcalc models --types lists what is read exactly",
        )


def refuse_guess(architecture: Architecture) -> None:
    """A verdict on a guess would pretend, as would one on a part that is not served alone. Raises `UnsupportedError`."""
    if architecture.status == "guessed":
        raise UnsupportedError(
            f"no adapter reads {architecture.model_type}: its figures are a guess, and no verdict stands on one",
            "archcalc inspect shows the guess, and what would make it counted",
        )
    refuse_headers(architecture)
    refuse_part(architecture)
