"""What can go wrong, said once: each error carries one message, a code for scripts, and what to do next."""

from __future__ import annotations

from typing import NoReturn


class ArchcalcError(Exception):
    """The base of all errors that archcalc raises on purpose.

    `code` is stable and meant for scripts; `hint` says what to do next.
    """

    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The message and what to do next, as a traceback and a notebook show it."""
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(ArchcalcError):
    """The call itself is wrong: an option's value, or options that exclude each other."""

    code = "usage"


class ContextError(UsageError):
    """A context is beyond what the model was made for."""

    def __init__(self, message: str, hint: str, tokens: int, longest: int) -> None:
        super().__init__(message, hint)
        self.tokens, self.longest = tokens, longest


class SourceError(ArchcalcError):
    """The SOURCE cannot be had: no such name, file or repository."""

    code = "source"


class SourceNotFoundError(SourceError):
    code = "not-found"


class HubError(SourceError):
    """The Hub did not give the file: gated, rate limited, unreachable."""

    code = "hub"


class OfflineError(SourceError):
    """The file would have to come from the network, which was not allowed."""

    code = "offline"


class FormatError(ArchcalcError):
    """The file is there and is not what it should be: not JSON, truncated, a list."""

    code = "format"


class ConfigError(ArchcalcError):
    """A key of the config is missing or has a value that cannot be."""

    code = "config"

    def __init__(self, message: str, hint: str = "", key: str = "") -> None:
        super().__init__(message, hint)
        self.key = key


class UnsupportedError(ArchcalcError):
    """The config is understood to say something archcalc does not model: never a silent default."""

    code = "unsupported"


def json_text(value: object, most: int = 60) -> str:
    """What a config states, for messages: as JSON writes it, strings in single quotes, shortened, without control characters.

    >>> json_text(None), json_text([True, {"a": 1}]), json_text("x" * 9, 6)
    ('null', '[true, {"a": 1}]', "'xx...")
    """
    import json

    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = "a value"
    return text if len(text) <= most else text[: most - 3] + "..."


class NoRoomError(ArchcalcError):
    """The answer is no: an engine would stop at start, as the memory given does not hold what it checks for."""

    code = "no-room"


def unknown(what: str, kind: NoReturn) -> NoReturn:
    """Refuse a kind that a fold does not know: a type checker says that there is none, so a new one is an error before it runs."""
    raise UnsupportedError(f"{what} of the kind {kind!r}: what it costs is not known")
