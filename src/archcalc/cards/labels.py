"""What the heads of columns and the labels of rows ask for: fields, with the units and conventions that a label states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Literal, cast, get_args

from archcalc.cards import vocabulary
from archcalc.cards.quantity import SCALES, Kind, numbers
from archcalc.records import NamedTuple

Part = Literal["", "text", "vision", "linear", "mtp"]

NUMERIC: dict[str, Kind] = {
    name: cast("Kind", field.kinds[0]) for name, field in vocabulary.fields().items() if field.kinds[0] in get_args(Kind)
}
"""Fields whose values are numbers, with the kind of number."""
WORDS = vocabulary.named("words")
"""Fields whose values are words, or words with numbers."""
FLAGS = vocabulary.named("flag")
"""Fields whose values are yes or no."""
UNKNOWABLE = {name: vocabulary.fields()[name].basis for name in vocabulary.named("unknowable")}
"""Fields that no config can settle, with the reason."""


class Quals(NamedTuple):
    """What a label or a cell says about how a value is counted.

    `unit` is the power of ten of numbers without a scale. `embedding` and `mtp` are `with` or `without`, `embedding` is `whole` of a total
    that a sentence states plainly, `span` is `native` or
    `extended` (of contexts), `tp` of how many ranks a cache is that of one (0: of one, and how many there are is not said). `key` is what
    `key_of` makes of the label, for configs that have such a key. `each` is `layer` or `expert` for what one of them
    has, `other` for one of something else. `devices` is how many the row or label names, for a cell that says "per GPU". `dtypes` are
    those of a label that names several, one for each size of its cells: "(BF16 / FP8)".
    """

    unit: int = 0
    context: int = 0
    dtype: str = ""
    batch: int = 1
    embedding: str = ""
    mtp: str = ""
    span: str = ""
    part: Part = ""
    other: str = ""
    tp: int = 1
    key: str = ""
    each: str = ""
    devices: int = 0
    dtypes: tuple[str, ...] = ()


class Label(NamedTuple):
    """The fields a label asks for, one after the other where its cells hold several (`Heads (Q / KV)`). `role` is set for columns
    that hold names or notes: `model`, `claim`, `value`, `skip`. `bare` is the field without the label's brackets, where those make it
    another: of two numbers in a cell under `Heads (KV)` the first is of it. `unsure` says that brackets are not understood: what is
    right below such a label is a claim, what is not may be of something else.
    """

    fields: tuple[str, ...]
    quals: Quals = Quals()
    role: str = ""
    weak: bool = False
    bare: str = ""
    unsure: bool = False


_PARAMS = ("param", "parameter", "paramater", "parameter count", "param count", "parameter size")
_NOISE = re.compile(r"^(?:(?:the|total)? ?(?:number|num|no|count|amount) (?:of )?|n |# ?|of |the |a )+")
_PARTS: tuple[tuple[Part, str], ...] = (
    ("linear", r"\b(?:gated delta ?net|deltanet|gdn|linear attention|lightning attention|mamba|ssm|kda|linear)\b"),
    ("mtp", r"\b(?:mtp|multi token prediction|draft|nextn)\b"),
    ("vision", r"\b(?:vision|visual|vit|image encoder|siglip|moonvit|audio|speech|projector|encoder)\b"),
    ("text", r"\b(?:language model|text model|text only|llm|decoder|gated attention|full attention|global attention|text)\b"),
)
_DTYPE = re.compile(
    r"\b(half precision|bf16|bfloat16|fp16|float16|f16|fp32|float32|f32|(?:fp|float)8(?=_e\dm\d)|fp8|int8|int4|4[- ]?bit|8 ?bit|16 ?bit"
    r"|q8_0|q[45]_[01]|iq4_nl|q4_k_m|q4|nvfp4|mxfp4)(?:_e\dm\d\w*)?\b"
)
_DTYPES = {
    "halfprecision": "bf16",
    "bfloat16": "bf16",
    "float16": "fp16",
    "f16": "fp16",
    "float32": "fp32",
    "f32": "fp32",
    "float8": "fp8",
    "8bit": "int8",
    "4bit": "int4",
    "16bit": "bf16",
    "q4": "int4",
}


@cache
def _phrases() -> dict[str, str]:
    """Every phrase with what it asks for."""
    out: dict[str, str] = {}
    for field, line in vocabulary.section("labels"):
        for phrase in (" ".join(map(_singular, one.split())) for one in _expanded(line)):
            out.setdefault(phrase if field[0] != "@" else f"{field[0]}{phrase}", field)
    return out


def _tokens(phrase: str) -> Iterator[list[str]]:
    """The words of a line of labels, each with all that may stand in its place."""
    for token in re.findall(r"\[[^\]]*\]|\([^)]*\)|\S+", phrase):
        options = (token[1:-1] if token[0] in "[(" else token).split("|")
        if "<params>" in options:
            options = [*_PARAMS, *(option for option in options if option != "<params>")]
        yield ["", *options] if token[0] == "[" else options


def _expanded(phrase: str) -> list[str]:
    """All that a line of labels stands for.

    >>> _expanded("[total] (layer|block)")
    ['layer', 'block', 'total layer', 'total block']
    """
    out = [""]
    for options in _tokens(phrase):
        out = [f"{left} {option}".strip() if option else left for left in out for option in options]
    return out


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """A label in lower case, with blanks for punctuation.

    >>> normal("**# KV-Heads:**"), normal("num_hidden_layers")
    ('kv head', 'hidden layer')
    """
    text = text.lower().replace("θ", "theta").replace("w/o", "without")
    text = re.sub(r"[-_–‑*`#:†‡¹²³⁴⁵?!.,;\"'|~≈≤\[\]=@/+&×→%\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff]+|\s+", " ", text)
    words = [_singular(word) for word in text.split()]
    return _NOISE.sub("", " ".join(words)).strip()


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui" and not word.endswith("bias") else word


def key_of(text: str) -> str:
    """A label or a key of a config without blanks, marks and words for number: what both are compared by.

    >>> key_of("Index top-k") == key_of("index_topk"), key_of("Mamba heads") == key_of("mamba_num_heads")
    (True, True)
    """
    return _COUNT_WORDS.sub("", normal(text)).replace(" ", "")


_COUNT_WORDS = re.compile(r"\b(?:num|n|number of)\b")


@lru_cache(maxsize=4096)
def parse(text: str, group: str = "") -> Label | None:
    """What a label asks for, or None where it is none that is known. `group` is the label above it, if any.

    >>> parse("Heads (Q / KV)").fields, parse("Params (B)").quals.unit, parse("Number of Paramaters (Non-Embedding)").quals.embedding
    (('heads', 'kv_heads'), 9, 'without')
    >>> parse("MMLU") is None
    True
    """
    text = _plain_symbols(text.strip())
    if _CACHE.search(text) and of_rank(text):
        whole = parse(_RANK.sub(" ", _RANKS.sub(" ", text)), group)
        return whole and whole._replace(quals=whole.quals._replace(tp=ranks_in(text)))
    if _WEIGHTS.search(text) and (of_rank(text) or devices_in(text)):
        rest = vocabulary.mark("devices").sub(" ", _RANK.sub(" ", _RANKS.sub(" ", text)))
        whole = parse(re.sub(r"[(（]\s*[)）]", " ", rest).strip(" ,，"), group)
        if whole is not None and whole.fields == ("weights",):
            devices = devices_in(text)
            return whole._replace(quals=whole.quals._replace(tp=devices if of_rank(text) else 1, devices=devices))
    if _CACHE.search(text) and (said := vocabulary.mark("sequences").search(text)) and (plain := _without(said, text)):
        whole = parse(plain, group)
        return whole and whole._replace(quals=whole.quals._replace(batch=sequences_in(text)))
    if not text or len(text) > 120 or vocabulary.mark("tuning").fullmatch(text):
        return None
    if field := _symbols().get(re.sub(r"[*\s$]", "", text).lower()):
        return Label((field,))
    inside = " ".join(re.findall(r"[(\[（]([^()\[\]（）]*)[)\]）]", text)).lower()
    main = normal(re.sub(r"[(\[（][^()\[\]（）]*[)\]）]", " ", text))
    if not main:
        main, inside = normal(text.strip("()[] ")), ""
    quals = _quals(text.lower(), inside, normal(group))
    if relation := _relation(text):
        return Label(("relation",), quals._replace(other=relation))
    if machine := _FITS.fullmatch(text):
        tokens = next(numbers(machine["tokens"] or ""), None)
        context = int(tokens.printed) * (1024 if tokens.scale == 3 else 1) if tokens else 0
        return Label(("fit",), quals._replace(context=context, other=machine["machine"].strip()))
    fields = _fields(text, main, inside) or _by_keys(text) or _composed(main)
    each = _EACH.search(text)
    if each is not None and _ONE.get((each[1] or "").lower()):
        if fields is None and (whole := parse(_EACH.sub(" ", text), group)) is not None and _is_size(whole.fields):
            return whole._replace(quals=whole.quals._replace(each=_ONE[each[1].lower()]))  # KV cache per token per layer
        if fields is not None and fields[1:] == ("layers",) and _is_size(fields):
            fields = fields[:1]  # KV per token/layer
    if fields is not None and len(set(fields)) == 1:
        fields = fields[:1]
    if fields is None:
        role = _phrases().get(f"@{main}", "")
        return Label((), role=role[1:]) if role else None
    if vocabulary.mark("blocked").search(re.sub(r"\bbatch(?: size)? 1\b", "", normal(inside))) and not re.search(
        r"in ?out|input", inside
    ):
        return None
    weak = fields[0].endswith("?")
    clean = tuple(field.rstrip("?") for field in fields)
    if "!embedding" in clean[0]:
        quals = quals._replace(embedding="without")
        clean = tuple(field.partition("!")[0] for field in clean)
    if quals.part in ("", "text"):
        quals = quals._replace(key=key_of(text))
    if each is not None and _is_size(clean):
        quals = quals._replace(each=_ONE.get((each[1] or "").lower(), "other"))
    bare, unsure = "", False
    if inside and len(clean) == 1 and clean[0] in NUMERIC and not quals.part:
        plain = (_field(main) or "").rstrip("?")
        bare = plain if plain in NUMERIC and plain != clean[0] else ""
        unsure = plain == clean[0] and not _is_understood(plain, main, inside)
    return Label(tuple(_in_part(field, quals.part) for field in clean), quals, "", weak, bare, unsure)


def _is_size(fields: tuple[str, ...]) -> bool:
    """Whether a label asks for something that layers and experts have a part of."""
    return bool(fields) and NUMERIC.get(fields[0].rstrip("?")) in ("count", "bytes", "flops")


EACH = frozenset({"apiece", "average", "avg", "on average"})
"""What makes a number that of one of several, whichever it is."""
_EACH = re.compile(
    r"(?i)(?:/|\b(?:per|each|every|(?:of|in) (?:one|an?|each)))[\s-]*(?:routed |single |transformer |kv |attention )*"
    r"(layer|block|expert|head|group|stage|step|file|shard)\b|\(each\)|\beach\s*$"
)
_ONE = {"layer": "layer", "block": "layer", "expert": "expert"}
_WEIGHTS = re.compile(r"(?i)\bweights?\b|权重")
_CACHE = re.compile(r"(?i)\bkv\b|key[- ]value|\bcache|缓存")
_RANK = re.compile(r"(?i)[,/]?\s*(?:\b(?:per|each|on (?:each|one))|/)[- ]?(?:gpu|rank|device|card)s?\b|每(?:张|块|个)?(?:卡|GPU)")
_TP = (
    r"(?:\b(?:at|with|for|on|under)\s+)?\b(?:tp|tensor[- ]parallel(?:ism)?(?:[ _-](?:size|degree))?)[ _]?(?:size)?\s*(?:of|=|:|-)?\s*"
    r"\d{1,3}\b"
)
_RANKS = re.compile(rf"(?i)[(（]\s*{_TP}\s*[)）]|[,，]?\s*{_TP}")


def sequences_in(text: str) -> int:
    """Of how many sequences a text speaks: of a batch, of users or requests; of one where it says nothing.

    >>> sequences_in("KV cache for 32 users at 8k"), sequences_in("(batch 16, 4k)"), sequences_in("per user"), sequences_in("bs=8")
    (32, 16, 1, 8)
    """
    found = vocabulary.mark("sequences").search(text)
    return int(next(iter(re.findall(r"\d+", found[0])), 1)) if found else 1


def _without(said: re.Match[str], text: str) -> str:
    """A label without what it says of a batch, and without brackets that said nothing else."""
    rest = f"{text[: said.start()]} {text[said.end() :]}"
    return re.sub(r"[(（]\s*[,，]?\s*[)）]", " ", re.sub(r"([(（])\s*[,，]", r"\1", rest)).strip(" ,，:")


def of_rank(text: str) -> bool:
    """Whether a text speaks of one of several ranks: "KV cache per GPU"."""
    return _RANK.search(text) is not None


def ranks_in(text: str) -> int:
    """Over how many ranks a text says that a model is split, or nothing.

    >>> ranks_in("KV cache per GPU (TP=8)"), ranks_in("with tensor parallel size 4"), ranks_in("KV cache")
    (8, 4, 0)
    """
    found = _RANKS.search(text)
    return int(re.findall(r"\d+", found[0])[-1]) if found else 0


def devices_in(text: str) -> int:
    """Over how many devices a text says that weights are split, or nothing.

    >>> devices_in("TP=8"), devices_in("8x H200 141GB"), devices_in("on 4 GPUs"), devices_in("an RTX 4090")
    (8, 8, 4, 0)
    """
    found = vocabulary.mark("devices").search(text)
    return ranks_in(text) or (int(re.findall(r"\d+", found[0])[0]) if found else 0)


_FITS = re.compile(
    r"(?i)\s*(?:fits|runs)(?: on| in)?(?: an?| one)?\s+(?P<machine>[^,;:]{2,40}?)"
    r"(?:\s+(?:at|with)\s+(?P<tokens>[\d,]+\s?k?)(?:\s+tokens)?)?\s*\??\s*"
)
_RELATION = re.compile(
    r"(?P<field>.*?)\b(?:(?P<word>smaller|larger|bigger|fewer|more|less|greater|lower|higher|longer|shorter) than"
    r"|against|versus|vs\.?|compared (?:to|with))\s+(?P<other>.+?)(?:['’]s?)?\s*$",
    re.IGNORECASE,
)


def _relation(text: str) -> str:
    """`field|word|other model` of "KV cache smaller than Llama 3 405B's" and "experts against Qwen3-235B-A22B"."""
    match = _RELATION.fullmatch(text.strip())
    if match is None:
        return ""
    field = _field(normal(match["field"])) if match["field"].strip() else ""
    return "" if field is None else f"{field}|{(match['word'] or '').lower()}|{match['other']}"


@cache
def _open_labels() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Labels with any words behind them."""
    return tuple((field, re.compile(pattern)) for field, pattern in vocabulary.section("open labels"))


