"""What may reach a terminal: text from configs, files and the network can hold codes that move the cursor, set titles or hide text."""

from __future__ import annotations

import re
from io import TextIOWrapper
from typing import Any

# Control characters but for ends of lines and tabs, and marks that turn the direction of text (Unicode TR36, section 2.2).
_CODES = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")


def plain(text: str) -> str:
    """The text with codes written out, in a form that JSON takes too.

    >>> plain("a\\x1b[31mb")
    'a\\\\u001b[31mb'
    """
    if text.isprintable() or not _CODES.search(text):
        return text
    return _CODES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class PlainText(TextIOWrapper):
    """A standard stream that writes codes out. What colours a page itself writes through `Raw`."""

    def write(self, text: str, /) -> int:
        """Write the text without its codes."""
        super().write(plain(text))
        return len(text)

    def write_raw(self, text: str) -> int:
        """Write the text as it is."""
        return super().write(text)


class Raw:
    """The stream below a `PlainText`, for a console that writes its own codes and no other's."""

    def __init__(self, out: PlainText) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write the text as it is."""
        return self._out.write_raw(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


def guard(stream: Any) -> Any:
    """The stream, as one that writes codes out; those that are not the interpreter's own stay."""
    if type(stream) is not TextIOWrapper:
        return stream
    settings: dict[str, Any] = {
        "encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering,
        "write_through": stream.write_through,
    }  # fmt: skip
    stream.flush()
    made = PlainText(stream.detach(), **settings)
    made.mode = "w"  # type: ignore[misc, attr-defined, unused-ignore]
    return made
