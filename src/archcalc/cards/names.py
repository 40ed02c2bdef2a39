"""Which bundled model a piece of text names: exactly, as a tuned release of one, as a family, or as none.

A name is matched whole. What may stand beside it without changing what it names (a vendor, `Instruct`, a size in brackets that agrees) is
listed here; any other word means another model, and is never guessed away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Literal

from archcalc import zoo
from archcalc.cards import vocabulary
from archcalc.records import NamedTuple

Kind = Literal["exact", "tuned", "family", "ambiguous", "none"]


def _listed(title: str) -> tuple[str, ...]:
    return tuple(vocabulary.listed("names.txt")[title])


_VENDORS = _listed("vendors")
_TUNED = re.compile(rf"(?<![-_ ])[-_ ]+(?:{'|'.join(_listed('tuned'))})$", re.IGNORECASE)
_QUANTIZED = re.compile(rf"(?<![-_ ])[-_ ]+(?:{'|'.join(_listed('quantized'))})$", re.IGNORECASE)
_BY_VENDOR = tuple(f"{vendor}{mark}" for vendor in _VENDORS for mark in " -/")
# A date behind a name is that of a release of its own: Mistral's by their version, Qwen's tuned anew.
_DATED = re.compile(r"(?i)(\S.*)[-_ ]2[3-9](?:0[1-9]|1[0-2])")
_DECORATION = re.compile(r"^[^\w]+|[^\w)\]+.]+$")
_SIZE = re.compile(r"(?i)^~?\d+(?:\.\d+)?\s*[bmt]$")
_GENERIC = frozenset(_listed("generic"))
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Match(NamedTuple):
    """The bundled models that a text names: one, or of `exact` names the releases that share it. `tuned` is one whose release was
    tuned further: what tuning changes may differ; `quantized` one whose files are smaller. `whole` is the name,
    where a heading says little else."""

    kind: Kind
    names: tuple[str, ...] = ()
    note: str = ""
    quantized: bool = False
    whole: str = ""


NONE = Match("none")


# No name with its decoration has so many characters, and to look for it in thousands takes the square of their number.
_LONG = 500


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """A name without what decorates it: emoji, footnote marks, quotes, the vendor in brackets. What is too long for one stays."""
    if len(text) > _LONG:
        return " ".join(text.split())
    text = re.sub(r"\[\[(?:[^\[\]|]*[/|])?([^\[\]|]+)\]\]", r"\1", text)  # a wiki's links
    text = re.sub(r"[†‡*¹²³🔥🤗🏆⭐✨🆕]|\[\^?\w{1,3}\]|[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", "", text)
    text = re.sub(r"\s+", " ", text.replace("（", " (").replace("）", ") ").replace("‑", "-").replace("–", "-")).strip()
    text = re.sub(r"(?<=\d)\s?×\s?(?=\d)", "x", text)  # 8×7B
    return _DECORATION.sub("", text).strip()


@lru_cache(maxsize=8192)
def match(text: str, size: str = "") -> Match:
    """The model that a cell names. `size` is the row's own statement of a size, which picks a member of a family.

    >>> match("Meta Llama 3 8B Instruct").names, match("Meta Llama 3 8B Instruct").kind
    (('llama-3-8b',), 'tuned')
    >>> match("Llama 3.1", size="70B").names
    ('llama-3.1-70b',)
    >>> match("Llama 9 8B").kind
    'none'
    """
    name = clean(text)
    if not name or len(name) > 100:
        return NONE
    found = _one(name)
    if found.kind in ("exact", "tuned"):
        return found
    plain = re.sub(r"(?i)\.(?:gguf|safetensors)$|\s+@\s*[\d,]+\s?k?(?: (?:tokens?|context|ctx))?$", "", name)
    if plain != name:
        return match(plain, size)
    if dated := _DATED.fullmatch(name):
        found = match(dated[1], size)
        # A name that has a date itself is not that of another date: Magistral-Small-2509 is no magistral-small-2506.
        if found.kind not in ("exact", "tuned") or any(_DATED.fullmatch(one) for one in found.names):
            return NONE
        return found._replace(kind="tuned")
    if (smaller := _QUANTIZED.sub("", name)) != name and (found := match(smaller, size)).kind in ("exact", "tuned", "family"):
        if found.kind == "family":
            return found._replace(quantized=True)
        return Match("tuned", found.names, f"taken for {found.names[0]}, quantized", quantized=True)
    if (sized := re.fullmatch(r"(.+?)[-_ ](\d+(?:\.\d+)?[BMTbmt])", name)) and (found := _one(sized[1])).kind in ("exact", "tuned"):
        return found if len(found.names) == 1 and _agrees(found.names[0], sized[2]) else NONE
    plain, brackets = _without_brackets(name)
    if brackets:
        for bracket in brackets:
            # "Qwen3.5 0.8B (Qwen/Qwen3.5-0.8B)": the repository says which one.
            if _REPO.fullmatch(bracket):
                found = match(bracket.partition("/")[2])
                plain_too = match(plain, size)
                same = plain_too.kind == "none" or bool(set(found.names) & set(plain_too.names))
                return (found if same else NONE) if found.kind in ("exact", "tuned") else NONE
            if _SIZE.match(bracket):
                joined = _one(f"{plain} {bracket}")
                if joined.kind in ("exact", "tuned"):
                    return joined
        found = _one(plain)
        sizes = [bracket for bracket in brackets if _SIZE.match(bracket)]
        if found.kind in ("exact", "tuned") and all(_agrees(found.names[0], one) for one in sizes):
            unknown = [b for b in brackets if not _known_bracket(b)]
            return found if not unknown else NONE
    members = family(plain) or (family(_TUNED.sub("", plain)) if size else ())
    if not members or not all(_known_bracket(b) for b in brackets):
        return NONE
    plain = plain if family(plain) else _TUNED.sub("", plain)
    sizes = [one.replace(" ", "") for text_ in (*brackets, size) for one in re.findall(r"(?<!\d)\d+(?:\.\d+)?\s*[BMTbmt]\b", text_)]
    if not sizes:
        return Match("family", members, f"every bundled {plain}" if is_generation(plain) else f"{_BRAND} {plain}")
    # "gpt-oss" of 116B: the member that has so many; "Phi-3" of 3.8B and 14B: those that have.
    each = [_one(f"{plain} {one}") for one in sizes]
    of_one = zoo.key(plain) in _sets() or (is_generation(plain) and not any(said.names for said in each))
    found_members = tuple(
        dict.fromkeys(
            name
            for one, said in zip(sizes, each, strict=True)
            for name in said.names or (_plainest(m for m in members if _sized(m, one) or _agrees(m, one)) if of_one else ())
        )
    )
    if not found_members:
        return NONE
    if len(found_members) == 1 == len(sizes):
        return each[0] if each[0].names else Match("exact", found_members, f"{plain} of {sizes[0]}")
    return Match("family", found_members, f"{plain} of {', '.join(sizes)}")


def _plainest(found: Iterator[str]) -> list[str]:
    """Those of some names with the fewest words: gpt-oss-20b and no gpt-oss-safeguard-20b."""
    words = {name: name.count("-") for name in found}
    return [name for name, n in words.items() if n == min(words.values())]


def _known_bracket(text: str) -> bool:
    """Whether what stands in brackets behind a name says nothing of which model it is."""
    lower = text.lower().strip()
    if (
        lower in _VENDORS
        or _SIZE.match(text)
        or re.fullmatch(r"\d+bx\d+e|\d+x\d+b|[\d.]+[bt][- ]a[\d.]+b", lower)
        or re.fullmatch(r"(?:19|20)\d\d", lower)
    ):
        return True
    return all(word in _GENERIC for word in re.split(r"[\s,/;+-]+", lower) if word)


def is_generic(text: str) -> bool:
    """Whether a text is words that name no model by themselves: "Thinking", "Instruct"."""
    return all(word in _GENERIC for word in re.split(r"[\s,/;+-]+", text.lower()) if word)


def _without_brackets(name: str) -> tuple[str, list[str]]:
    brackets = [b.strip() for b in re.findall(r"[(\[]([^()\[\]]*)[)\]]", name)]
    return re.sub(r"(?<!\s)\s*[(\[][^()\[\]]*[)\]]", "", name).strip(), brackets


def bare(text: str) -> str:
    """A name without what stands in brackets."""
    return _without_brackets(clean(text))[0]


_RELEASES = {name: tuple(releases.split()) for name, _, releases in (line.partition(" = ") for line in _listed("shared"))}
_SHORT = _listed("short")
_COMPLETE = _listed("complete")


@lru_cache(maxsize=8192)
def _one(name: str) -> Match:
    for candidate in _spellings(name):
        key = zoo.key(candidate)
        if releases := _RELEASES.get(key):
            return Match("exact", releases, f"{name} may be any of {', '.join(releases)}")
        if key in _SHORT and candidate != key:
            return NONE
        entry = known(candidate)
        if entry is not None:
            return Match("exact", (entry.name,))
    stripped = re.sub(r"(?i)[-_ ](?:instruct|chat|base)(?=[-_ ]v?\d)", "", name)
    if zoo.key(stripped) in _SHORT:
        return NONE
    if stripped != name and (found := _one(stripped)).kind == "exact":
        return Match("tuned", found.names, f"taken for {found.names[0]}, which it was tuned from")
    stripped = name
    while (shorter := _TUNED.sub("", stripped)) != stripped:
        stripped = shorter
        for candidate in _spellings(stripped):
            entry = known(candidate)
            if entry is not None:
                return Match(
                    "tuned", (entry.name,), f"taken for {entry.name}, which it was tuned from or shares its architecture with"
                )
    return NONE


def _spellings(name: str) -> tuple[str, ...]:
    lower = name.lower()
    by_vendor = lower.startswith(_BY_VENDOR) and not lower.startswith("meta-llama/")
    vendors = [v for v in _VENDORS if lower.startswith(v) and lower[len(v) : len(v) + 1] in (" ", "-", "/")] if by_vendor else []
    # "Phi 4 Mini", "phi-4 mini" and "Phi4-mini" differ by separators alone, which `zoo.find` folds.
    mixture = re.sub(r"(?i)\bmistral(?=[- ]?\d+x\d+b)", "Mixtral", name)  # by the publisher's name
    return (name, *(name[len(vendor) + 1 :] for vendor in vendors), *((mixture,) if mixture != name else ()))


def _agrees(name: str, size: str) -> bool:
    """Whether a size in brackets is the model's: 8B of llama-3-8b, not 1.5B of gpt2."""
    from archcalc.cards.quantity import compare, numbers

    number = next(numbers(size), None)
    total = _total(name)
    if number is None or total is None:
        return False
    # A size in a name is a name: GPT-2's 345M has 354.8 M parameters.
    near = 20 * abs(number.mantissa * 10**number.scale - total * 10**number.decimals) < total * 10**number.decimals
    return compare(number, total, 10**number.scale) is not None or (near and number.scale == 6)


