"""Models of which a question has no answer: each is refused by name."""

from __future__ import annotations

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Outcome

_OUTCOMES: dict[Outcome, str] = {
    "": "a model of no tokens",
    "picture": "a model of images whose decoder writes no tokens",
    "waves": "a model of sound whose decoder is no attention over tokens",
    "chain": "a chain of models, each of which writes the next one's input",
}


def refuse_part(architecture: Architecture) -> None:
    """Raises `UnsupportedError` for an encoder that is a part of a model."""
    if architecture.is_part:
        tower = not architecture.outcome and any(s.part in ("vision", "audio") for s in architecture.stacks)
        what = "an encoder alone, without a decoder" if tower else _OUTCOMES[architecture.outcome]
        raise UnsupportedError(
            f"{architecture.model_type} is {what}: it keeps no cache, and neither its serving nor its training is modelled",
            "archcalc inspect counts its parameters"
            + ("; where it is a part of another model, give the config of that one" if tower else ""),
        )


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