@lru_cache(maxsize=8192)
def _field(main: str) -> str | None:
    found = _phrases().get(main) or next((field for field, pattern in _open_labels() if pattern.fullmatch(main)), None)
    if found is None and main.endswith(" num"):
        found = _phrases().get(main[:-4])  # layer_num
    if found is None and (symbol := re.fullmatch(r"(.*\w\w) [a-jl-z]", main)):
        found = _phrases().get(symbol[1])  # "layers L"
    if found is not None or not main.isascii():
        return found
    if vocabulary.mark("blocked").search(main):
        return None
    words = [word for word in _WORD_SPLIT.sub(r"\1 \2", main).split() if not vocabulary.mark("idle").fullmatch(word)]
    if not 1 < len(words) < 7:
        return _phrases().get(words[0]) if len(words) == 1 and words[0] != main else None
    found = _word_sets(False).get(_word_set(words, False)) or _word_sets(True).get(_word_set(words, True))
    if found is None:
        # "fp16 KV at 128k": what the dtype and the context are said of.
        bare = " ".join(word for word in words if not _SAID.fullmatch(word))
        if bare and bare != main:
            a_token = "token" in words and not re.search(r"\d{3}|\dk", main)
            field = {"kv": "kv_per_token" if a_token else "kv_cache"}.get(bare) or _phrases().get(bare, "")
            found = field if field in ("kv_cache", "kv_per_token", "weights", "flops") else None
    return found


