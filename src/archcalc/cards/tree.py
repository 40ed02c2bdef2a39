"""Claims in JSON and YAML: a model with its fields, a list of such, or names with fields below them; and the front matter of cards.

The tree is composed with PyYAML, which also reads JSON and says where every key and value stands.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from archcalc.cards import labels
from archcalc.cards.document import Context, Document, Table
from archcalc.cards.text import Cell, Lines, Segment
from archcalc.errors import FormatError

if TYPE_CHECKING:
    import yaml

_PIN_KEYS = ("archcalc", "source")
_NAME_KEYS = ("model", "name", "model_name", "model_id", "id")
_CLAIM_KEYS = ("claims", "facts", "architecture", "specs")
# What front matter says for other purposes: a card's metadata states a license, not a number of layers.
_METADATA = re.compile(
    r"(?i)base_model.*|language|tags|datasets?|metrics|library_name|pipeline_tag|thumbnail|inference|widget|model-index|extra_gated.*|license_(?:name|link)|new_version|quantized_by|title|date|author|layout|permalink|co2_eq_emissions|size|type|kind|model_type|prompt_template|model_creator"
)


def read(text: str, path: str) -> tuple[Document, str]:
    """The claims of a JSON or YAML file, and the source that it names for itself, if it does."""
    lines = Lines(text)
    root = _compose(text, 0, path)
    tables: list[Table] = []
    default = ""
    if root is not None:
        default = _walk(lines, root, 0, Context(), tables, whole=True)
    return Document(lines, tuple(tables), (), None), default


def with_front_matter(found: Document, path: str) -> tuple[Document, str]:
    """The document with the claims of its front matter before the others, and the source that it names."""
    if found.front_matter is None:
        return found, ""
    start, end = found.front_matter
    try:
        root = _compose(found.lines.text[start:end], start, path)
    except FormatError:
        # Broken metadata is for whoever reads metadata; the tables below it are still claims.
        return found, ""
    if root is None:
        return found, ""
    tables: list[Table] = []
    default = _walk(found.lines, root, start, Context(), tables, whole=False)
    return found._replace(tables=(*tables, *found.tables)), default


def _compose(text: str, start: int, path: str) -> yaml.Node | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if path.lower().endswith(".json"):
        import json

        try:
            json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise FormatError(f"{path} is not JSON: {error}", "correct it there") from None
    # JSON may be indented with tabs, which YAML does not allow; one blank for each keeps every offset.
    try:
        node: yaml.Node | None = yaml.compose(text.replace("\t", " "), Loader=loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise FormatError(f"{path} is not YAML{where}: {getattr(error, 'problem', None) or error}", "correct it there") from None
    return node


def _walk(lines: Lines, node: yaml.Node, start: int, context: Context, tables: list[Table], whole: bool, depth: int = 0) -> str:
    """Collect a table for each mapping that holds fields; the source that the mapping names, or nothing."""
    import yaml

    if depth > 20:
        return ""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _walk(lines, item, start, context, tables, whole, depth + 1)
        return ""
    if not isinstance(node, yaml.MappingNode):
        return ""
    pin, name = "", ""
    rows: list[tuple[Cell, ...]] = []
    below: list[tuple[str, yaml.Node]] = []
    for key_node, value in node.value:
        key = str(getattr(key_node, "value", ""))
        if key.lower() in _PIN_KEYS and isinstance(value, yaml.ScalarNode):
            pin = value.value
        elif whole and key.lower() in _NAME_KEYS and isinstance(value, yaml.ScalarNode):
            name = value.value
        elif not whole and (_METADATA.fullmatch(key) and depth == 0):
            continue
        elif isinstance(value, yaml.ScalarNode):
            rows.append((_cell(lines, key_node, start), _cell(lines, value, start)))
        elif whole or key.lower() in _PIN_KEYS or key.lower() in _CLAIM_KEYS:
            below.append((key, value))
    own = context
    if pin:
        own = own._replace(pin=pin)
    if name:
        own = own._replace(caption=name)
    if rows:
        tables.append(Table("tree", rows[0][0].line, tuple(rows), own, 0, tuple(() for _ in rows)))
    for key, value in below:
        inner = own
        if whole and key.lower() not in _CLAIM_KEYS and labels.parse(key) is None:
            inner = own._replace(caption=key, pin=pin)
        found = _walk(lines, value, start, inner, tables, whole or key.lower() in _PIN_KEYS, depth + 1)
        if key.lower() in _PIN_KEYS and found:
            pin = found
    return pin


def _cell(lines: Lines, node: yaml.Node, start: int) -> Cell:
    """A scalar as a cell. Quotes stand around its text in the file."""
    begin, end = start + _offset(node.start_mark), start + _offset(node.end_mark)
    text = str(getattr(node, "value", ""))
    source = lines.text[begin:end]
    found = source.find(text) if text else -1
    line, column = lines.place(begin)
    segments = (Segment(0, begin + found, len(text)),) if found >= 0 else ()
    return Cell(text, line, column, begin, end, segments)


def _offset(mark: yaml.Mark) -> int:
    return int(mark.index)


def is_claims(path: str) -> bool:
    """Whether a file is one of claims and not a config that happens to lie beside a card."""
    return os.path.basename(path) not in ("config.json", "tokenizer.json", "generation_config.json")
