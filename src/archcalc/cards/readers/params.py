"""Counts of parameters: total and active, with and without embeddings, as the words around them say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from archcalc.cards.labels import Quals
from archcalc.cards.quantity import numbers
from archcalc.cards.readers.claim import Claim, of
from archcalc.cards.readers.experts import read_experts


def read_params(field: str, text: str, quals: Quals) -> Iterator[Claim]:
    found = [n for n in numbers(text) if n.unit != "%" and not n.unit.endswith(("flop", "flops"))]
    for i, (one, two) in enumerate(pairwise(found)):
        # 11B (10.6): the same in the same unit.
        if one.scale and not one.unit and not two.scale and not two.unit and text[one.after : two.start].strip() == "(":
            found[i + 1] = two._replace(scale=one.scale) if text[two.after :].startswith(")") and two.decimals else two
    if field == "total_params" and found and all(n.unit for n in found):
        # A column of sizes in GB speaks of files.
        yield from (of("weights", n, quals) for n in found[:1])
        return
    if "expert" in text and field in ("total_params", "active_params", "active"):
        for bracket in re.finditer(r"\([^()]*expert[^()]*\)", text):
            for claim in read_experts("moe", bracket[0], quals):
                yield claim._replace(start=claim.start + bracket.start(), end=claim.end + bracket.start())
    if power := re.search(r"(?<!\d)(?P<digits>\d+(?:\.\d+)?)\s*[×x·*]\s*10\s*\^?\{?(?P<power>9|12|⁹|¹²)", text):
        number = next(numbers(power["digits"]))
        scale = 9 if power["power"] in ("9", "⁹") else 12
        yield of(
            field if field != "active" else "active_params",
            number._replace(scale=scale, start=power.start(), end=power.end("digits"), after=power.end()),
            quals,
        )
        return
    counts = [n for n in found if not n.unit and (n.scale or quals.unit or n.mantissa >= 100_000)]
    if field == "active" and not any(n.scale for n in counts):
        # No count of experts has decimals: 3.3 under "Active" is of parameters, in a unit that is not said.
        if not any(n.decimals for n in found):
            yield from read_experts("active_experts", text, quals)
        return
    field = "active_params" if field == "active" else field
    if field == "vision_params":
        counts = counts[:1]
    roles: list[tuple[str, str]] = []
    for i, number in enumerate(counts):
        left = text[counts[i - 1].after if i else 0 : number.start].lower()
        right = text[number.after : counts[i + 1].start if i + 1 < len(counts) else len(text)].lower()
        roles.append(_param_role(field, left, right))
    if len(counts) == 2 and (order := _ORDER.search(text)):
        # 5.1B-117B (Active-Total)
        roles = [("active_params" if order[k].lower().startswith("act") else "total_params", "") for k in (1, 2)]
    if len(counts) == 2 and roles == [(field, ""), (field, "")] and field == "total_params":
        between = text[counts[0].after : counts[1].start]
        if re.fullmatch(r"\s*/\s*", between):
            small, large = sorted(range(2), key=lambda k: counts[k].printed * 10 ** counts[k].scale)
            roles[small], roles[large] = ("active_params", ""), ("total_params", "")
    also: tuple[str, ...] = ()
    if len(counts) == 2 and roles == [("total_params", "")] * 2 and _BRACKETED.fullmatch(text, counts[0].after):
        also = ("active_params",)  # 671B (37B)
    for i, (number, (role, embedding)) in enumerate(zip(counts, roles, strict=True)):
        if role:
            yield of(role, number, quals._replace(embedding=embedding or quals.embedding))._replace(also=also if i else ())
    # 671B-A37B: a letter before the digits hides the number from `numbers`.
    if match := re.search(r"(?<![A-Za-z])A(\d+(?:\.\d+)?)\s?B\b", text):
        hidden = next(numbers(" " * match.start(1) + text[match.start(1) :]), None)
        if hidden is not None:
            yield of("active_params", hidden, quals)


_BRACKETED = re.compile(r"\s*[(\[（][\s~≈]*[\d.,]+\s?[A-Za-z]*\s*[)\]）]\s*")
_ORDER = re.compile(r"(?i)\((active|activated|total)(?:\s*[-/,–]\s*| and )(active|activated|total)\)")
_OTHER_COUNTS = (
    r"\b(?:embedding|embed|vision|vit|encoder|audio|draft|projector|per expert|each|lora|trainable|effective|optimizer|tokens)\b"
)


def _param_role(field: str, left: str, right: str) -> tuple[str, str]:
    """What a count of parameters counts, by the words on either side of it."""
    if re.match(r"[\s(（.]*(?:激活|活跃|激活参数|활성|アクティブ|aktiv|actif|activo)", right) or re.search(
        r"(?:激活|活跃)(?:参数)?(?:量)?\s*[:：]?\s*$", left
    ):
        return "active_params", ""
    near = re.split(r"[;,\n|]|\band\b|\(", left)[-1] if "(" not in left[-2:] else left.rpartition("(")[2]
    after = re.split(r"[;,\n|]|\band\b", right)[0]
    if "(" in after and ")" not in after:
        # "7B (activated: 1.4B)": the bracket speaks of the number inside.
        after = after.partition("(")[0]
    if re.search(r"non-?\s?emb|without emb|w/o emb|excl\w* (?:the )?emb", after):
        return "total_params" if field != "active_params" else field, "without"
    if re.search(_OTHER_COUNTS, after):
        if re.search(r"\bincl", after):
            return field, "with" if "emb" in after else ""
        return ("embedding_params", "") if re.search(r"\bembedding", after) else ("", "")
    if re.search(r"\bmtp\b", after) and not re.search(r"incl|with|含|包括", after):
        return "mtp_params", ""
    if re.search(r"\b(?:effective)\b", near):
        return "", ""
    if re.search(r"\b(?:active|activated|act\.?|activation|activating|active/token|per token)\b", after):
        return "active_params", ""
    if re.search(r"\b(?:total|in total|all|overall)\b", after):
        return "total_params", ""
    if re.search(r"\b(?:active|activated|activates|act)\b|激活", near):
        return "active_params", ""
    if re.search(r"\btotal\b", near):
        return "total_params", ""
    return field, ""
