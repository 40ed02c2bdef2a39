"""A file as tables: Markdown's pipe tables, HTML tables, lists and lines of "label: value", and the headings above each.

CommonMark is parsed by markdown-it-py. A list becomes a table of two columns, label and value, so that all that follows knows tables only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from archcalc.cards import labels, names
from archcalc.cards.text import EMPTY, MAX_INLINE, Cell, Lines, has_markup, plain_cell
from archcalc.cards.vocabulary import mark
from archcalc.records import NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

_DIRECTIVE = re.compile(r"<!--\s*archcalc:((?:(?!<!--|-->)[\s\S])*)-->")
_BAR = re.compile(r"(?<!\\)\|")
_MARKS = re.compile(r"[\s>]*(?:[-+*]|\d+[.)])?[\s>]*")
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*(?:\r\n?|\n)(.*?)^---[ \t]*(?:\r\n?|\n|\Z)", re.DOTALL | re.MULTILINE)
_HTML_HEADING = re.compile(r"<(?:h([1-6])|title|summary)[^<>]*>", re.IGNORECASE)
_SUMMARY = 7
"""The level of what `<summary>` says: below every heading, until its `</details>`."""
_LABEL_END = re.compile(r"[:：]")
_FIGURES = re.compile(r"[^\W\d]{3}[^.]* \d|\d[^.]*[^\W\d]{3}|\d.*[\u4e00-\u9fff]")
"""What a sentence with figures has."""
_SENTENCE_END = re.compile(r"(?<=[\w)*`\]%][.!?])(?<!\b[Mm](?:rd|io)\.)\s+(?=[A-Z*`\[])|[。！？；]")
_BETWEEN_PAIRS = re.compile(r"\s*[|·•;；]\s*|,\s+(?=[A-Za-z])|[，、]")
_LABELS = 2
"""Labels that make a line the head of a table."""
_MAX_LABEL = 90
"""A label longer than this is a sentence with a colon in it."""


class Context(NamedTuple):
    """What stands around a table and may name its model.

    `headings` go from the document's title down. `pin` is a source that a comment names for this section, `begin` that of a generated
    section, whose numbers must be exact. `off` asks to leave the table alone. `stated` is what a line such as
    `Model: X` above it says, `base` what `Base model: X` says, from which the card's own was made.
    """

    headings: tuple[str, ...] = ()
    caption: str = ""
    pin: str = ""
    begin: str = ""
    off: bool = False
    stated: str = ""
    base: str = ""


class Table(NamedTuple):
    """Rows of cells, the first `heads` of them column heads. `groups` has, for each row, the labels it stands under.

    Of `prose` each row is a sentence.
    """

    kind: Literal["table", "list", "tree", "prose"]
    line: int
    rows: tuple[tuple[Cell, ...], ...]
    context: Context
    heads: int = 1
    groups: tuple[tuple[str, ...], ...] = ()


class Pin(NamedTuple):
    """A source that the document names: for a name (`Foo 7B = org/foo`), or for itself where `name` is empty."""

    name: str
    source: str
    line: int


class Document(NamedTuple):
    """The tables of a file, and the sources it names. `front_matter` is where its YAML begins and ends, if it has any."""

    lines: Lines
    tables: tuple[Table, ...]
    pins: tuple[Pin, ...]
    front_matter: tuple[int, int] | None


@cache
def _blocks() -> MarkdownIt:
    """CommonMark's blocks and tables. Inline content is parsed where a cell needs it."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline", "text_join"])
    parser.block.ruler.at("table", _table_rule, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.before("list", "plain items", _plain_items_rule)
    return parser


_PLAIN_ITEM = re.compile(r"([-*+]) (?:\*\*(?=[^\W_])|`(?!`)|(?!\d{1,9}[.)](?:\s|$))[^\W_])[^<]*")
"""An item that can be a paragraph alone: it begins with a word, in bold or as code or not, and holds no comment."""


def _plain_items_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A list of items of one line as one token: markdown-it would try every kind of block in each, and make five tokens of it."""
    if silent or state.level or state.sCount[start] or state.parentType != "root":
        return False
    items: list[int] = []
    marker, line, blank = "", start, False
    while line < end:
        text = state.src[state.bMarks[line] : state.eMarks[line]]
        if not text.strip():
            blank = True
        elif (item := _PLAIN_ITEM.fullmatch(text)) and item[1] == (marker or item[1]):
            marker, blank = item[1], False
            items.append(line)
        elif not blank or text[0] in " \t" or text[:2] == f"{marker} ":
            return False  # a line that the last item may go on in
        else:
            break
        line += 1
    if not items:
        return False
    state.push("bullet_list_open", "ul", 1).map = [start, items[-1] + 1]
    state.push("plain_items", "", 0).meta = {"lines": items}
    state.push("bullet_list_close", "ul", -1)
    state.line = items[-1] + 1
    return True


def _table_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A pipe table as one token with its lines: markdown-it would make three of each cell, whose place it does not know."""
    from markdown_it.rules_block.table import table

    if not table(state, start, end, True):
        return False
    if not silent:
        parent, state.parentType = state.parentType, "table"
        ends = state.md.block.ruler.getRules("blockquote")
        line = start + 2
        while line < end and not (
            state.sCount[line] < state.blkIndent
            or state.isEmpty(line)
            or state.is_code_block(line)
            or any(rule(state, line, end, True) for rule in ends)
        ):
            line += 1
        state.parentType, state.line = parent, line
        state.push("table", "table", 0).map = [start, line]
    return True


def _parse(text: str) -> tuple[list[Token], tuple[int, int] | None]:
    """The blocks of a Markdown file, and where its front matter stands, which is none of them."""
    body, front = text, None
    if match := _FRONT_MATTER.match(text):
        front = match.span(1)
        body = re.sub(r"[^\r\n]", " ", match[0]) + text[match.end() :]
    elif text.startswith("\ufeff"):
        body = f" {text[1:]}"
    return _blocks().parse(body), front


def read(text: str) -> Document:
    """The tables, lists and directives of a Markdown file."""
    tokens, front = _parse(text)
    # A byte order mark is no part of the first cell; every place stays what it is.
    lines = Lines(f" {text[1:]}" if text.startswith("\ufeff") else text)
    reader = _Reader(lines)
    reader.walk(tokens)
    return Document(lines, tuple(reader.tables), tuple(reader.pins), front)


class Marker(NamedTuple):
    """An `archcalc:` comment: where it begins and ends, and what it says."""

    start: int
    end: int
    text: str


def markers(text: str) -> Iterator[Marker]:
    """The `archcalc:` comments of a Markdown file; those that it shows as code are none."""
    lines = Lines(text)
    before = ""
    for token in _parse(text)[0]:
        if token.map and (token.type == "html_block" or (token.type == "inline" and before in ("paragraph_open", "heading_open"))):
            yield from _directives(text, lines.start(token.map[0]), lines.start(token.map[1]), token.type == "inline")
        before = token.type


def _directives(text: str, start: int, end: int, inline: bool) -> Iterator[Marker]:
    found = [Marker(*match.span(), match[1].strip()) for match in _DIRECTIVE.finditer(text, start, end)]
    if inline and found and end - start <= MAX_INLINE:
        code = list(_code(text, start, end))
        found = [marker for marker in found if not any(a < marker.start < b for a, b in code)]
    yield from found


def _code(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Code spans: from a run of backticks to the next one of the same length (CommonMark, section 6.1)."""
    runs = [match.span() for match in re.finditer("`+", text[start:end])]
    following: dict[int, int] = {}
    partner: dict[int, int] = {}
    for i in range(len(runs) - 1, -1, -1):
        length = runs[i][1] - runs[i][0]
        partner[i] = following.get(length, -1)
        following[length] = i
    i = 0
    while i < len(runs):
        j = partner[i]
        if j > 0:
            yield start + runs[i][0], start + runs[j][1]
            i = j
        i += 1


class _Reader:
    """One pass over the block tokens: headings and directives are remembered for the tables that follow them."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.tables: list[Table] = []
        self.pins: list[Pin] = []
        self.headings: list[tuple[int, str]] = []
        self.caption = ""
        self.pin: tuple[int, str] = (0, "")
        self.stated: tuple[int, str] = (0, "")
        self.base: tuple[int, str] = (0, "")
        self.begin = ""
        self.off = False
        self.skip_next = False

    def context(self) -> Context:
        skipped, self.skip_next = self.skip_next, False
        return Context(
            tuple(text for _, text in self.headings),
            self.caption,
            self.pin[1],
            self.begin,
            self.off or skipped,
            self.stated[1],
            self.base[1],
        )

    def walk(self, tokens: list[Token]) -> None:
        i = 0
        html_end = -1
        while i < len(tokens):
            token = tokens[i]
            first = token.map[0] if token.map else -1
            if token.map and first < html_end:
                i += 1
                continue
            if token.type == "heading_open":
                self._heading(token, tokens[i + 1])
                i += 3
            elif token.type == "table":
                self._table(token)
                i += 1
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                i = self._list(tokens, i)
            elif token.type == "paragraph_open":
                self._paragraph(tokens[i + 1])
                i += 3
            else:
                if token.type == "html_block":
                    html_end = self._html(token)
                i += 1

    def _heading(self, token: Token, inline: Token) -> None:
        level = int(token.tag[1])
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.headings.append((level, self._cell_of(inline).text))
        self.caption = ""
        if self.pin[0] >= level:
            self.pin = (0, "")
        if self.stated[0] >= level:
            self.stated = (0, "")
        if self.base[0] >= level:
            self.base = (0, "")
        self._comments(inline)

    def _cell_of(self, inline: Token) -> Cell:
        first, last = inline.map or (0, 0)
        start = self.lines.start(first)
        found = self.lines.text.find(inline.content.partition("\n")[0], start)
        return plain_cell(self.lines, found if found >= 0 else start, self.lines.start(last))

    def _comments(self, inline: Token) -> None:
        """The directives in a heading or paragraph."""
        if "<!--" in inline.content:
            first, last = inline.map or (0, 0)
            for marker in _directives(self.lines.text, self.lines.start(first), self.lines.start(last), inline=True):
                self.directive(marker.text, marker.start)

    def directive(self, text: str, offset: int) -> None:
        """An `archcalc:` comment."""
        line = self.lines.place(offset)[0]
        word, _, rest = text.partition(" ")
        if word in ("off", "on"):
            self.off = word == "off"
        elif text == "ignore":
            self.skip_next = True
        elif word == "begin":
            self.begin = rest.strip()
            self.pins.append(Pin("", self.begin, line))
        elif word == "end":
            self.begin = ""
        elif "=" in text:
            name, _, source = text.partition("=")
            self.pins.append(Pin(name.strip().strip("\"'"), source.strip(), line))
        else:
            self.pin = (self.headings[-1][0] if self.headings else 0, text)
            self.pins.append(Pin("", text, line))

    def _html(self, token: Token) -> int:
        """Directives and tables of an HTML block; the line behind a table that goes on past the block's end."""
        first, last = token.map or (0, 0)
        start, end = self.lines.start(first), self.lines.start(last)
        text = self.lines.text
        for marker in _directives(text, start, end, inline=False):
            self.directive(marker.text, marker.start)
        after = -1
        lower = text[start:end].lower()
        if "</details" in lower and self.headings and self.headings[-1][0] == _SUMMARY:
            self.headings.pop()
        if "<table" in lower:
            from archcalc.cards import html

            position = start
            while (found := html.table_end(text, position)) is not None and found[0] < max(end, position):
                begin, stop = found
                for rows, heads in html.tables(self.lines, begin, stop):
                    self.tables.append(Table("table", self.lines.place(begin)[0], rows, self.context(), heads))
                position = stop
                after = self.lines.place(max(stop - 1, 0))[0]
        elif (heading := _HTML_HEADING.search(text, start, end)) and (close := text.find("</", heading.end(), end)) >= 0:
            level = _SUMMARY if heading[0].lower().startswith("<s") else int(heading[1] or 1)
            while self.headings and self.headings[-1][0] >= level:
                self.headings.pop()
            self.headings.append((level, re.sub(r"<[^<>]*>", " ", text[heading.end() : close]).strip()))
            self.caption = ""
        return after

    def _table(self, token: Token) -> None:
        first, last = token.map or (0, 0)
        rows = [tuple(self._row(line)) for line in range(first, last) if line != first + 1]
        width = len(rows[0])
        self.tables.append(Table("table", first + 1, tuple(row[:width] for row in rows), self.context(), 1))

    def _row(self, line: int) -> Iterator[Cell]:
        """The cells of a line. What stands before the first bar is one, unless it is blank or the mark of a quote or list."""
        text, start, end = self.lines.text, self.lines.start(line), self.lines.start(line + 1)
        while end > start and text[end - 1].isspace():
            end -= 1
        bars = [match.start() for match in _BAR.finditer(text, start, end)]
        edges = bars if bars and _MARKS.fullmatch(text, start, bars[0]) else [start - 1, *bars]
        if edges[-1] < end - 1 or len(edges) == 1:
            edges.append(end)
        plain = 0 if has_markup(text, start, end) else line + 1
        for a, b in pairwise(edges):
            if text[a + 1 : b].isspace() or a + 1 == b:
                yield EMPTY._replace(line=line + 1, column=a + 2 - start, start=a + 1, end=a + 1)
            else:
                yield plain_cell(self.lines, a + 1, b, plain)

    def _list(self, tokens: list[Token], i: int) -> int:
        """A list and those inside it, as rows of label and value under the labels of the items around them."""
        rows: list[tuple[Cell, ...]] = []
        groups: list[tuple[str, ...]] = []
        above: list[str] = []
        depth = 0
        line = (tokens[i].map or (0, 0))[0] + 1
        fresh = False
        last = ""
        tables: list[Token] = []
        pinned: list[tuple[int, str]] = []
        pins: list[str] = []
        while True:
            token = tokens[i]
            if token.type in ("bullet_list_open", "ordered_list_open"):
                depth += 1
                if depth > 1:
                    above.append(last)
            elif token.type in ("bullet_list_close", "ordered_list_close"):
                depth -= 1
                if above:
                    above.pop()
                if depth == 0:
                    break
            elif token.type == "list_item_open":
                fresh, last = True, ""
            elif token.type == "list_item_close":
                while pinned and pinned[-1][0] >= depth:
                    pinned.pop()
            elif token.type == "table":
                tables.append(token)
            elif token.type == "html_block" and (source := self._pin_of_item(token)):
                pinned.append((depth, source))  # a line that begins with a comment
            elif token.type == "plain_items":
                start = self.lines.start
                cells = (plain_cell(self.lines, start(n) + 2, start(n + 1)) for n in token.meta["lines"])
                rows += [split(self.lines, cell) or (EMPTY, cell) for cell in cells]
                groups = [()] * len(rows)
                pins = [""] * len(rows)
            elif token.type == "inline" and tokens[i - 1].type == "paragraph_open" and fresh:
                fresh = False
                if source := self._pin_of_item(token):
                    pinned.append((depth, source))
                for cell in self._item(token):
                    pins.append(pinned[-1][1] if pinned else "")
                    pair = split(self.lines, cell)
                    if pair is None:
                        rows.append((EMPTY, cell))
                    else:
                        rows.append(pair)
                    groups.append(tuple(above))
                    last = last or (pair[0].text if pair else cell.text)
            i += 1
        self._state(rows)
        if rows:
            context = self.context()
            # Items under a pin of their own are a list of their own.
            by_pin: dict[str, list[int]] = {}
            for k, pin in enumerate(pins):
                by_pin.setdefault(pin, []).append(k)
            for pin, kept in by_pin.items():
                its = context._replace(pin=pin) if pin else context
                self.tables.append(Table("list", line, tuple(rows[k] for k in kept), its, 0, tuple(groups[k] for k in kept)))
        for token in tables:
            self._table(token)
        return i + 1

    def _pin_of_item(self, token: Token) -> str:
        """The source that a comment in an item names: for it and the items inside it."""
        if "<!--" not in token.content:
            return ""
        first, last = token.map or (0, 0)
        source = ""
        start, end = self.lines.start(first), self.lines.start(last)
        for marker in _directives(self.lines.text, start, end, token.type == "inline"):
            word = marker.text.partition(" ")[0]
            if word not in ("off", "on", "ignore", "begin", "end") and "=" not in marker.text:
                source = marker.text
                self.pins.append(Pin("", source, self.lines.place(marker.start)[0]))
        return source

    def _state(self, rows: list[tuple[Cell, ...]]) -> None:
        """Note what `Model: X` or `Repository: X` among pairs says."""
        for label, value in rows:
            if mark("states").fullmatch(label.text.strip()) and 1 < len(value.text) < 80:
                found = (self.headings[-1][0] if self.headings else 0, value.text)
                if label.text.strip().lower().startswith("base"):
                    self.base = found
                else:
                    self.stated = found

    def _item(self, inline: Token) -> Iterator[Cell]:
        """An item, or its lines where each begins with a label of its own."""
        cell = self._cell_of(inline)
        if "\n" in cell.text:
            pieces = list(_split_lines(cell))
            if all(split(self.lines, piece) for piece in pieces):
                yield from pieces
                return
        yield cell

    def _paragraph(self, inline: Token) -> None:
        """A paragraph: its lines of "**Label**: value", its sentences, and the caption of what follows."""
        self._comments(inline)
        if self._unruled(inline):
            return
        if "**" in inline.content and re.search(r"\*\*[^*]+?[:：]?\*\*\s*[:：]?", inline.content):
            cell = self._cell_of(inline)
            rows: list[tuple[Cell, ...]] = []
            bold = {re.sub(r"[*:：]", "", text).strip() for text in re.findall(r"\*\*[^*]+\*\*", inline.content)}
            for piece in _split_lines(cell):
                pair = split(self.lines, piece)
                if pair is not None and pair[0].text.strip(" :：") in bold:
                    rows.append(pair)
            self._state(rows)
            if rows:
                self._list_of(rows)
            else:
                self._sentences(inline, cell)
            self.caption = cell.text[-300:]
        elif found := self._pairs_of_lines(self._cell_of(inline)):
            self._list_of(found)
            self.caption = inline.content[-300:]
        else:
            self._sentences(inline, self._cell_of(inline))
            self.caption = inline.content[-300:]
            self._state([pair for line in _split_lines(self._cell_of(inline)) if (pair := split(self.lines, line)) is not None])

    def _list_of(self, rows: list[tuple[Cell, ...]]) -> None:
        self.tables.append(Table("list", rows[0][0].line, tuple(rows), self.context(), 0, tuple(() for _ in rows)))

    def _pairs_of_lines(self, cell: Cell) -> list[tuple[Cell, ...]]:
        """The labels and values of a paragraph that holds nothing else: "Layers: 36 | Hidden size: 4096 | Heads: 32", or a line for each:
        "KV cache per token (bf16): 144 KiB", "Qwen3-8B: KV cache per token: 144 KiB"."""
        found: list[tuple[Cell, ...]] = []
        for line in _split_lines(cell):
            cuts = [match.span() for match in _BETWEEN_PAIRS.finditer(line.text)]
            ends = zip([0, *(b for _, b in cuts)], [*(a for a, _ in cuts), len(line.text)], strict=True)
            for pair in (split(self.lines, line.part(a, b)) for a, b in ends if cuts):
                label = labels.parse(pair[0].text) if pair else None
                if pair is None or label is None or not label.fields:
                    return []
                found.append(pair)
            if not cuts:
                pair = split(self.lines, line)
                if pair is None or not (
                    _is_figure(pair) or (names.match(pair[0].text).kind in ("exact", "tuned") and labelled(pair[1]))
                ):
                    return []
                found.append(pair)
        return found

    def _unruled(self, inline: Token) -> bool:
        """Whether a paragraph is a table without its line of dashes: the same number of cells in each line, and labels in the first."""
        first, last = inline.map or (0, 0)
        if last - first < 2 or inline.content.count("|") < 2 * (last - first):
            return False
        rows = [tuple(self._row(line)) for line in range(first, last)]
        asked = [
            label for cell in rows[0] if (label := labels.parse(cell.text)) is not None and (label.fields or label.role == "model")
        ]
        if len({len(row) for row in rows}) != 1 or len(asked) < _LABELS or not any(label.fields for label in asked):
            return False
        self.tables.append(Table("table", first + 1, tuple(rows), self.context()))
        return True

    def _sentences(self, inline: Token, cell: Cell) -> None:
        """The sentences of a paragraph with figures."""
        if _FIGURES.search(inline.content) and len(inline.content) <= MAX_INLINE:
            ends = [match.end() for match in _SENTENCE_END.finditer(cell.text)]
            rows = tuple((EMPTY, cell.part(a, b)) for a, b in zip([0, *ends], [*ends, len(cell.text)], strict=True) if b > a)
            skipped = self.skip_next
            self.tables.append(Table("prose", cell.line, rows, self.context(), 0, tuple(() for _ in rows)))
            self.skip_next = skipped


def _split_lines(cell: Cell) -> Iterator[Cell]:
    start = 0
    for line in cell.text.split("\n"):
        if line.strip():
            yield cell.part(start, start + len(line))
        start += len(line) + 1


def split(lines: Lines, cell: Cell) -> tuple[Cell, Cell] | None:
    """Label and value of "label: value", or None where the text is something else."""
    match = _LABEL_END.search(cell.text)
    if match is None or not 1 <= match.start() <= _MAX_LABEL:
        return None
    label, value = cell.part(0, match.start()), cell.part(match.end(), len(cell.text))
    if not label.text or re.search(r"https?$", label.text):
        return None
    return located(lines, label), located(lines, value)


_FIGURE = re.compile(r"[~≈]?\s?\d[\d.,]*\s?[A-Za-z%亿万/]{0,12}(?: (?:tokens?|per token|parameters))?\W?")
"""A value that is one number."""


def _is_figure(pair: tuple[Cell, Cell]) -> bool:
    """Whether a line is a known label and one number."""
    label = labels.parse(pair[0].text) if _FIGURE.fullmatch(pair[1].text.strip()) else None
    return label is not None and bool(label.fields)


def labelled(cell: Cell) -> tuple[labels.Label, int] | None:
    """What a cell that is a known label and one number asks for, and where its label ends."""
    found = _LABEL_END.search(cell.text)
    label = labels.parse(cell.text[: found.start()]) if found and _FIGURE.fullmatch(cell.text[found.end() :].strip()) else None
    return (label, found.start()) if found and label is not None and label.fields else None


def located(lines: Lines, cell: Cell) -> Cell:
    """The cell with the line and column of its start."""
    line, column = lines.place(cell.start)
    return Cell(cell.text, line, column, cell.start, cell.end, cell.segments, cell.links, cell.comments)