def _sized(name: str, size: str) -> bool:
    """Whether a size is one of the words of a name: E2B of gemma-3n-e2b."""
    return re.search(rf"-e?{re.escape(size.lower())}(?:-|$)", name) is not None


@cache
def _total(name: str) -> int | None:
    from archcalc.analysis.params import components
    from archcalc.loader import load

    try:
        parts = components(load(name, offline=True).architecture)
    except Exception:
        return None
    return sum(part.total for part in parts if part.part != "mtp")


def known(text: str) -> zoo.Entry | None:
    """The bundled model that a page means by a name."""
    entry, key = zoo.find(text), zoo.key(text)
    if entry is None or key in _sets():
        return None
    # Separators are folded, and digits keep their boundaries: "Qwen 34B" is no Qwen3-4B.
    said = re.findall(r"\d+", text)
    return (
        entry
        if any(zoo.key(n) == key and re.findall(r"\d+", n) == said for n in (entry.name, entry.repo, *entry.aliases))
        else None
    )


@cache
def _sets() -> dict[str, tuple[str, ...]]:
    """Aliases that are the beginning of several names, with all of those: "Qwen3-Coder" is the one of 480B and that of 30B."""
    found = {}
    for entry in zoo.entries():
        for alias in entry.aliases:
            others = tuple(e.name for e in zoo.entries() if e.name.startswith(f"{alias}-") and not e.name.startswith(entry.name))
            if others and entry.name.startswith(f"{alias}-"):
                found[zoo.key(alias)] = (entry.name, *others)
    return found


