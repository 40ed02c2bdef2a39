"""Claims in JSON and YAML: a model with its fields, a list of such, or names with fields below them; and the front matter of cards.

The tree is composed with PyYAML, which also reads JSON and says where every key and value stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archcalc.cards import labels
from archcalc.cards.document import Context, Document, Table
from archcalc.cards.text import Cell, Lines, Segment
from archcalc.cards.vocabulary import mark
from archcalc.errors import FormatError

if TYPE_CHECKING:
    import yaml

_PIN_KEYS = ("archcalc", "source")
_NAME_KEYS = ("model", "name", "model_name", "model_id", "id")
_MAX_DEPTH = 60
_MAX_NODES = 30_000
"""Values of a file, those that aliases repeat counted each time."""
_CLAIM_KEYS = ("claims", "facts", "architecture", "specs")
# What front matter says for other purposes: a card's metadata states a license, not a number of layers.
_METADATA = re.compile(
    r"(?i)base_model.*|language|tags|datasets?|metrics|library_name|pipeline_tag|thumbnail|inference|widget|model-index|extra_gated.*|license_(?:name|link)|new_version|quantized_by|title|date|author|layout|permalink|co2_eq_emissions|size|type|kind|model_type|prompt_template|model_creator"
)


def read(text: str, path: str) -> tuple[Document, str]:
    """The claims of a JSON or YAML file, and the source that it names for itself, if it does."""
    lines = Lines(text)
    walker = _Walker(lines, 0, path)
    default = ""
    for root in _compose(text, path):
        default = walker.walk(root, Context(), whole=True) or default
    return Document(lines, tuple(walker.tables), (), None), default


def with_front_matter(found: Document, path: str) -> tuple[Document, str]:
    """The document with the claims of its front matter before the others, and the source that it names."""
    if found.front_matter is None:
        return found, ""
    start, end = found.front_matter
    walker = _Walker(found.lines, start, path)
    default = ""
    try:
        for root in _compose(found.lines.text[start:end], path):
            default = walker.walk(root, Context(), whole=False) or default
    except FormatError:
        # Broken metadata is for whoever reads metadata; the tables below it are still claims.
        return found, ""
    return found._replace(tables=(*walker.tables, *found.tables)), default


def _compose(text: str, path: str) -> list[yaml.Node]:
    """The documents of a text, as trees."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    is_json = path.lower().endswith(".json")
    if is_json:
        import json

        try:
            json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path} is not JSON: {error}", "correct it there") from None
        # Escapes of UTF-16 halves, which YAML does not know, are no digits: any other characters do in their place.
        text = re.sub(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", "??????", text)
    # JSON may be indented with tabs, which YAML does not allow; one blank for each keeps every offset.
    text = text.replace("\t", " ")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise FormatError(f"{path} is nested too deeply", f"claims stand at most {_MAX_DEPTH} levels deep")
        return [node for node in yaml.compose_all(text, Loader=loader) if node is not None]
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise FormatError(
            f"{path} is not {'JSON' if is_json else 'YAML'}{where}: {getattr(error, 'problem', None) or error}", "correct it there"
        ) from None


class _Walker:
    """Collects a table for each mapping that holds fields."""

    def __init__(self, lines: Lines, start: int, path: str) -> None:
        self.lines = lines
        self.start = start
        self.path = path
        self.tables: list[Table] = []
        self._left = _MAX_NODES

    def walk(self, node: yaml.Node, context: Context, whole: bool, depth: int = 0) -> str:
        """The source that a mapping names, or nothing; its fields, and those below it, become tables."""
        import yaml

        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise FormatError(f"{self.path} unfolds to more than {_MAX_NODES:,} values", "write aliases out, or split the file")
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.walk(item, context, whole, depth + 1)
            return ""
        if not isinstance(node, yaml.MappingNode):
            return ""
        pin, name = "", ""
        rows: list[tuple[Cell, ...]] = []
        below: list[tuple[str, yaml.Node]] = []
        for key_node, value in _pairs(node):
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key.lower() in _PIN_KEYS and isinstance(value, yaml.ScalarNode):
                pin = value.value
            elif whole and key.lower() in _NAME_KEYS and isinstance(value, yaml.ScalarNode):
                name = value.value
            elif not whole and (_METADATA.fullmatch(key) and depth == 0):
                continue
            elif isinstance(value, yaml.ScalarNode):
                rows.append((self._cell(key_node), self._cell(value)))
            elif whole or key.lower() in _PIN_KEYS or key.lower() in _CLAIM_KEYS:
                below.append((key, value))
        own = context
        if pin:
            own = own._replace(pin=pin)
        if name:
            own = own._replace(caption=name, stated=name)
        if rows and (own.pin or not _of_run(node)):
            self.tables.append(Table("tree", rows[0][0].line, tuple(rows), own, 0, tuple(() for _ in rows)))
        for key, value in below:
            if not own.pin and mark("run-group").fullmatch(labels.normal(key)):
                continue
            inner = own
            if whole and not _groups(key, own):
                inner = own._replace(caption=key, stated=key, pin=pin)
            found = self.walk(value, inner, whole or key.lower() in (*_PIN_KEYS, *_CLAIM_KEYS), depth + 1)
            if key.lower() in _PIN_KEYS and found:
                pin = found
        return pin

    def _cell(self, node: yaml.Node) -> Cell:
        """A scalar as a cell. Quotes stand around its text in the file."""
        begin, end = self.start + _offset(node.start_mark), self.start + _offset(node.end_mark)
        text = str(getattr(node, "value", ""))
        source = self.lines.text[begin:end]
        found = source.find(text) if text else -1
        line, column = self.lines.place(begin)
        segments = (Segment(0, begin + found, len(text)),) if found >= 0 else ()
        return Cell(text, line, column, begin, end, segments)


_SET_BY_RUNS = frozenset({"context", "weights", "active_experts", "routing", "window"})
_OF_NO_CONFIG = frozenset({"data", "license", "release"})


def _of_run(node: yaml.MappingNode) -> bool:
    """Whether a mapping is the settings of a run, or what one measured: so say two of its keys, or of those right below it, and at least
    as many as are a model's, of which those that no run sets count twice."""
    import yaml

    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    inner = [value for _, value in node.value if isinstance(value, yaml.MappingNode)]
    below = [key.value for value in inner for key, _ in value.value if isinstance(key, yaml.ScalarNode)]
    runs = sum(mark("run-key").search(labels.normal(key)) is not None for key in {*keys, *below})
    if runs < 2:
        return False
    found = [label.fields[0] for key in keys if (label := labels.parse(key)) is not None and label.fields]
    return runs >= sum(1 if field in _SET_BY_RUNS else 2 for field in {*found} - _OF_NO_CONFIG)


def _groups(key: str, context: Context) -> bool:
    """Whether a key heads a group of fields of the model around it, and is no model's name."""
    from archcalc.cards import names

    if key.lower() in _CLAIM_KEYS or labels.parse(key) is not None:
        return True
    return bool(context.stated or context.pin) and re.fullmatch(r"[a-z_ ]+", key) is not None and names.match(key).kind == "none"


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Keys and values, with those that `<<` merges into the mapping and it does not state itself."""
    import yaml

    stated = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "<<" and isinstance(value, yaml.MappingNode):
            yield from ((k, v) for k, v in value.value if k.value not in stated and k.value != "<<")
        else:
            yield key, value


def _offset(mark: yaml.Mark) -> int:
    return int(mark.index)