_WORD_SPLIT = re.compile(r"\b(seq|max|ctx)(len|length|seq|position)")
_SAID = re.compile(r"bf16|fp16|float16|fp32|fp8|int8|int4|at|for|with|of|in|context|ctx|token|seq|\d+k?|\d+m")
_LENGTHS = {"size", "dimension", "width", "dim", "dimensionality"}
_SIZED = (
    "hidden_size", "intermediate_size", "expert_size", "shared_expert_size", "head_dim", "q_rank", "kv_rank", "rope_dim", "nope_dim",
    "v_dim", "linear_head_dim",
)  # fmt: skip


@cache
def _spellings() -> dict[str, str]:
    """The word that each spelling of it stands for; what tells no labels apart stands for nothing."""
    return {one: word.strip("-") for word, line in vocabulary.section("spellings") for one in line.split()}


def _word_set(words: Iterable[str], sizes: bool) -> frozenset[str]:
    """The words that tell labels apart, one spelling of each; with `sizes` any word for size is the same."""
    same = frozenset(_spellings().get(word, word) for word in words) - {""}
    return frozenset("dim" if word in _LENGTHS else word for word in same) if sizes else same


@cache
def _word_sets(sizes: bool) -> dict[frozenset[str], str]:
    """The fields of phrases of two words and more, whatever their order and spelling; with `sizes` of widths alone."""
    out: dict[frozenset[str], str] = {}
    for field, line in vocabulary.section("labels"):
        if field[0] != "@" and (not sizes or field in _SIZED):
            # Spellings are folded before phrases are made of them: a tenth as many.
            found = {frozenset[str]()}
            for options in _tokens(line):
                folded = {_word_set(option.split(), sizes) for option in options}
                found = {left | option for left in found for option in folded}
            for words in found:
                if len(words) > 1:
                    out.setdefault(words, field)
    return out


