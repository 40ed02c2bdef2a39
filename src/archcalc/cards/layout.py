"""Which cell speaks of which model, and of which of its fields: one model a row, one model a column, or one model a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from archcalc.cards import document, labels, names
from archcalc.cards.document import Context, Table
from archcalc.cards.labels import Label
from archcalc.cards.readers.claim import EMPTY as NOTHING
from archcalc.cards.readers.counted import counted
from archcalc.cards.text import EMPTY, Cell
from archcalc.cards.vocabulary import mark
from archcalc.records import NamedTuple

_HUB = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)", re.IGNORECASE)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_BYTES = re.compile(r"[\d.,]+(?:-[\d.]+)?\s*([GMK]i?B)")


def of_tower(context: Context) -> bool:
    """Whether what stands above a list or table is about a part that is not the text model."""
    last = context.caption.rstrip().splitlines()[-1:] if context.caption.rstrip().endswith((":", "：")) else []
    return any(mark("tower").search(text) and not names.in_sentence(text) for text in (*context.headings[-1:], *last))


_TOWER = "vision encoder"


class Subject(NamedTuple):
    """What a cell names as its model: the text, a size that the same row states, what it links to, and the row's repository id. `made`
    says that the row is of a model made from it."""

    text: str
    size: str = ""
    links: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    repo: str = ""
    made: bool = False


class Slot(NamedTuple):
    """A cell to read: under which label, about which subject (None: about what the table's surroundings name).

    `labelled` is False where the cell's own words stand for the label. `types` are those that its row states of something, maybe of it.
    """

    subject: Subject | None
    label: Label
    cell: Cell
    heading: str
    labelled: bool = True
    types: tuple[str, ...] = ()


class Text(NamedTuple):
    """An item of a list, a note in a row or a cell, that may say figures without a label. `before` is the label in front of it."""

    subject: Subject | None
    cell: Cell
    before: str = ""
    note: bool = False


def texts(table: Table) -> Iterator[Text]:
    """The items of a list, and the cells of columns for notes."""
    if table.context.off or not table.rows or table.kind == "tree" or of_tower(table.context):
        return
    if table.kind == "prose":
        yield from (Text(None, row[1]) for row in table.rows)
        return
    if table.kind == "list":
        for row, groups in zip(table.rows, table.groups, strict=True):
            owner = _leading(row[1].text) if not row[0].text else ""
            owner = owner or owner_of((*groups, row[0].text)) or (_said_once(row[1].text) if not row[0].text else "")
            subject = Subject(owner) if owner else None
            if mark("links").fullmatch(row[0].text.strip()):
                continue
            if re.search(r"\d", row[0].text):
                yield Text(subject, row[0])
            yield Text(subject, row[1], row[0].text)
        return
    head = _head(table)
    if mark("parts").fullmatch(_key(head[0].text)):
        notes = [k for k, cell in enumerate(head) if k and mark("notes").fullmatch(_key(cell.text))]
        own = [row for row in table.rows[table.heads :] if mark("text-model").search(row[0].text) and "alker" not in row[0].text]
        yield from (Text(None, row[k]) for row in own for k in notes if k < len(row))
        return
    notes = [k for k, cell in enumerate(head) if k and mark("notes").fullmatch(_key(cell.text))]
    if not mark("names-models").fullmatch(_key(head[0].text)) and names.match(table.rows[-1][0].text).kind == "none":
        if len(head) > _PAIR and notes and (over := labels.parse(head[1].text)) is not None and over.role == "value":
            yield from (Text(None, row[k]) for row in table.rows[table.heads :] for k in notes if 1 < k < len(row))
        return
    for row in table.rows[table.heads :]:
        for k in notes:
            if k < len(row) and row[0].text.strip():
                yield Text(_subject(row[0]), row[k], note=True)


_PAIR = 2
_CORNER = 24


def _leading(text: str) -> str:
    """The model that an item begins with: "Qwen3-8B, 36 layers"."""
    name = re.split(r"[,，:：(（—]|\s[-–]\s", text, maxsplit=1)[0].strip()
    return name if name != text and names.match(name).kind in ("exact", "tuned") else ""


def _said_once(text: str) -> str:
    """The one model that an item names: "Recipe for DeepSeek-V2-Lite (16B, 2.4B active)"."""
    said = names.in_sentence(text)
    return said[0].text if len(said) == 1 and said[0].match.kind in ("exact", "tuned") else ""


def owner_of(groups: tuple[str, ...]) -> str:
    """The nearest item above that names a model: whole, or before what stands in brackets."""
    for text in reversed(groups):
        if not text:
            continue
        for name in (text, names.bare(text)):
            if names.match(name).kind in ("exact", "tuned", "family"):
                return name
    return ""


def surroundings(table: Table) -> Context:
    """What stands around a table, and what it says of its model itself: a row `Base model`, an item "X has 14B parameters"."""
    context = table.context
    for row in table.rows:
        if len(row) < 2:
            continue
        label, value = row[0].text.strip(), row[1].text
        if table.kind == "table" and mark("states").fullmatch(label) and 1 < len(value) < 80:
            return context._replace(base=value) if label.lower().startswith("base") else context._replace(stated=value)
        said = _SAYS.match(value)
        if table.kind == "list" and said is not None and names.match(said[1]).kind in ("exact", "tuned"):
            return context._replace(stated=said[1])
    return context


_SAYS = re.compile(r"(?:The )?([A-Z][\w.-]+(?: [\w.-]+){0,4}?) (?:has|is a|is an|features)\b")


def slots(table: Table) -> Iterator[Slot]:
    """The cells of a table that may hold claims, row by row."""
    if table.context.off or not table.rows or table.kind == "prose":
        return
    # A repository's name is no figure, whatever the label: `Weights | Qwen/Qwen3-14B`.
    found = [
        slot
        for slot in _slots(table)
        if not (slot.label.fields[0] in _SIZES and is_repo(slot.cell.text) and re.search(r"[A-Za-z]{2}", slot.cell.text))
    ]
    headings = {slot.heading for slot in found}
    if any(_key(heading) == "dim" for heading in headings):
        # Mistral's names: `dim` is the width of the model, `hidden_dim` that of the FFN.
        found = [
            slot._replace(label=Label(("intermediate_size",), slot.label.quals)) if _key(slot.heading) == "hidden dim" else slot
            for slot in found
        ]
    total = {heading for heading in headings if re.search(r"(?i)\btotal\b", heading)}
    counted = {slot.label.fields for slot in found}
    if (
        total
        and ("active_experts",) not in counted
        and any(slot.label.fields == ("experts",) for slot in found if slot.heading in total)
    ):
        # "# Experts (total)" beside "# Routed Experts": the latter are those that a token visits.
        found = [
            slot._replace(label=slot.label._replace(fields=("active_experts",)))
            if slot.label.fields == ("experts",) and re.search(r"(?i)\brouted\b", slot.heading) and "otal" not in slot.heading
            else slot
            for slot in found
        ]
    yield from found


@lru_cache(maxsize=4096)
def _key(heading: str) -> str:
    return labels.normal(re.sub(r"\([^()]*\)", " ", heading))


_ASSUMED = re.compile(
    r"(?i)(?:assum\w*|at|with|for) (?:an? )?(?P<tokens>\d[\d,]*k?)[- ](?:tokens? (?:of )?)?context"
    r"|context (?:length |window )?(?:of|=|:) ?(?P<length>\d[\d,]*k?)"
)


def _slots(table: Table) -> Iterator[Slot]:
    caption = table.context.caption
    assumed = _ASSUMED.search(caption)
    context = labels.context_in(assumed["tokens"] or assumed["length"]) if assumed else 0
    tower = table.kind == "table" and of_tower(table.context)
    for slot in _labelled(table):
        if tower and slot.subject is None:
            label = labels.parse(slot.heading, _TOWER)
            if label is not None and label.fields:
                yield slot._replace(label=label)
            continue
        quals = slot.label.quals
        if context and slot.label.fields[0] in _GROWING and not quals.context:
            quals = quals._replace(context=context)
        if not quals.tp:
            quals = quals._replace(tp=labels.ranks_in(caption))
        if quals.tp:
            yield slot if quals is slot.label.quals else slot._replace(label=slot.label._replace(quals=quals))


def _labelled(table: Table) -> Iterator[Slot]:
    if table.kind != "table":
        yield from _pairs(table)
        return
    table = _two_headed(table)
    if len({(row[0].start, row[0].text) for row in table.rows}) == 1 < len(table.rows) and len(table.rows[0]) == _TRIPLE:
        yield from _triples(list(table.rows), 0, 1, 2)  # a name that spans all rows, beside labels and values
        return
    head, body = _head(table), list(table.rows[table.heads :])
    width = max(len(row) for row in table.rows)
    columns = [labels.parse(head[k].text) if k < len(head) else None for k in range(width)]
    columns = _told_by_cells(table, columns, body)
    if long := _long_form(columns):
        yield from _triples(body, *long)
        return
    side, side_labels = _side(head, columns, body, width)
    columns, side_labels = _active(columns), _active(side_labels)
    across = sum(1 for k, label in enumerate(columns) if label is not None and label.fields and k != side)
    down = len({row[side].text.lower() for row, label in zip(body, side_labels, strict=True) if label is not None and label.fields})
    strong_across = sum(1 for k, label in enumerate(columns) if label is not None and label.fields and not label.weak and k > 0)
    if across and (across > down or (across == down and strong_across and not _named_heads(head, side))):
        for a, b in pairwise((0, *_others(columns, body), width)):
            yield from _by_row(head[a:b], columns[a:b], [row[a:b] for row in body])
    elif down:
        yield from _by_column(table, head, columns, body, side, side_labels)


def _active(found: list[Label | None]) -> list[Label | None]:
    """Labels of a table, where "Active" is of parameters if another one asks for active experts."""
    if not any(label is not None and label.fields == ("active_experts",) for label in found):
        return found
    return [
        label._replace(fields=("active_params",)) if label is not None and label.fields == ("active",) else label for label in found
    ]


_TRIPLE = 3
_DTYPE_HEAD = re.compile(
    r"(?i)(?:vram|memory|size|weights)?\W*(?:awq |gptq |gguf )?\(?(?P<dtype>[a-z]+\d+(?:_\w+)?|\d+[- ]bit)\)?(?: vram| memory| size)?"
)
_FILE = re.compile(r"i?q\d(?:_\w+)?")
_TOKENS_HEAD = re.compile(r"(?i)\d[\d,]*k?(?:[- ](?:tokens?|context|ctx))?(?: \((?:bf16|fp16|fp8|int8)\))?")
_SOME_LAYERS = re.compile(
    r"(?i)layers? (?:alone|only)|only (?:the )?\w+ layers?|(?:full|global|sliding|windowed|local)(?:[- ]attention)? layers"
)
"""A cache of some layers is not the model's."""
LOOSE = "loose"
"""Sizes of a column that may count more than weights."""
_OF_HEADS = {"q": "heads", "kv": "kv_heads"}
"""Heads of columns that say of which heads, beside one that says that they are heads."""
_MIXERS = re.compile(r"(?i)MHA|GQA|MQA|MLA|SWA|DSA")


def _told_by_cells(table: Table, columns: list[Label | None], body: list[tuple[Cell, ...]]) -> list[Label | None]:
    """The columns, those whose head says too little told by their cells: sizes under FP16 where the text speaks of weights, kinds of
    attention under a head of no meaning. What is a sum of other columns is left out."""
    around = f"{table.context.caption} {' '.join(table.context.headings[-1:])}"
    head = _head(table)
    out = list(columns)
    for k, label in enumerate(columns):
        cells = [row[k].text for row in body if k < len(row) and not NOTHING.fullmatch(row[k].text)]
        if not cells or k >= len(head):
            continue
        if (label is None or not label.fields) and (unit := _unit_of(cells)) is not None:
            named = _DTYPE_HEAD.fullmatch(head[k].text.strip())
            stated = named["dtype"].lower() if named else ""
            dtype = labels.dtype_in(stated) or (stated if _FILE.fullmatch(stated) else "")
            if dtype and mark("weights").search(around):
                out[k] = Label(("weights",), labels.Quals(unit, dtype=dtype))
            elif dtype and not re.search(r"(?i)vram|memory", head[k].text):
                out[k] = Label(("weights",), labels.Quals(unit, dtype=dtype, other=LOOSE))
            elif (
                columns[0] is not None
                and columns[0].fields == ("context",)
                and (batch := _BATCH_HEAD.fullmatch(head[k].text.strip()))
                and re.search(r"(?i)\bkv\b|key[- ]value", around)
            ):
                out[k] = Label(("kv_cache",), labels.Quals(unit, batch=int(batch[1]), dtype=labels.dtype_in(around.lower())))
            elif mark("per-token").fullmatch(f" {head[k].text.strip()}") and mark("kv-cache").search(around):
                out[k] = Label(("kv_per_token",), labels.Quals(unit, dtype=labels.dtype_in(around.lower())))
            elif (
                _TOKENS_HEAD.fullmatch(head[k].text.strip())
                and not _SOME_LAYERS.search(around)
                and re.search(r"(?i)\bkv\b|key[- ]value|\bcaches?\b", around)
            ):
                out[k] = Label(("kv_cache",), labels.Quals(unit, labels.context_in(head[k].text), labels.dtype_in(around.lower())))
        elif label is None and k and all(re.fullmatch(r"\d+:\d+|\w+", text.strip()) for text in cells) and ":" in "".join(cells):
            if {"heads", "kv_heads"} <= {other.fields[0] for other in columns if other is not None and other.fields}:
                out[k] = Label(("gqa_ratio",))
        elif label is None and _key(head[k].text) in _OF_HEADS and all(re.fullmatch(r"\d{1,3}", text.strip()) for text in cells):
            beside = {_key(cell.text) for cell in head} | {
                other.fields[0] for other in columns if other is not None and other.fields
            }
            if beside & _OF_HEADS.keys() - {_key(head[k].text)} or "heads" in beside:
                out[k] = Label((_OF_HEADS[_key(head[k].text)],))
        elif label is None and k and all(_MIXERS.fullmatch(text.strip()) for text in cells):
            out[k] = Label(("attention",))
        elif label is not None and label.fields[:1] in (("total_params",), ("weights",)) and _key(head[k].text) == "total":
            parts = [other.fields[0] for other in columns if other is not None and other.fields]
            if "weights" in parts and {"kv_cache", "activations"} & set(parts):
                out[k] = Label((), role="skip")
    return out


def _unit_of(cells: Sequence[str]) -> int | None:
    """The unit of a column of sizes: most cells state theirs, and those that do not have the one that all others have. None where it is
    no such column, nothing where each states its own."""
    texts = [text.lstrip("~≈ ") for text in cells]
    plain = sum(_PLAIN.fullmatch(text) is not None for text in texts)
    if not cells or 2 * plain >= len(texts) or not all(_BYTES.match(text) or _PLAIN.fullmatch(text) for text in texts):
        return None
    units = {match[1].lower() for text in texts if (match := _BYTES.match(text))}
    return labels.unit_in(units.pop()) if plain and len(units) == 1 else 0


_PLAIN = re.compile(r"\d+(?:\.\d+)?\s*")
_SIZE_HEAD = re.compile(r"(?i)~?\d+(?:\.\d+)?\s?[bmt](?:[- ]a\d+(?:\.\d+)?b)?")


def _two_headed(table: Table) -> Table:
    """A table whose first row holds the sizes of the families in its head is one of two head rows."""
    if table.heads != 1 or len(table.rows) < 3:
        return table
    head, sizes = table.rows[:2]
    texts = [cell.text.strip() for cell in sizes[1:]]
    found = [labels.parse(text) for text in texts if text]
    if not sizes[0].text.strip() and len(found) > 1 and all(label is not None and label.fields for label in found):
        return table._replace(rows=(_filled(head), *table.rows[1:]), heads=2)
    if len(texts) < 2 or not all(_SIZE_HEAD.fullmatch(text) for text in texts) or labels.parse(sizes[0].text) is not None:
        return table
    filled = _filled(head)
    said = [
        (names.match(cell.text).kind, names.match(f"{cell.text} {text}").names)
        for cell, text in zip(filled[1:], texts, strict=False)
    ]
    if any(kind in ("exact", "tuned") for kind, _ in said) or not any(kind == "family" or both for kind, both in said):
        return table
    return table._replace(rows=(filled, *table.rows[1:]), heads=2)


def _filled(head: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """A head row in which a cell holds for the empty ones behind it."""
    filled = list(head)
    for k in range(2, len(filled)):
        if not filled[k].text.strip():
            filled[k] = filled[k - 1]
    return tuple(filled)


def _head(table: Table) -> list[Cell]:
    """One cell a column: the head rows joined where a size stands under its family, those that span columns said once."""
    rows = table.rows[: table.heads]
    if len(rows) == 1:
        return list(rows[0])
    out = []
    for k in range(max(len(row) for row in rows)):
        cells = [row[k] for row in rows if k < len(row) and row[k].text]
        last = cells[-1] if cells else EMPTY
        if (
            len(cells) > 1
            and _SIZE_HEAD.fullmatch(last.text.strip())
            and names.match(both := f"{cells[-2].text} {last.text}").names
        ):
            last = last._replace(text=both, segments=())
        elif len(cells) > 1 and cells[-2].text != last.text:
            # "Dim" below "FFN" is the width of the FFN, and layers below "Vision" are none of the decoder's.
            both = f"{cells[-2].text} {last.text}"
            joined = labels.parse(both)
            if (joined is not None and joined.fields) or mark("part").search(cells[-2].text):
                last = last._replace(text=both, segments=())
        out.append(last)
    return out


def _long_form(columns: list[Label | None]) -> tuple[int, int, int] | None:
    """The columns of model, claim and value, where there are all three."""
    roles = {label.role: k for k, label in reversed(list(enumerate(columns))) if label is not None and label.role}
    if {"model", "claim", "value"} <= roles.keys() and not any(label is not None and label.fields for label in columns):
        return roles["model"], roles["claim"], roles["value"]
    return None


def _triples(body: list[tuple[Cell, ...]], model: int, claim: int, value: int) -> Iterator[Slot]:
    for row in body:
        if max(model, claim, value) < len(row):
            label = labels.parse(row[claim].text)
            if label is not None and label.fields:
                yield Slot(_subject(row[model]), label, row[value], row[claim].text)


def _subject(cell: Cell, size: str = "", links: tuple[str, ...] = ()) -> Subject:
    return Subject(cell.text, size, cell.links or links, cell.comments)


def _member(family: Cell, member: Cell) -> Cell:
    """The cell that names a row's model: the member where a family stands before it, the two together where it is a size or a word."""
    if names.match(family.text).kind in ("exact", "tuned") or "/" in member.text:
        return family
    for text in (member.text, f"{family.text} {member.text}"):
        if names.match(text).kind in ("exact", "tuned"):
            return member._replace(text=text, links=(*member.links, *family.links), comments=(*member.comments, *family.comments))
    return family


def _are_names(cells: list[str]) -> bool:
    """Whether more than half of a column's cells name models: known ones, or by a size."""
    named = sum(names.match(text).kind in ("exact", "tuned") or _SIZED.search(text) is not None for text in cells)
    return 2 * named > len(cells)


_SIZED = re.compile(r"(?i)[a-z][\w.]*[- ](?:\d+x)?\d+(?:\.\d+)?[bm]\b")


def _others(columns: list[Label | None], body: list[tuple[Cell, ...]]) -> Iterator[int]:
    """The columns with which further models of a row begin: they hold names, and behind them stand fields that stood before them."""
    start = 0
    for k, label in enumerate(columns):
        if k == start or (label is not None and (label.fields or label.role not in ("", "model"))):
            continue
        if label is None and not all(row[k].text[:1].isalpha() for row in body if k < len(row)):
            continue
        before, behind = (
            {one.fields for one in part if one is not None and one.fields} for part in (columns[start:k], columns[k:])
        )
        if before & behind:
            yield k
            start = k


# One model a row


def _by_row(head: list[Cell], columns: list[Label | None], body: list[tuple[Cell, ...]]) -> Iterator[Slot]:
    origins = {k for k, cell in enumerate(head) if mark("origin").fullmatch(_key(cell.text))}
    models = [k for k, label in enumerate(columns) if label is not None and label.role == "model"]
    model = next((k for k in models if k not in origins), next(iter(models), None))
    if model in origins and columns[0] is None and _are_names([row[0].text for row in body if row]):
        model = 0  # "| VLM | LLM | Params |"
    if model is None:
        # Without a head that says so, the first column that holds no field names the model, or the size does.
        model = next((k for k, label in enumerate(columns) if label is None or label.role), None)
        if model is None or model > 1:
            model = 0
    size = next(
        (
            k
            for k, label in enumerate(columns)
            if label is not None and label.fields[:1] == ("total_params",) and not label.quals.embedding
        ),
        None,
    )
    # Columns that hold links and no figures.
    loose = {k for k, label in enumerate(columns) if k != model and (label is None or label.role == "skip")}
    ids = {k for k, label in enumerate(columns) if k != model and (label is None or not label.fields)}
    types = _types(head, columns, body, model)
    batch = next((k for k, cell in enumerate(head) if k < len(columns) and _BATCH.fullmatch(cell.text.strip())), None)
    ranks = next((k for k, cell in enumerate(head) if k < len(columns) and _TP_HEAD.fullmatch(cell.text.strip())), None)
    hosts = next((k for k, cell in enumerate(head) if k < len(columns) and mark("host").fullmatch(cell.text.strip())), None)
    columns = _of_layers(head, columns, body, model)
    sweep = _sweep(columns, body, model)
    at = _measured_at(columns) if sweep is None else None
    # Where every column is a field and the first holds figures, what stands above says of whom they are.
    first = columns[0].fields if columns and columns[0] is not None else ()
    sizes = first[:1] in (("total_params",), ("weights",), ("context",))
    above = (
        not sizes
        and all(label is not None and label.fields for label in columns)
        and all(row and re.fullmatch(r"[\W\d]*\d[\W\d]*[KMBT]?\W*", row[0].text) for row in body)
    )
    # With what may change a label: what a row says of a batch, of ranks, of a context or of a format.
    asked = [(k, label, head[k].text) for k, label in enumerate(columns) if label is not None and label.fields and k != at]
    batches = {k for k, label, _ in asked if batch is not None and label.fields[0] == "kv_cache"}
    ranked = {k for k, label, _ in asked if ranks is not None and not label.quals.tp}
    growing = {k for k, label, _ in asked if at is not None and label.fields[0] in _GROWING}
    tuned = model + 1 in ids and mark("made").search(head[model + 1].text) is not None
    made = model + 1 in origins or (model in origins and tuned)
    name, of_parts = EMPTY, model == 0 and mark("parts").fullmatch(_key(head[0].text)) is not None
    beside_weights = any(label.fields[0] == "weights" for _, label, _ in asked)
    rows_of_formats = model == 0 and len(body) > 1 and all(row and _FORMAT.fullmatch(row[0].text.strip()) for row in body)
    for row in body:
        if sweep is not None:
            yield from _swept(head, columns, row, sweep)
            continue
        if model < len(row) and row[model].text.strip():
            name = row[model]
        elif model < len(row) and row[model].end > row[model].start:
            continue  # a name that is struck out, or an image
        stated = row[size].text if size is not None and size < len(row) and size != model else ""
        linked = tuple(
            link
            for k, cell in enumerate(row)
            if k not in origins - {model} and cell.links and (k in loose or (k != model and not re.search(r"\d", cell.text)))
            for link in cell.links
        )
        repo = next((text for k in sorted(ids - origins) if k < len(row) and is_repo(text := names.clean(row[k].text))), "")
        named = _member(name, row[model + 1]) if model + 1 in ids and model + 1 < len(row) else name
        subject: Subject | None = _subject(named, stated, linked)._replace(
            repo=repo, made=made and (named is not name or model in origins)
        )
        typed = {of: _stated_type(head[k].text, row[k].text) if k < len(row) else "" for of, k in types.items()}
        if rows_of_formats:
            subject, typed = None, {_OF_BOTH: _stated_type(head[0].text, name.text)}
        if above or model == batch or (of_parts and mark("text-model").search(name.text) and "alker" not in name.text):
            subject = None
        said: dict[int | None, str] = {k: row[k].text for k in (batch, ranks, at) if k is not None and k < len(row)}
        long = labels.context_in(name.text.partition("@")[2])  # Qwen3-8B @ 32k
        for k, label, heading in asked:
            if k >= len(row):
                break
            if k in batches and (count := said.get(batch, "").strip()).isdecimal():
                label = label._replace(quals=label.quals._replace(batch=int(count)))  # noqa: PLW2901
            if k in ranked and label.fields != ("weights",) and (count := said.get(ranks, "").strip()).isdecimal():
                label = label._replace(quals=label.quals._replace(tp=int(count)))  # noqa: PLW2901
            if hosts is not None and hosts < len(row) and label.fields == ("weights",) and not label.quals.devices:
                count = row[hosts].text.strip()
                devices = int(count) if count.isdecimal() else labels.devices_in(count)
                tp = label.quals.tp or devices
                label = label._replace(quals=label.quals._replace(devices=devices, tp=tp))  # noqa: PLW2901
            if k in growing and at in said:
                label = label._replace(quals=label.quals._replace(context=labels.context_in(said[at])))  # noqa: PLW2901
            elif long and label.fields[0] in _GROWING and not label.quals.context:
                label = label._replace(quals=label.quals._replace(context=long))  # noqa: PLW2901
            of_row, maybe = _as_stored(label, row[k].text, typed, heading, beside_weights)
            if of_row is not label:
                label = of_row  # noqa: PLW2901
            elif k == model:
                if not above and not re.search(r"\d\s*[BMT]\b", row[k].text):
                    continue
                if label.weak and re.search(r"[A-Za-z]{3}", row[k].text):
                    continue
            yield Slot(subject, label, row[k], heading, types=maybe)


_OF_CACHES, _OF_WEIGHTS, _OF_BOTH = "cache", "weight", "both"
_CACHES = ("kv_cache", "kv_per_token")


def _types(head: list[Cell], columns: list[Label | None], body: list[tuple[Cell, ...]], model: int) -> dict[str, int]:
    """The columns that say in which type a row's sizes are, by what they are of: those whose head says so, and those whose cells are
    all types or defaults."""
    found: dict[str, int] = {}
    for k, label in enumerate(columns):
        if k == model or k >= len(head) or (label is not None and label.fields and label.fields != ("data",)):
            continue
        if label is None or label.role != "format":
            cells = [labels.type_in(head[k].text, row[k].text) for row in body if k < len(row) and row[k].text.strip()]
            if None in cells or not any(cells):
                continue
        of = next((of for of in (_OF_CACHES, _OF_WEIGHTS) if mark(f"{of}-types").search(head[k].text)), "")
        found.setdefault(of or (_OF_WEIGHTS if label is not None and label.role == "format" else _OF_BOTH), k)
    return found


def _stated_type(head: str, text: str) -> str:
    """The type that a cell states, or its own word for one that is not known."""
    said = labels.type_in(head, text)
    return said if said is not None else labels.dtype_in(text.lower()) or text.lower()


def _as_stored(label: Label, text: str, typed: dict[str, str], heading: str, beside_weights: bool) -> tuple[Label, tuple[str, ...]]:
    """A label with the type that a cell's row states for it, or with one that may be of something else."""
    both, field = typed.get(_OF_BOTH, ""), label.fields[0]
    if "weights" in label.fields or (field == "total_params" and _BYTES.match(text)):
        stored = typed.get(_OF_WEIGHTS, "") or both
        return (_of_type(label, stored, heading) if stored else label), ()
    if field not in _CACHES:
        return label, ()
    if stored := typed.get(_OF_CACHES, "") or ("" if beside_weights else both):
        return _of_type(label, stored, heading), ()
    return label, tuple(filter(None, (both or typed.get(_OF_WEIGHTS, ""),)))


@lru_cache(maxsize=1024)
def _of_type(label: Label, dtype: str, heading: str) -> Label:
    """A label of sizes in a type that its row states. Memory may hold more than the weights."""
    quals, fields = label.quals, label.fields
    if fields[0] in _SIZES:
        fields = ("weights",)
        quals = quals._replace(other=LOOSE) if mark("memory").search(heading) else quals
    return Label(fields, quals if quals.dtype else quals._replace(dtype=dtype), label.role, label.weak)


_BATCH = re.compile(r"(?i)batch(?:[ _-]?size)?|批(?:次|处理)?大小|concurrency|(?:users|requests|sequences)")
_TP_HEAD = re.compile(r"(?i)tp|tp[ _-]size|tensor[ -]parallel(?:ism)?(?: size| degree)?|张量并行(?:度|数)?")
_BATCH_HEAD = re.compile(r"(?i)(?:batch|bs)(?:[ _-]?size)?\s*[=:]?\s*(\d{1,4})")
_SIZES = ("total_params", "active_params", "weights")
_GROWING = ("kv_cache", "flops", "activations")
"""What grows with the context."""


def _measured_at(columns: list[Label | None]) -> int | None:
    """The column of contexts that sizes in other columns are for; it claims nothing itself."""
    found = [k for k, label in enumerate(columns) if label is not None and label.fields == ("context",)]
    sized = [label for label in columns if label is not None and label.fields[:1] == ("kv_cache",)]
    return found[0] if len(found) == 1 and sized and not any(label.quals.context for label in sized) else None


def _of_layers(head: list[Cell], columns: list[Label | None], body: list[tuple[Cell, ...]], model: int) -> list[Label | None]:
    """The columns of a table of single layers, which has several rows of a model and says which layer each is of: sizes are of one."""
    which = {
        k for k, label in enumerate(columns) if label is not None and label.fields and mark("one-of-them").fullmatch(head[k].text)
    }
    said = [row[model].text for row in body if model < len(row)]
    if not which or len(set(said)) == len(said):
        return columns
    skip = Label((), role="skip")
    of_one = [
        label._replace(quals=label.quals._replace(each="layer"))
        if label is not None and labels.NUMERIC.get(label.fields[0] if label.fields else "") in ("count", "bytes", "flops")
        else label
        for label in columns
    ]
    return [skip if k in which else label for k, label in enumerate(of_one)]


_FORMAT = re.compile(r"(?i)(?:bf16|fp16|fp32|fp8|int8|int4|nvfp4|mxfp4|awq|gptq|[48]-bit|16-bit|i?q\d(?:_\w+)?)(?: \([^()]*\))?")


def _sweep(columns: list[Label | None], body: list[tuple[Cell, ...]], model: int) -> int | None:
    """The column of contexts of a table that lists caches by context, and no models."""
    first = columns[0]
    if (
        first is None
        or first.fields != ("context",)
        or not any(label is not None and label.fields[:1] in (("kv_cache",), ("flops",), ("activations",)) for label in columns[1:])
    ):
        return None
    return None if any(names.match(row[model].text).kind != "none" for row in body if model < len(row)) else 0


def _swept(head: list[Cell], columns: list[Label | None], row: tuple[Cell, ...], sweep: int) -> Iterator[Slot]:
    context = labels.context_in(row[sweep].text)
    for k, label in enumerate(columns):
        if k != sweep and label is not None and label.fields and k < len(row) and context:
            yield Slot(
                None, label._replace(quals=label.quals._replace(context=label.quals.context or context)), row[k], head[k].text
            )


# One model a column, or a table of labels and values


def _with_corner(corner: str, text: str, group: str) -> Label | None:
    """The label of a row; with the corner's word before it where it says too little: "Hidden" above "size"."""
    label = labels.parse(text, group)
    if corner and (label is None or label.weak) and text.strip():
        joined = labels.parse(f"{corner} {text}", group)
        return joined if joined is not None and joined.fields and not joined.weak else label
    return label


def _side(
    head: list[Cell], columns: list[Label | None], body: list[tuple[Cell, ...]], width: int
) -> tuple[int, list[Label | None]]:
    """The column of labels: that with most of them among the first three. Below a head that is a field, words are values (MoE, GQA)."""
    best: tuple[int, int, list[Label | None]] = (-1, 0, [])
    for k in range(min(3, max(1, width - 1))):
        over = columns[k]
        if k and over is not None and over.fields:
            continue
        found = []
        corner = head[k].text if k < len(head) and len(head[k].text) <= _CORNER and not (over and over.role) else ""
        for row in body:
            group = row[k - 1].text if k and k - 1 < len(row) else ""
            found.append(_with_corner(corner, row[k].text, group) if k < len(row) else None)
        # Labels stand once; words that repeat are values.
        count = len({row[k].text.lower() for row, label in zip(body, found, strict=True) if label is not None and label.fields})
        if count > best[0]:
            best = (count, k, found)
    return best[1], best[2]


def _named_heads(head: list[Cell], side: int) -> bool:
    return any(names.match(cell.text).kind != "none" for cell in head[side + 1 :])


def _by_column(
    table: Table,
    head: list[Cell],
    columns: list[Label | None],
    body: list[tuple[Cell, ...]],
    side: int,
    side_labels: list[Label | None],
) -> Iterator[Slot]:
    rows = list(zip(body, side_labels, strict=True))
    # A table of pairs may have its first pair where heads stand.
    first = columns[side] if side < len(columns) else None
    beside = columns[side + 1] if side + 1 < len(columns) else None
    of_values = beside is not None and beside.role == "value"
    if first is not None and first.fields and side + 1 < len(head) and len(head) - side == 2 and not of_values:
        rows.insert(0, (tuple(head), first))
        subjects: list[Subject | None] = [None] * len(head)
    else:
        subjects = [_column_subject(cell, k, side, columns, len(head)) for k, cell in enumerate(head)]
    sizes = _sizes(rows)
    group = ""
    for row, label in rows:
        if side and row[side - 1].text.strip():
            group = row[side - 1].text
        if label is None or not label.fields:
            # A row that labels nothing and holds nothing heads the rows below it.
            if side < len(row) and row[side].text and not any(cell.text.strip() for cell in row[side + 1 :]):
                group = row[side].text
            continue
        grouped = (labels.parse(row[side].text, group) if group else None) or label
        if not grouped.fields:
            continue
        for k in range(side + 1, len(row)):
            if k >= len(subjects):
                break
            subject = subjects[k]
            if subject is not None and subject.text == "\0":
                continue
            if subject is not None:
                subject = subject._replace(size=sizes.get(k, ""))
            yield Slot(subject, grouped, row[k], row[side].text)


def _column_subject(cell: Cell, k: int, side: int, columns: list[Label | None], width: int) -> Subject | None:
    """The model of a column, None where the table's surroundings name it, or a mark to leave the column out."""
    skip = Subject("\0")
    if k <= side:
        return skip
    label = columns[k] if k < len(columns) else None
    if names.match(cell.text).kind != "none" or cell.links or cell.comments:
        return _subject(cell)
    if label is not None and (label.role == "skip" or (label.role == "claim" and width - side > 2)):
        return skip
    if width - side == 2 or (label is not None and label.role == "value"):
        # The one column of values; a head that is no known word may still be a name.
        plain = label is not None or not cell.text.strip() or re.fullmatch(r"[-–—\s]*", cell.text)
        return None if plain or not re.search(r"\d", cell.text) else _subject(cell)
    if label is not None and label.fields and label.fields[0] in ("data", "release", "license"):
        return skip
    if _MIXERS.fullmatch(cell.text.strip()):
        return skip  # variants of one experiment
    return _subject(cell) if cell.text.strip() else skip


def _sizes(rows: list[tuple[tuple[Cell, ...], Label | None]]) -> dict[int, str]:
    for row, label in rows:
        if label is not None and label.fields == ("total_params",) and not label.quals.embedding:
            return {k: cell.text for k, cell in enumerate(row)}
    return {}


def _pairs(table: Table) -> Iterator[Slot]:
    """A list, or a tree of keys and values."""
    above = {label for groups in table.groups for label in groups}
    tower = _TOWER if of_tower(table.context) else ""
    for row, groups in zip(table.rows, table.groups, strict=True):
        group = " ".join(groups[-2:]) or tower
        if mark("links").fullmatch(row[0].text.strip()):
            continue
        if not row[0].text:
            if group == tower != "":
                continue
            if row[1].text in above:
                continue
            named = owner_of(groups)
            for slot in _unlabelled(row[1]):
                yield slot._replace(subject=Subject(named)) if named and slot.subject is None else slot
            continue
        label = labels.parse(row[0].text, group)
        if label is not None and label.fields:
            owner = owner_of(groups) or _said_once(row[0].text)
            yield Slot(Subject(owner) if owner else None, label, row[1], row[0].text)
        elif (start := row[1].text.find("(")) > 0 and names.match(row[1].text[:start]).kind in ("exact", "tuned"):
            # Base model: Kimi-K2 (1T params, 32B active)
            yield from _counts(Subject(row[1].text[:start].strip()), row[1], start)
        elif names.match(row[0].text).kind in ("exact", "tuned") and (inner := document.labelled(row[1])) is not None:
            # Qwen3-8B: KV cache per token: 144 KiB
            label, start = inner
            yield Slot(Subject(row[0].text), label, row[1].part(start + 1, len(row[1].text)), row[1].text[:start])
        elif (label is None or not label.role) and len(row[1].text) <= _ITEM and not mark("no-model").search(row[0].text):
            is_name = names.match(row[0].text).kind in ("exact", "tuned", "family")
            yield from _counts(Subject(row[0].text) if is_name else None, row[1])


_KEYS = re.compile(r"(?:^|(?<=[,;\s]))(?P<key>[a-z]\w*_\w+)\s*=\s*(?P<value>\d[\d_,.]*\d|\d|True|False|true|false)(?=$|[\s,;)])")
_ITEM = 100
"""An item longer than this is a sentence."""


def _unlabelled(cell: Cell) -> Iterator[Slot]:
    """An item of a list that says without a label what it is about: "Top-2 routing strategy", "46.7B params", "Qwen3-8B (8 billion
    parameters)", "Grouped query attention with 15 query heads and 5 KV heads"."""
    text = cell.text
    if re.match(r"(?i)top-?\d+\b", text):
        yield Slot(None, Label(("routing",)), cell, text, False)
        return
    if len(text) > _ITEM:
        return
    if _KEYS.match(text):
        for match in _KEYS.finditer(text):
            label = labels.parse(match["key"])
            if label is not None and label.fields:
                yield Slot(None, label, cell.part(match.start("value"), match.end("value")), match["key"])
        return
    if re.match(r"\d+ layers\b", text):
        yield Slot(None, Label(("layers",)), cell, "layers", False)
        return
    if re.match(r"(?i)(?:grouped|multi|sliding|local|latent)[- ]\w+(?:[- ]\w+)?[- ]attention\b", text):
        yield Slot(None, Label(("attention",)), cell, "attention", False)
        return
    subject = None
    start = text.find("(")
    if start > 0 and names.match(text[:start]).kind in ("exact", "tuned"):
        subject = Subject(text[:start].strip())
    else:
        start = 0
        owner = _leading(text) or _said_once(text)
        subject = Subject(owner) if owner else None
    yield from _counts(subject, cell, start)


def _counts(subject: Subject | None, cell: Cell, start: int = 0) -> Iterator[Slot]:
    for label, a, b in counted(cell.text, start):
        if re.match(r"\s*[A-Za-z]*\s*[x×*]\s*\d", cell.text[b:]):
            continue  # 48 layers x 128 heads: a product
        yield Slot(subject, label, cell.part(a, b), label.fields[0], False)


def hub_repos(links: tuple[str, ...]) -> tuple[str, ...]:
    """The Hub repositories among links, each once, those of datasets and spaces left out."""
    found = [match[1] for link in links if (match := _HUB.match(link))]
    kept = [
        repo
        for repo in found
        if repo.split("/")[0].lower() not in ("datasets", "spaces", "papers", "collections", "docs", "blog", "models")
    ]
    return tuple(dict.fromkeys(kept))


def is_repo(text: str) -> bool:
    """Whether a text is written as a Hub repository id."""
    return _REPO.fullmatch(text.strip()) is not None
