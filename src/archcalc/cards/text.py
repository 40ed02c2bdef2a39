"""Text with its place in a file: what a reader sees of a cell, and where each piece of it stands in the source."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Characters without which a cell is plain text.
_MARKUP = re.compile(r"[\\*`\[$\n\r]|<[A-Za-z/!?]|&[#A-Za-z]|~~|https?:|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
MAX_INLINE = 20_000
"""Inline text that is longer holds no claims: it is not taken apart."""
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]")
_LATEX = {
    r"\sim": "~",
    r"\approx": "≈",
    r"\times": "×",
    r"\rightarrow": "→",
    r"\to": "→",
    "$": "",
    r"\,": "",
    r"\;": "",
    r"\%": "%",
}
_LATEX_WORD = re.compile(r"\\(?:sim|approx|times|rightarrow|to|,|;|%)|\$")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|rm)\s*\{([^{}$]*)\}")


class Segment(NamedTuple):
    """`length` characters that stand at `plain` in the plain text and at `source` in the file."""

    plain: int
    source: int
    length: int


class Cell(NamedTuple):
    """A cell, or a label or value of a list: its plain text, where it begins (from 1), and where its pieces stand in the file.

    `end` is the offset in the file behind its source. `comments` are HTML comments inside, `links` the targets of its links.
    """

    text: str
    line: int
    column: int
    start: int
    end: int
    segments: tuple[Segment, ...] = ()
    links: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it stands in the file as it reads, on its line."""
        return len(self.text) == self.end - self.start and "\n" not in self.text

    def locate(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a stretch of the plain text stands in the file, or None if markup or entities lie inside it."""
        segments = self.segments
        if len(segments) > 1:
            behind = self._before(start)
            segments = segments[max(0, behind - 1) : behind + 1]
        for segment in segments:
            if segment.plain <= start and end <= segment.plain + segment.length:
                return segment.source + start - segment.plain, segment.source + end - segment.plain
        return None

    def _before(self, position: int) -> int:
        """How many segments begin before a position."""
        return bisect_left(self.segments, position, key=lambda segment: segment.plain)

    def part(self, start: int, end: int) -> Cell:
        """The cell of a stretch of the plain text, without blanks at its ends."""
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        within = self.segments
        if len(within) > 1:
            within = within[max(0, self._before(start) - 1) : self._before(end)]
        segments = []
        for plain, source, length in within:
            a, b = max(start, plain), min(end, plain + length)
            if a < b:
                segments.append(Segment(a - start, source + a - plain, b - a))
        # Lines and columns are looked up from the offset by whoever has the file's text.
        place = segments[0].source if segments else self.start
        return Cell(self.text[start:end], self.line, self.column, place, self.end, tuple(segments), self.links, self.comments)


EMPTY = Cell("", 0, 0, 0, 0)


class Lines:
    """A file's text by lines, ended as Markdown ends them: LF, CRLF or CR."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of an offset."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def start(self, line: int) -> int:
        """The offset where a line begins (lines from 0); past the last one, the end of the text."""
        return self.starts[line] if line < len(self.starts) else len(self.text)


@cache
def inline_parser() -> MarkdownIt:
    """CommonMark's inline rules, with strikethrough: what is struck out is no claim. Escapes and entities stay pieces of their own."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable("strikethrough").disable("text_join")


def has_markup(text: str, start: int, end: int) -> bool:
    """Whether a stretch of a file may be anything but plain text."""
    return _MARKUP.search(text, start, end) is not None


def plain_cell(lines: Lines, start: int, end: int, line: int = 0) -> Cell:
    """The cell whose Markdown source is `text[start:end]`; `line`, from 1, is given where that is known to be plain text of it."""
    text = lines.text[start:end]
    source = text.strip()
    start += len(text) - len(text.lstrip())
    end = start + len(source)
    known = line > 0
    line, column = (line, start - lines.starts[line - 1] + 1) if known else lines.place(start)
    if known or len(source) > MAX_INLINE or not _MARKUP.search(source):
        return Cell(source, line, column, start, end, (Segment(0, start, end - start),) if source else ())
    cell = _inline(source)
    moved = tuple(segment._replace(source=segment.source + start) for segment in cell.segments)
    return cell._replace(line=line, column=column, start=start, end=end, segments=moved)


@lru_cache(maxsize=2048)
def _inline(source: str) -> Cell:
    """The cell of inline Markdown that is a file of its own: cells of a page repeat."""
    builder = Builder()
    position = 0
    for match in _LATEX_TEXT.finditer(source):
        markdown(builder, source[position : match.start()], position)
        builder.add(match[1], match.start(1))
        position = match.end()
    markdown(builder, source[position:], position)
    return builder.cell(1, 1, 0, len(source))


class Builder:
    """Plain text put together from pieces of which it is known, or not, where they stand in the file."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.segments: list[Segment] = []
        self.links: list[str] = []
        self.comments: list[str] = []

    def add(self, text: str, source: int | None) -> None:
        """Append text that stands at `source`, or that stands nowhere as such."""
        if text:
            if source is not None:
                self.segments.append(Segment(self.length, source, len(text)))
            self.pieces.append(text)
            self.length += len(text)

    def cell(self, line: int, column: int, start: int, end: int) -> Cell:
        """The cell, without blanks at its ends."""
        text = "".join(self.pieces)
        whole = Cell(text, line, column, start, end, tuple(self.segments), tuple(self.links), tuple(self.comments))
        return whole.part(0, len(text))._replace(start=start)


def markdown(builder: Builder, source: str, offset: int) -> None:
    """Append the plain text of inline Markdown that stands at `offset` in the file."""
    tokens = inline_parser().parseInline(source.replace("\\|", "|"))
    position = 0
    for piece, kind in _pieces(tokens[0].children or [], builder):
        if kind != "text":
            builder.add(kind, None)
            found = source.find(piece, position)
            if found >= 0:
                position = found + len(piece)
            continue
        for text in _without_footnotes(piece):
            # An escaped pipe is the one place where a cell's source differs from its inline text.
            found = source.find(text, position) if text.strip() else -1
            if found < 0 and "|" in text:
                builder.add(text, None)
                continue
            if found >= 0:
                position = found + len(text)
            _add_words(builder, text, None if found < 0 else offset + found)


def _add_words(builder: Builder, text: str, source: int | None) -> None:
    """Append text with LaTeX's signs as plain characters."""
    position = 0
    for match in _LATEX_WORD.finditer(text):
        builder.add(text[position : match.start()], None if source is None else source + position)
        builder.add(_LATEX[match[0]], None)
        position = match.end()
    builder.add(text[position:], None if source is None else source + position)


def _without_footnotes(text: str) -> Iterator[str]:
    position = 0
    for match in _FOOTNOTE.finditer(text):
        yield text[position : match.start()]
        position = match.end()
    yield text[position:]


def _pieces(children: list[Token], builder: Builder) -> Iterator[tuple[str, str]]:
    """Text of inline tokens, with "text"; and what to skip in the source between them, with what it reads as."""
    hidden = 0
    target = begun = ""
    for token in children:
        if token.type in ("text", "code_inline"):
            if not hidden:
                yield begun + token.content, "text"
            elif token.content == "2" and builder.pieces and builder.pieces[-1].lower().endswith("relu"):
                builder.add("²", None)
        elif token.type == "text_special" and token.content == token.markup and not hidden:
            begun = token.content  # no escape, but the beginning of a LaTeX word
            continue
        elif token.type == "text_special":
            yield token.markup, "" if hidden else token.content
        elif token.type in ("softbreak", "hardbreak") and not hidden:
            builder.add("\n", None)
        elif token.type == "s_open":
            hidden += 1
        elif token.type == "s_close":
            hidden -= 1
        elif token.type == "link_open":
            target = str(token.attrGet("href") or "")
            builder.links.append(target)
        elif token.type == "link_close":
            yield f"]({target}", ""
        elif token.type == "image":
            yield f"]({token.attrGet('src') or ''}", ""
        elif token.type == "html_inline":
            tag = token.content.lower()
            yield token.content, ""
            if tag.startswith("<br"):
                builder.add("\n", None)
            elif tag.startswith(("<sup", "<del", "<s>")):
                hidden += 1
            elif tag.startswith(("</sup", "</del", "</s>")):
                hidden -= 1
            elif tag.startswith("<a "):
                target_match = re.search(r"""href\s*=\s*["']?([^"'\s>]+)""", token.content)
                if target_match:
                    builder.links.append(target_match[1])
            elif tag.startswith("<!--"):
                builder.comments.append(token.content)
        begun = ""