def _fields(text: str, main: str, inside: str) -> tuple[str, ...] | None:
    base = _field(main)
    # What a slash divides is two labels: "Q heads / KV heads" is no ratio of heads. A phrase that is known whole is one, unless the second
    # is a role of the first: "Active experts / token", "Params (B) / Active".
    if base is None or ";" in text or re.search(r"[/×*]|\sx\s", re.sub(r"\([^()]*\)", "", text)):
        several = _several(text)
        if several and (base is None or ";" in text or main not in _phrases() or several[1] in _roles(several[0])):
            return several
        if base is None:
            return None
    if base == "total_params?" and re.search(r"\b[gmt]i?b\b", inside):
        return ("weights",)
    if base == "experts" and re.fullmatch(r"\s*top[- ]?k\s*", inside):
        return ("experts", "active_experts")
    if base == "experts" and re.search(r"\bactiv|selected|top", inside) and not re.search(r"total|/|,|\+", inside):
        return ("active_experts",)
    for separator in (r"[/,]", r"[+&]|\band\b"):
        pieces = [piece for piece in re.split(separator, inside) if piece.strip()]
        roles = [_role_of(base, normal(piece)) for piece in pieces]
        if len(roles) > 1 and all(roles):
            return tuple(str(role) for role in roles)
    if base == "heads" and re.search(r"(?i)\bqkv\b", text):
        return ("heads", "kv_heads", "value:heads")
    if base == "layers" and re.search(r"\bdense\b", inside) and not re.search("includ|total", inside):
        return ("dense_layers",)
    if "%" in text and base not in ("active_share", "expert_share", "sparsity"):
        share = {
            "active_params": "active_share",
            "active?": "active_share",
            "experts": "expert_share",
            "active_experts": "expert_share",
        }
        return (share[base],) if base in share else None
    if base == "total_params" and re.search(r"\b(?:active|activated)\b", inside) and not re.search(r"total", inside):
        return ("active_params",)
    return (_qualified(main, normal(inside)) or base,)


