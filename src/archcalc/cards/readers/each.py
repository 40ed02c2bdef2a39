"""Figures of another quantity than their label's: of one layer, expert, file or device, and the factors of a product."""

from __future__ import annotations

import re
from collections.abc import Iterable

from archcalc.cards.labels import EACH, NUMERIC, Quals
from archcalc.cards.readers import products
from archcalc.cards.readers.claim import Claim

_NOT_PRODUCTS = frozenset({"heads", "kv_heads", "linear_heads", "linear_qk_heads", "head_dim", "layer_ratio", "gqa_ratio"})
"""What a product of heads and their size, or a row of kinds of layers, says apart."""
_SIGN = r"\s*(?:[×·^*]|\*\*|x(?=[\s\d(]))(?!\s*10\s*(?:\^|\*\*|[⁹¹]))\s*"
# 8x7B is a name.
_PRODUCT = re.compile(rf"(?i)(?<![\w.])(?!\d+[x×]\d[\d.]*[bm]\b)\d[\d,.]*\s?(?:[kmbgt]i?b?\b)?{_SIGN}[\d(]")
_END = re.compile(r"[;\n=→]|,\s+(?=[A-Za-z])|->|(?<=[A-Za-wyz0-9)])\s*[(（]")
_EQUATION = re.compile(rf"(?i)(?<=\d)\s*=\s*(?=\d[\d,.]*\s?(?:[kmbgt]i?b?\b)?(?:{_SIGN}|\s*/\s*|\s*[+-]\s*)[\d(])")
_PART = re.compile(r"\s*\d+\s*/\s*\d+\s+of\s+(?:the\s+)?\d|\s*\d[\d,]{3,}\s*/\s*\d{1,3}\s*$")
"""1/4 of 32, 4096/32: neither number is what the label asks for."""

_BEHIND = re.compile(
    r"(?i)[^\w\d;,\n/]{0,3}(?:(?:param(?:eter)?s?|bytes?|weights?|elements?|values?|tokens?)\s+)?"
    r"(?:(?:/|per)\s*tok(?:en)?s?\s*)?"
    r"(?:(?:/|\bper|\b(?:in|on|for|of)\s+(?:each|every|one|a single)(?:\s+of\s+(?:the\s+)?\d*)?|\b(?:each|every|a))"
    r"[\s-]*(?:(?:routed|single|transformer|decoder|attention|kv|query|moe|dense|pipeline|safetensors|weight|optimi[sz]er|training)\s+)*"
    r"(?P<of>layer|block|expert|head|group|stage|rank|step|file|shard|part|chunk|gpu|device|card|chip|node|machine|server|sequence|request|user|replica)s?\b"
    r"|\b(?P<alone>each|apiece|on average|average|avg)\b\.?\s*(?=$|[),;.]))"
)
_BEFORE = re.compile(
    r"(?i)(?:\b(?:average|avg\.?|mean|each(?: (?:file|shard|part))?(?: is| of)?(?: about)?)|\bfiles of|\bshards of)[\s~≈:]*$"
)
_ALL = re.compile(
    r"(?i)\s*(?:experts?\s*)?(?:\(?in all\)?|in total|across(?: all)?|over(?: all)?)\s*(?:the\s+)?(?:\d+\s+)?layers\b"
)
_WHOLE = {"layer": "layer", "block": "layer", "expert": "expert"}
_DEVICES = frozenset({"gpu", "rank", "device", "card", "chip", "node", "stage"})
_SPLIT = frozenset({"gpu", "rank", "device", "card", "chip", "node", "machine", "stage", "shard", "group", "step", "file"})
_SEQUENCES = frozenset({"sequence", "request", "user"})
_COUNTED = frozenset({"experts", "active_experts", "shared_experts", "heads", "kv_heads"})


def equation(text: str) -> str:
    """A text without what stands behind the sign of an equation: `4096 = 32 × 128`."""
    found = _EQUATION.search(text)
    return text[: found.start()] if found else text


def worked(text: str, start: int) -> bool:
    """Whether the number there is a factor of a product, or a side of an equation: to rewrite it alone makes nonsense of the rest."""
    return _side(text, start) or any(a <= start < b for a, b in _products(text))


def _side(text: str, start: int) -> bool:
    sign = _EQUATION.search(text)
    if sign is not None and start < sign.end():
        return True
    before = re.match(r"(.*\d.*)=\s*[~≈]?\s*$", text[:start], re.DOTALL)
    return before is not None and re.search(r"\d\s*[×·^*x/+]\s*[\d(]", before[1]) is not None


def _products(text: str) -> list[tuple[int, int]]:
    """Where the products of a text stand."""
    spans, at = [], 0
    while found := _PRODUCT.search(text, at):
        end = _END.search(text, found.end())
        at = end.start() if end else len(text)
        spans.append((found.start(), at))
    return spans


def apart(claims: Iterable[Claim], text: str) -> list[Claim]:
    """The claims without those of another quantity; those of one layer or one expert say so."""
    spans = _products(text)
    made = products.first(text) if spans and not text[: spans[0][0]].strip() else None
    out = []
    dropped: Claim | None = None
    for claim in claims:
        if claim.form == "number" and claim.number is not None and claim.number.unit not in ("%", "x"):
            if (kept := _one(claim, text, spans)) is None:
                dropped = dropped or claim
                continue
            if made is not None and _RESULT.fullmatch(text, made.end, claim.start):
                kept = kept._replace(factors=made.factors, product=made.number)
            out.append(kept)
        else:
            out.append(claim)
    if dropped is not None and not out:
        return [Claim(dropped.field, "unread", 0, len(text), dropped.quals)]
    return out


_RESULT = re.compile(r"\s*=\s*[~≈]?\s*")


def alone(field: str, text: str, quals: Quals) -> Claim | None:
    """A cell that is a product without a result, as one claim."""
    made = products.first(text) if "=" not in text else None
    if made is None:
        return None
    number = made.number
    return Claim(field, "product", number.start, number.after, quals, number, factors=made.factors, product=number)


def _one(claim: Claim, text: str, products: list[tuple[int, int]]) -> Claim | None:
    kind = NUMERIC.get(claim.field)
    if claim.field not in _NOT_PRODUCTS and any(a <= claim.start < b for a, b in products):
        return None
    if claim.field in ("head_dim", "kv_heads", "hidden_size") and _PART.match(text):
        return None
    if claim.field in _COUNTED and _ALL.match(text, claim.end):
        return None
    found = _BEHIND.match(text, claim.end)
    of = ((found["of"] or found["alone"]) if found else "").lower()
    if of in _SEQUENCES and claim.field == "kv_cache":
        return claim  # what it is of without a word
    if kind == "flops":
        return None if of in _WHOLE or of in EACH else claim
    if kind in ("count", "bytes"):
        if (
            of in _DEVICES
            and claim.field in ("kv_cache", "weights")
            and not re.search(r"(?i)each|every", found[0] if found else "")
        ):
            return claim  # of how many devices is asked elsewhere
        if of in _WHOLE:
            return claim._replace(quals=claim.quals._replace(each=_WHOLE[of]))
        return None if of or _BEFORE.search(text, 0, claim.start) else claim
    split = of in _SPLIT or of in EACH or (of == "head" and claim.field in ("hidden_size", "intermediate_size"))
    return None if split and kind in ("int", "tokens") else claim