@cache
def siblings(name: str) -> tuple[str, ...]:
    """Bundled models whose names go on where this one ends: DeepSeek-V2-Lite beside DeepSeek-V2."""
    return tuple(entry.name for entry in zoo.entries() if entry.name.startswith(f"{name}-"))


@cache
def base(name: str) -> str:
    """The bundled model that a bundled release was tuned from, by its name, or nothing.

    >>> base("qwen3-4b-instruct-2507"), base("qwen3-4b")
    ('qwen3-4b', '')
    """
    dated = _DATED.fullmatch(name)
    shorter = _TUNED.sub("", dated[1] if dated else name)
    return shorter if shorter != name and shorter in zoo.names() else ""


@cache
def namesakes(name: str) -> tuple[str, ...]:
    """Bundled models that pages take for this one: that which it was tuned from, and those whose names go on where an alias of it ends,
    as those of Mistral Small 3.1 and 3.2 do for Mistral Small 3."""
    of = base(name)
    aliases = [alias for alias in _entry(name).aliases if "/" not in alias]
    others = (
        entry.name
        for entry in zoo.entries()
        if entry.name != name
        and not entry.name.startswith(f"{name}-")
        and any(other.startswith((f"{a}-", f"{a}.")) for a in aliases for other in (entry.name, *entry.aliases))
    )
    return tuple(dict.fromkeys((*((of,) if of else ()), *others)))