def _qualified(main: str, said: str) -> str | None:
    """The field of a label with what its brackets say, where they mean what the same words mean without brackets."""
    if not said:
        return None
    # Where a label has no blanks, what is not known of it may be anything.
    composed = (field for field in _composed(f"{said}{main}") or () if field != _field(main))
    found = (_field(f"{said} {main}"), _field(f"{main} {said}"), *composed)
    return next((field for field in found if field is not None and field.partition("!")[0].rstrip("?") in NUMERIC), None)


def _is_understood(base: str, main: str, inside: str) -> bool:
    """Whether brackets say nothing that makes another field of a label: its unit, type, context, symbol or key, or a word that changes
    nothing."""
    if (_is_size((base,)) and _EACH.search(f"({inside})")) or _qualified(main, normal(inside)):
        return True
    pieces = [piece for piece in re.split(r"[,;/|，、；]", inside) if normal(piece)]
    return all(
        vocabulary.mark("plain").fullmatch(normal(piece))
        or _scale_alone().search(piece)
        or (_field(normal(piece)) or _symbols().get(piece.strip()) or "").rstrip("?") == base
        for piece in pieces
    )


@cache
def _symbols() -> dict[str, str]:
    """Heads that mean a field by their mark; TP alone is tensor parallelism."""
    return {symbol: field for field, line in vocabulary.section("symbols") for symbol in line.split()}


