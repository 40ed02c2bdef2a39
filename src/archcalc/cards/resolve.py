"""From what a card names to the models it is judged by: pins first, then names, then links; what stays open is said, never guessed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from archcalc import zoo
from archcalc.cards import names
from archcalc.cards.document import Context, Document
from archcalc.cards.layout import Subject, hub_repos, is_repo
from archcalc.cards.models import Model, load
from archcalc.errors import ArchcalcError


class Resolved(NamedTuple):
    """Groups of models that a claim is about: one group of one model mostly.

    `note` says how a name was taken, `problem` why there is none, `failed` that a source which was asked for by name cannot be had.
    `several` says that a cell may single out one of the models, `family` that they are one, `open` that it has others.
    """

    groups: tuple[tuple[Model, ...], ...] = ()
    note: str = ""
    problem: str = ""
    tuned: bool = False
    several: bool = False
    family: bool = False
    open: bool = False
    failed: ArchcalcError | None = None

    @property
    def label(self) -> str:
        """The names of all models."""
        found = [model.name for group in self.groups for model in group]
        return ", ".join(found) if len(found) <= 6 else f"{', '.join(found[:5])} and {len(found) - 5} more"


class Resolver:
    """Resolves the subjects of one document."""

    def __init__(self, path: str, document: Document | None, sources: Mapping[str, str], base: str, offline: bool) -> None:
        self.path = path
        self.offline = offline
        self.base = base
        folder = os.path.dirname(path) if path != "-" else "."
        self.folder = folder or "."
        self.named = {names.clean(name).lower(): (source, base) for name, source in sources.items()}
        for pin in document.pins if document else ():
            if pin.name:
                self.named[names.clean(pin.name).lower()] = (pin.source, self.folder)
        self.default_source = ""
        self.default_folder: str | None = None
        self._subjects: dict[tuple[Subject, Context], Resolved] = {}
        self._contexts: dict[Context, Resolved] = {}

    # Sources

    def source(self, text: str, folder: str | None = None) -> Resolved:
        """A source that the document or the settings name; a relative path is one from their folder."""
        folder = self.folder if folder is None else folder
        candidate = os.path.join(folder, text)
        path = text.startswith((".", "~")) or text.endswith(".json") or (not zoo.find(text) and os.path.exists(candidate))
        try:
            return Resolved(((load(candidate if path and not text.startswith("~") else text, self.offline),),))
        except ArchcalcError as error:
            return Resolved(problem=error.message, failed=error)

    # Subjects

    def subject(self, subject: Subject, context: Context) -> Resolved:
        """The models that a cell names."""
        key = (subject, context)
        if key not in self._subjects:
            self._subjects[key] = self._subject(subject, context)
        return self._subjects[key]

    def _subject(self, subject: Subject, context: Context) -> Resolved:
        for comment in subject.comments:
            if match := re.match(r"<!--\s*archcalc:\s*(.+?)\s*-->", comment):
                return self.source(match[1])
        plain = names.clean(subject.text)
        if pinned := self.named.get(plain.lower()):
            return self.source(*pinned)
        linked = self._linked(subject)
        found = names.match(subject.text, subject.size)
        if linked is not None and found.kind != "exact":
            return linked
        if found.kind in ("exact", "tuned"):
            return self._bundled(((found.names[0],),), found.note, tuned=found.kind == "tuned")
        if several := self._several(subject):
            return several
        if found.kind == "family":
            return self._bundled((found.names,), found.note, family=True, brand=not names.is_generation(names.bare(subject.text)))
        if is_repo(plain):
            return self._repo(plain)
        # A size alone is a member of the family that the headings name.
        if re.fullmatch(r"(?i)[~\s]*\d+(?:\.\d+)?\s*[bmt](?:[- ](?:base|instruct|chat|model))?", plain):
            for text in (context.caption, *reversed(context.headings)):
                for word in _runs(text):
                    sized = names.match(f"{word} {plain}")
                    if sized.kind in ("exact", "tuned"):
                        return self._bundled(((sized.names[0],),), f"{plain} of {word}")
        if context.headings and plain and names.clean(context.headings[0]).lower() == plain.lower():
            around = self.around(context)
            if around.groups:
                return around
        return Resolved(problem=f"{plain or 'the row'!r} names no model that archcalc knows")

    def _linked(self, subject: Subject) -> Resolved | None:
        repos = hub_repos(subject.links)
        if len(repos) != 1:
            return None
        entry = zoo.find(repos[0])
        if entry is not None:
            return self._bundled(((entry.name,),), f"by its link to {repos[0]}")
        return self._repo(repos[0]) if not self.offline else None

    def _repo(self, repo: str) -> Resolved:
        try:
            return Resolved(((load(repo, self.offline),),), f"the Hub's {repo}")
        except ArchcalcError as error:
            return Resolved(problem=f"{repo}: {error.message}")

    def _several(self, subject: Subject) -> Resolved | None:
        """Several models or families in one cell: "Mistral / Mixtral", "DeepSeek (V3 / R1)"."""
        text = names.clean(subject.text)
        pieces = [piece for piece in re.split(r"\s+/\s+|\s*&\s*|\s+and\s+|\s*,\s+|\n+", text) if piece]
        if inside := re.fullmatch(r"(.*?)\s*\(([^()]*(?:/|,|&|\band\b)[^()]*)\)", text):
            tails = [tail.strip() for tail in re.split(r"/|,|&|\band\b", inside[2])]
            pieces = [f"{inside[1]} {tail}" for tail in tails]
        if len(pieces) < 2:
            return None
        found = [names.match(piece) for piece in pieces]
        if any(match.kind == "none" for match in found):
            # "Qwen3 8B / 14B": what differs stands last.
            stem = re.sub(r"\s*\S+$", "", pieces[0])
            found = [
                match if match.kind != "none" else names.match(f"{stem} {piece}")
                for match, piece in zip(found, pieces, strict=True)
            ]
        if any(match.kind == "none" for match in found):
            return None
        family = any(match.kind == "family" for match in found)
        return self._bundled(tuple(match.names for match in found), " and ".join(pieces), family=family)

    def _bundled(
        self, groups: tuple[tuple[str, ...], ...], note: str, tuned: bool = False, family: bool = False, brand: bool = False
    ) -> Resolved:
        models = tuple(tuple(load(name, True) for name in group) for group in groups)
        return Resolved(models, note, tuned=tuned, several=family or len(groups) > 1, family=family, open=brand)

    # Surroundings

    def around(self, context: Context) -> Resolved:
        """The model that a table without names is about."""
        if context not in self._contexts:
            self._contexts[context] = self._around(context)
        return self._contexts[context]

    def _around(self, context: Context) -> Resolved:
        if context.begin or context.pin:
            return self.source((context.begin or context.pin).split()[0])
        steps: list[Callable[[], Resolved | None]] = [lambda: self._text(context.caption)]
        steps += [lambda text=text: self._text(text) for text in reversed(context.headings[1:])]  # type: ignore[misc]
        steps += [self._document, self._beside, lambda: self._text(context.headings[0] if context.headings else "")]
        for step in steps:
            found = step()
            if found is not None and (found.groups or found.problem):
                return found
        return Resolved(problem="nothing around names a model")

    def _text(self, text: str) -> Resolved | None:
        pinned = self.named.get(names.clean(text).lower())
        if pinned:
            return self.source(*pinned)
        found = names.in_heading(text)
        if found.kind == "ambiguous":
            return Resolved(problem=found.note)
        if found.kind in ("exact", "tuned"):
            return self._bundled(((found.names[0],),), f"by the words {text.strip()[:60]!r}", tuned=found.kind == "tuned")
        if found.kind == "family":
            return self._bundled((found.names,), found.note, family=True, brand=not names.is_generation(names.bare(text)))
        return None

    def _document(self) -> Resolved | None:
        return self.source(self.default_source, self.default_folder) if self.default_source else None

    def _beside(self) -> Resolved | None:
        """The config.json in the card's folder, as in a clone of a Hub repository."""
        if self.path == "-":
            return None
        path = os.path.join(self.folder, "config.json")
        return self.source("config.json") if os.path.isfile(path) else None


def _runs(text: str) -> list[str]:
    """Stretches of a heading that may be the name of a family, longest first."""
    words = [word for word in re.split(r"[\s,;:()*`#]+", text) if word]
    out = [" ".join(words[i : i + n]) for n in range(min(4, len(words)), 0, -1) for i in range(len(words) - n + 1)]
    return [run for run in out if names.family(run)]