@cache
def _families() -> dict[str, tuple[str, ...]]:
    """Families by their folded names: those of the index, and the brands before their version numbers."""
    found: dict[str, list[str]] = {}
    for entry in zoo.entries():
        keys = {zoo.key(entry.family)}
        if brand := re.match(r"[a-z]+(?:-[a-z]+)*", entry.name):
            keys.add(zoo.key(brand[0]))
            keys.add(zoo.key(re.match(r"[a-z]+", entry.name)[0]))  # type: ignore[index]
        for key in keys:
            found.setdefault(key, []).append(entry.name)
    # The beginning of one name is a word as any other: command-r, starcoder2-7b.
    named = {zoo.key(entry.family) for entry in zoo.entries()}
    return {key: tuple(dict.fromkeys(names)) for key, names in found.items() if key in named or len(names) > 1}


def family(text: str) -> tuple[str, ...]:
    """The bundled members of a family by its name ("Qwen3", "Llama (Meta)"), or nothing.

    >>> family("Gemma 2")
    ('gemma-2-2b', 'gemma-2-9b', 'gemma-2-27b')
    >>> family("MMLU")
    ()
    """
    name = clean(_without_brackets(text)[0])
    for spelling in _spellings(name):
        plain = re.sub(r"(?i)\b(?:family|series|models?|collection|herd)\b", "", spelling).strip()
        key = zoo.key(plain)
        members = tuple(dict.fromkeys((*_families().get(key, ()), *_sets().get(key, ()))))
        # A word with one member, such as DeepSeekMoE, may mean something else.
        if len(members) > 1 or (members and re.search(r"\d", plain)):
            return members
    return ()


_BRAND = "whatever is bundled of"


Closed = Literal["all", "words", "none"]


def closed(text: str) -> Closed:
    """What is wrong if no bundled member of a family has it: all of a complete family, words of a generation's, nothing of a brand's."""
    spellings = {zoo.key(spelling) for spelling in _spellings(bare(text))}
    if any(zoo.key(entry) in spellings for entry in _COMPLETE):
        return "all"
    return "words" if is_generation(bare(text)) else "none"


def is_generation(text: str) -> bool:
    """Whether a family's name is that of one generation ("Gemma 3", "gpt-oss") and not of a brand with many ("Gemma")."""
    if len({_entry(name).family for name in family(text)}) > 1:
        return False
    return any(zoo.key(entry.family) == zoo.key(spelling) for spelling in _spellings(clean(text)) for entry in zoo.entries())