_KEY = re.compile(r"(?<![A-Za-z])[A-Za-z]+(?:_[A-Za-z]+)+")


def _by_keys(text: str) -> tuple[str, ...] | None:
    """The field of a label that holds keys of configs beside words that are not known: the one that most of them ask for."""
    beside = normal(_KEY.sub(" ", text))
    if vocabulary.mark("of-some").search(beside) or vocabulary.mark("blocked").search(beside):
        return None
    found = [field.rstrip("?") for key in _KEY.findall(text) if (field := _field(normal(key)))]
    return (max(dict.fromkeys(found), key=found.count),) if found else None


_LABEL = 40
"""A longer text without blanks says something of its own."""


def _composed(main: str) -> tuple[str, ...] | None:
    """The field of a label in Chinese, Japanese or Korean, by what its parts say:
    of whom (experts, queries), what (a number, a width), and which (active ones).

    >>> _composed("每 token 激活的路由专家数"), _composed("查询压缩维度")
    (('active_experts',), ('q_rank',))
    """
    if (
        main.isascii()
        or not re.search(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]", main)
        or re.search(r"[，；。]|\d", main)
        or len(main) > _LABEL
    ):
        return None
    text = main.replace(" ", "")
    for field, parts in vocabulary.section("parts of labels"):
        if all(any(word[1:] not in text if word[0] == "!" else word in text for word in part.split("|")) for part in parts.split()):
            return (field,) if field != "-" else None
    return None


def _plain_symbols(text: str) -> str:
    """A label without the symbol behind its words; a symbol alone without LaTeX's marks.

    >>> _plain_symbols("heads $n_h$"), _plain_symbols(r"$d_{\\mathrm{model}}$")
    ('heads', 'd_model')
    """
    text = re.sub(r"\$\\theta\$|\\theta\b", "theta", text)
    without = re.sub(
        r"\$[^$]*\$|\\\([^()]*\\\)|(?<!\w)[A-Za-z]+[_^]\{[^{}]*\}|(?<=\w )[A-Za-z]{1,2}[_^]\w{1,2}$|^[A-Z][_^]\w (?=\w{4})",
        " ",
        text,
    ).strip()
    if without and re.search(r"[^\W\d_]{2}", without):
        return without
    return re.sub(r"\\(?:text|mathrm|rm|mathit)\b|[${}]|\\[()]", "", text)


def _role_of(base: str, piece: str) -> str | None:
    """The field that one piece of `(Total / Activated)` adds to the field before it."""
    return next(
        (
            line.split()[0]
            for base_, line in vocabulary.section("roles")
            if base_ == base.rstrip("?") and piece in line.partition(" ")[2].split("|")
        ),
        None,
    )


