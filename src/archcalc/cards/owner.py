"""Those whom claims are about, and what is known of their cells already: a page may repeat them a hundred thousand times."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from archcalc.cards import names
from archcalc.cards.findings import Bands
from archcalc.cards.judge import Judgement, Rules, judge_all, settled, within
from archcalc.cards.labels import Label
from archcalc.cards.readers.claim import Claim
from archcalc.cards.resolve import Resolved


class Owner:
    """Those whom claims are about, and what their cells say: cells repeat, and are read and judged once."""

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.label = resolved.label
        self.models = tuple(model for group in resolved.groups for model in group)
        self.who = tuple(model.name for model in self.models)
        self.scope = (lambda text: names.members_named(text, self.who)) if resolved.several else None
        self.read: dict[tuple[int, str], tuple[Label, Sequence[Claim]]] = {}
        self.judged: dict[tuple[int, bool], tuple[Claim, Judgement]] = {}
        """By the identity of the label or claim, which the one beside it keeps: to hash one takes as long as to judge it."""
        self.bands: dict[tuple[str, int, int, int], tuple[Claim, Bands]] = {}
        self._alike: dict[tuple[str, int, int, bool], tuple[Claim, Judgement, Bands]] = {}
        """What numbers of one style are judged to be, and between which digits they may be judged otherwise."""
        self._rules: Rules | None = None

    def judge(self, claim: Claim, strict: bool, tolerance: Fraction) -> Judgement:
        """What a claim is of them. Numbers of one style that are far from right are judged alike."""
        if (judged := self.judged.get((id(claim), strict))) is not None:
            return judged[1]
        number = claim.number
        mantissa = number.mantissa if number is not None else 0
        alike = claim.field, id(claim.quals), id(number.style if number is not None else None), strict
        known = self._alike.get(alike) if claim.form == "number" and claim.product is None else None
        if known is not None and not within(known[2], mantissa):
            return known[1]
        rules = self._rules
        if rules is None or rules.strict != strict:
            of = self.resolved
            rules = self._rules = Rules(strict, tolerance, of.tuned, of.quantized, of.family, of.closed)
        found = judge_all(self.resolved.groups, claim, rules)
        self.judged[id(claim), strict] = claim, found
        if known is None and found.verdict != "ok" and len(self.models) == 1:
            bands = settled(self.models[0], claim, rules)
            if bands is not None and not within(bands, mantissa):
                self._alike[alike] = claim, found, bands
        return found