def members_named(text: str, members: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `members` that a word inside a cell singles out: "L4" of the Llamas, "3.5" of the Phis, "Qwen3-MoE", "Gemma 3".

    >>> members_named("L4", family("Llama"))
    ('llama-4-scout', 'llama-4-maverick')
    >>> members_named("8 experts", family("Mixtral"))
    ()
    """
    word = clean(text)
    entry = known(word)
    if entry is not None and entry.name in members:
        return (entry.name,)
    if len(last := [name for name in members if name.rpartition("-")[2] == word.lower()]) == 1:
        return (last[0],)  # Scout
    only_moe = bool(re.search(r"(?i)[- ]moe$", word))
    word = re.sub(r"(?i)[- ]moe$", "", word).strip()
    if not re.search(r"\d", word) and not (only_moe or len(word) > 2):
        return ()
    exact = [name for name in members if zoo.key(_entry(name).family) == zoo.key(word)]
    found = exact or [name for name in members if _of_generation(name, word)]
    return tuple(name for name in found if not only_moe or _is_moe(name))


@cache
def _entry(name: str) -> zoo.Entry:
    return next(entry for entry in zoo.entries() if entry.name == name)


def _of_generation(name: str, word: str) -> bool:
    """Whether "L4", "4" or "Llama 4" is the generation of llama-4-scout. Generation 3 holds 3.1 and 3.2, and not 38."""
    brand = re.match(r"[a-z]+", name)[0]  # type: ignore[index]
    short = re.fullmatch(r"([A-Za-z]*?)[- ]?v?(\d+(?:\.\d+)?)", word)
    if short is None:
        return name == brand == word.lower() or name.startswith(f"{word.lower()}-")
    letters = short[1].lower()
    if letters not in ("", "v", brand[0], brand):
        return False
    return re.match(rf"{brand}-?v?{re.escape(short[2])}(?![0-9])", name) is not None


@cache
def _is_moe(name: str) -> bool:
    spec = zoo.spec(name)
    return spec is not None and spec.facts.moe is not None


_GENERIC_WORDS = re.compile(rf"(?i)\b(?:{'|'.join(_listed('headings'))})\b")


_MACHINES = re.compile(
    r"(?i)\b(?:\d{1,3}\s?[x×]?\s?)?(?:(?:rtx|gtx)[- ]?\d{4}(?: ?ti)?|[ahb]\d{3}|l\d{1,2}s?|gb\d{3}|mi\d{3}x?)"
    r"(?:[- ]?\d{1,3}\s?gb)?(?![\w.-])"
)
"""Machines that a heading names beside a model: "Qwen3-8B on an RTX 4090"."""


@lru_cache(maxsize=8192)
def in_heading(text: str) -> Match:
    """The one model that a heading or caption is about, ignoring words that headings are made of. Two models make it ambiguous.

    >>> in_heading("Model Card for Mixtral-8x7B").names, in_heading("DeepSeek-V3 against Kimi K2").kind
    (('mixtral-8x7b',), 'ambiguous')
    """
    # Figures in brackets say nothing of the name: "Llama-3-8B (L=32, d=128)".
    name = clean(re.sub(r"<[^<>]*>|[`*_#]+|\([^()]*=[^()]*\)", " ", text))
    name = re.sub(
        r"^\d+(?:\.\d+)*[.)]\s+|^(?:Table|Tab\.|Figure|Fig\.|表|图)\s*\d+\s*[.:：]?\s*|(?<=\w)Config(?:uration)?$", "", name
    )
    if not name or len(name) > 400:
        return NONE
    whole = match(name)
    if whole.kind != "none":
        return whole._replace(whole=name)
    trimmed = re.sub(r"\s+", " ", _GENERIC_WORDS.sub(" ", name)).strip(" .:-—|,")
    if trimmed and trimmed != name:
        found = match(trimmed)
        if found.kind != "none":
            return found._replace(whole=trimmed)
    words = [word for word in re.split(r"[\s,;:()]+", name) if word]
    hits = _runs_that_name(words, _candidates(words))
    named = {hit[2].names for hit in hits}
    if len(named) > 1:
        return Match("ambiguous", tuple(sorted(name for names in named for name in names)), f"{name!r} names several models")
    if len(named) == 1:
        a, b, found = hits[0]
        rest = " ".join([*words[:a], *words[b:]])
        leftover = _MACHINES.sub(" ", _GENERIC_WORDS.sub(" ", rest))
        # A neighbouring word with digits or a known variant makes it another model: "Llama 3 8B FP8".
        if not re.search(
            r"\d|(?i:distill|awq|gptq|gguf|quant|lora|vision|vl|coder|math|finetun|fine-tun|merge|omni|audio)", leftover
        ):
            return Match("ambiguous", found.names, f"{name!r} names a family too") if _and_family(name, rest, found) else found
    return NONE


_LETTERS = re.compile(r"\W*([a-z]*)")


@cache
def _beginnings() -> frozenset[str]:
    """Every beginning of the letters that a name, an alias or a vendor begins with."""
    begun = {_LETTERS.match(key)[1] for key in (*zoo.keys(), *_VENDORS)}  # type: ignore[index]
    return frozenset(word[:n] for word in begun for n in range(1, len(word) + 1))


def _may_begin(word: str) -> bool:
    return not word.isdecimal() and _begins(word)


@lru_cache(maxsize=8192)
def _begins(word: str) -> bool:
    begins = _LETTERS.match(word.lower())
    return begins is not None and begins[1] in _beginnings()


@cache
def _letters() -> str:
    """All letters that a name is made of: those of the index, of families, of vendors and of what may stand beside them."""
    beside = ("instruct chat base", "family series model models collection herd", *_listed("tuned"))
    return "\n".join((*zoo.keys(), *_families(), *_RELEASES, *_VENDORS, *beside))


def _may_hold(word: str) -> bool:
    return word.isdecimal() or _holds(word)


@lru_cache(maxsize=8192)
def _holds(word: str) -> bool:
    return all(letters in _letters() for letters in re.findall("[a-z]+", word.lower()))


def _candidates(words: Sequence[str]) -> dict[int, int]:
    """Where a name may begin, and before which word it ends at the latest."""
    last = len(words)
    ends = {}
    for i in range(len(words) - 1, -1, -1):
        if not _may_hold(words[i]):
            last = i
        elif _may_begin(words[i]):
            ends[i] = last
    return dict(reversed(ends.items()))


def _runs_that_name(words: Sequence[str], ends: dict[int, int]) -> list[tuple[int, int, Match]]:
    """The runs of words that name a bundled model, the longest first; no two overlap."""
    hits: list[tuple[int, int, Match]] = []
    for length in range(min(6, len(words)), 0, -1) if ends else ():
        for i, end in ends.items():
            if i + length > end or (hits and any(i < b and a < i + length for a, b, _ in hits)):
                continue
            piece = " ".join(words[i : i + length])
            # One plain word names a model only where it has digits: "Grok", "Phi" alone are too little.
            if length == 1 and not re.search(r"\d", piece):
                continue
            found = _one(clean(piece))
            if found.kind in ("exact", "tuned"):
                hits.append((i, i + length, found))
    return hits


class Said(NamedTuple):
    """A name in a sentence: where it stands, and what it names."""

    start: int
    end: int
    text: str
    match: Match


_WORD = re.compile(r"[^\s,;:()\[\]|，。；：（）、\u4e00-\u9fff]+")
_OWN = re.compile(r"(?<=\d)['’]s$|(?<=\d[BMT])['’]s$")
_ANOTHER = re.compile(
    r"(?i)[-\s]*(?:distill|awq|gptq|gguf|quant|lora|vision|vl\b|coder|math|omni|audio|lite\b|nano\b|flash|exp\b|speciale|"
    r"(?:v?\d+(?:\.\d+)?b?\b(?!\s*[%x]|\s+\w)))"
)


@lru_cache(maxsize=2048)
def in_sentence(text: str) -> tuple[Said, ...]:
    """The bundled models, and generations of them, that a sentence names, in order, each whole: `V3.2-Exp` is no V3.2.

    >>> [(said.text, said.match.names) for said in in_sentence("Unlike Mixtral 8x7B, Qwen3-8B has no experts.")]
    [('Mixtral 8x7B', ('mixtral-8x7b',)), ('Qwen3-8B', ('qwen3-8b',))]
    """
    out: list[Said] = []
    run: list[tuple[str, int, int]] = []
    for word in (*_WORD.finditer(text), None):
        # Names do not go over what separates words.
        if run and (word is None or text[run[-1][2] : word.start()].strip()):
            out += reversed(list(_in_run(text, run)))
            run = []
        if word is not None:
            said = word[0].rstrip(".*`_!?'\"")
            run.append((_OWN.sub("", said) if said[-1:] == "s" else said, word.start(), word.end()))
    return tuple(out)


def _in_run(text: str, run: list[tuple[str, int, int]]) -> Iterator[Said]:
    last = len(run)
    while last:
        # What no name holds parts a run; what is left of it repeats from sentence to sentence.
        first = last
        while first and _may_hold(run[first - 1][0]):
            first -= 1
        begin = next((i for i in range(first, last) if _may_begin(run[i][0])), last)
        for a, b, found in _named_in(tuple(word for word, _, _ in run[begin:last])) if begin < last else ():
            start, end = run[begin + a][1], run[begin + b - 1][1] + len(run[begin + b - 1][0])
            if not _ANOTHER.match(text, end):
                yield Said(start, end, clean(text[start:end]), found)
        last = first - 1 if first else 0


@lru_cache(maxsize=4096)
def _named_in(words: tuple[str, ...]) -> tuple[tuple[int, int, Match], ...]:
    """The runs of words that name a model or a generation, the last one first."""
    ends = _candidates(words)
    hits = _runs_that_name(words, ends)
    for n in (3, 2, 1) if ends else ():
        for i, end in ends.items():
            said = " ".join(words[i : i + n])
            if i + n <= end and not any(i < b and a < i + n for a, b, _ in hits) and (members := _generation(said)):
                hits.append((i, i + n, Match("family", members)))
    return tuple(sorted(hits, key=lambda hit: -hit[0]))


@lru_cache(maxsize=8192)
def _generation(text: str) -> tuple[str, ...]:
    """The members of a generation, or of a brand that is one, by its name: "Qwen3", "GPT OSS"; nothing of a brand of many."""
    if not text[:1].isalpha():
        return ()
    members = family(text)
    return members if members and is_generation(text) and (text[0].isupper() or re.search(r"\d|-", text)) else ()


def _and_family(name: str, rest: str, found: Match) -> bool:
    """Whether a heading joins a model with a family that it is not of: "Yi-34B and Code Llama"."""
    if not re.search(r"(?i)\b(?:and|vs\.?|versus)\b|[&/]", name):
        return False
    words = rest.split()
    runs = (" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1))
    return any(members and not set(found.names) & set(members) for members in map(family, runs))


_STRANGER = re.compile(
    r"(?i)(?<![\w.-])(?P<name>[a-z][\w.]*(?:[- ][\w.]+){0,2}?)[- ]?(?:\d+x)?\d+(?:\.\d+)?[bm](?:[- ]a\d+(?:\.\d+)?b)?(?![\w.])"
)


def is_stranger(text: str) -> bool:
    """Whether a heading or the line above a list is a name with a size that no bundled model has.

    >>> is_stranger("Vicuna-13B:"), is_stranger("The 8B model"), is_stranger("Layers")
    (True, False, False)
    """
    name = clean(re.sub(r"<[^<>]*>|\([^()]*\)|[`*_#:：]+", " ", text))
    whole = re.sub(r"\s+", " ", _GENERIC_WORDS.sub(" ", _TUNED.sub("", name))).strip(" .-—|,")
    found = _STRANGER.fullmatch(whole) if "/" not in whole else None
    return found is not None and bool(re.search(r"[A-Za-z]{2}", found["name"]))