def _roles(base: str) -> set[str]:
    """The fields that stand beside one in a label: active experts beside experts."""
    return {line.split()[0] for field, line in vocabulary.section("roles") if field == base} - {base}


def _several(text: str) -> tuple[str, ...] | None:
    """Fields of a label that lists them: `hidden size; layers; heads`, `Layers / Heads`."""
    bodies = [text, text.partition(":")[2]] if re.match(r"\s*[\w -]{1,12}:\s", text) else [text]
    for body in bodies:
        for separator in (";", "/", ",", "&", "+", "×", "*", " x ", " and "):
            pieces = [piece for piece in body.split(separator) if piece.strip()]
            fields = [_piece(piece) for piece in pieces]
            if len(pieces) > 1 and (not all(fields) or (fields[0] in WORDS and fields[-1] in NUMERIC)):
                # "Query / KV heads": what the last one counts the others do too.
                noun = normal(re.sub(r"\([^()]*\)", " ", pieces[-1])).rpartition(" ")[2]
                told = [*(_piece(f"{piece} {noun}") for piece in pieces[:-1]), fields[-1]]
                fields = told if all(told) and len(set(told)) == len(told) else fields
            if len(pieces) > 1 and all(fields):
                first, *more = map(str, fields)
                # "专家总数 / 激活": what stands behind experts is of them.
                return (first, *(_role_of(first, normal(piece)) or field for field, piece in zip(more, pieces[1:], strict=True)))
    return None


def _piece(text: str) -> str | None:
    return _symbols().get(text.strip().lower()) or _field(normal(re.sub(r"\([^()]*\)", " ", text)))


def _in_part(field: str, part: Part) -> str:
    """The field of a label that stands under a group: heads below "Gated DeltaNet" are linear heads."""
    if part == "linear":
        return {"heads": "linear_heads", "head_dim": "linear_head_dim", "linear_heads": "linear_heads"}.get(field, field)
    if part == "vision":
        return {"total_params": "vision_params", "vision_params": "vision_params"}.get(field, f"vision:{field}")
    if part == "mtp":
        return {
            "total_params": "mtp_params",
            "mtp_params": "mtp_params",
            "layers": "mtp_layers",
            "mtp": "mtp",
            "mtp_layers": "mtp_layers",
        }.get(field, f"mtp:{field}")
    return field


def _quals(whole: str, inside: str, group: str) -> Quals:
    said = _scale_alone().search(inside)
    unit = SCALES[said[1]] if said else 0
    if not unit and (match := re.search(r"\b[gmkt]b\b", whole)):
        unit = unit_in(match[0])
    binary = re.search(r"\b[gmkt]ib\b", whole)
    context = context_in(whole) if re.search(r"cache|kv|flop|activation", whole) else 0
    embedding = ""
    if re.search(r"non ?-?emb|without (?:the )?(?:word )?emb|w/?o emb|exclud\w+ (?:the )?(?:word )?emb|no emb", whole):
        embedding = "without"
    elif re.search(r"(?:with|incl\w*\.?) (?:the )?emb", whole):
        embedding = "with"
    mtp = ""
    if re.search(r"(?:without|w/?o|exclud\w+|no) mtp", whole):
        mtp = "without"
    elif re.search(r"(?:with|incl\w*|\+) mtp", whole):
        mtp = "with"
    other = ""
    batch = 1
    if re.search(r"\btraining activations?|activation memory", whole):
        other = "none" if re.search(r"without|no ", whole) else "full" if re.search(r"checkpointing|recomput", whole) else ""
        if stated := re.search(r"\bbatch(?: size)?(?: of)?\s*=?\s*(\d+)", whole):
            batch = int(stated[1])
    if re.search(r"\b(?:v?ram|memory|footprint|disk|download|file|storage|bytes?)\b", whole):
        other = other or "bytes"
    span = ""
    if re.search(r"\bnative|\bconfig|max_position_embeddings", whole):
        span = "native"
    elif re.search(r"\byarn\b|\bextended\b|\bextensible\b|\bextrapolat", whole):
        span = "extended"
    part: Part = ""
    for name_, pattern in _PARTS:
        if (
            re.search(pattern, group)
            or (name_ == "mtp" and re.match(r"mtp\b", whole))
            or (name_ == "vision" and re.search(pattern, inside) and not _BESIDE.search(inside))
        ):
            part = name_
            break
    if binary:
        unit = unit_in(binary[0])
    several = tuple(filter(None, map(dtype_in, re.split(r"[/,|、]|\band\b|\bvs\b", inside))))
    return Quals(
        unit, context, dtype_in(whole), batch, embedding, mtp, span, part, other, dtypes=several if len(set(several)) > 1 else ()
    )


_BESIDE = re.compile(r"\b(?:with|without|w/o|incl\w*|excl\w*|no|and)\b|[+&,]")
"""What makes a part in brackets one that is counted too, or is not."""


def unit_in(name: str) -> int:
    """The power of ten that a unit of bytes in lower case stands for, the power of two below nought.

    >>> unit_in("gb"), unit_in("mib")
    (9, -20)
    """
    step = "kmgt".index(name[0]) + 1
    return -10 * step if name[1] == "i" else 3 * step


@cache
def _scale_alone() -> re.Pattern[str]:
    """A power of ten that brackets of a label give to its numbers: "(B)", "(in millions)", "（亿）"."""
    words = "|".join(sorted(map(re.escape, SCALES), key=len, reverse=True))
    return re.compile(rf"(?:^|[ ,/(:：])\s*({words})\.?\s*(?:$|[ ,/)])")


def context_in(text: str) -> int:
    """The tokens that a text names: k as 1,024, and no number that is too small to be a context.

    >>> context_in("KV cache at 128K"), context_in("32,768 tokens"), context_in("2 GB")
    (131072, 32768, 0)
    """
    for number in numbers(text):
        if number.scale == 3 and not number.decimals:
            return number.mantissa * 1024
        if number.scale == 6:
            return int(number.printed * (1 << 20))
        if not number.scale and number.mantissa >= 512 and not number.decimals and not number.unit:
            return number.mantissa
    return 0


BITS = {"32": "fp32", "16": "bf16", "8": "int8", "4": "int4"}
_TYPE = 24
"""Characters of a cell that is a type."""


@lru_cache(maxsize=1024)
def type_in(head: str, text: str) -> str | None:
    """The type that a cell of a column of types states: nothing of a default, both where keys and values differ, None where it is none.

    >>> type_in("KV dtype", "fp8_e4m3"), type_in("bits", "8"), type_in("ctk/ctv", "q8_0/q8_0"), type_in("ctk/ctv", "f16/q8_0")
    ('fp8', 'int8', 'q8_0', 'fp16/q8_0')
    >>> type_in("", "auto"), type_in("Notes", "8")
    ('', None)
    """
    text = text.strip(" `*").lower()
    if len(text) > _TYPE:
        return None
    if vocabulary.mark("bits").fullmatch(head.strip()):
        return BITS.get(re.sub(r"[- ]?bits?$", "", text))
    if vocabulary.mark("untyped").fullmatch(text):
        return ""
    found = [dtype_in(piece) for piece in re.split(r"[/,+]", text)]
    return "/".join(dict.fromkeys(found)) if all(found) else None


@lru_cache(maxsize=1024)
def dtypes_in(text: str) -> tuple[str, ...]:
    """The dtypes that a text names, each once.

    >>> dtypes_in("KV cache in FP8 (half of bf16)"), dtypes_in("Layers")
    (('fp8', 'bf16'), ())
    """
    return tuple(dict.fromkeys(dtype_in(found[0]) for found in _DTYPE.finditer(text.lower())))


def dtype_in(text: str) -> str:
    """The dtype that a text in lower case names, or nothing.

    >>> dtype_in("weights in bfloat16"), dtype_in("q8")
    ('bf16', '')
    """
    found = _DTYPE.search(text)
    name = found[1].replace(" ", "").replace("-", "") if found else ""
    return _DTYPES.get(name, name)
