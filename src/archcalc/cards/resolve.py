"""From what a card names to the models it is judged by: pins first, then names, then links; what stays open is said, never guessed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from archcalc import zoo
from archcalc.cards import names
from archcalc.cards.document import Context, Document
from archcalc.cards.layout import Subject, hub_repos, is_repo
from archcalc.cards.models import Model, load, resolved
from archcalc.errors import ArchcalcError
from archcalc.records import NamedTuple

_LINE = 60
"""A longer caption is a sentence, which may name models in passing."""


class Resolved(NamedTuple):
    """Groups of models that a claim is about: one group of one model mostly.

    `note` says how a name was taken, `problem` why there is none, `failed` that a source which was asked for by name cannot be had.
    `several` says that a cell may single out one of the models, `family` that they are one; `closed` says of each group what is wrong
    if none of it has it. `pinned`: a comment, a setting, a link or the caller named the source, not words.
    `derived` says that what is stated is of a model made from it, by pruning, merging or tuning.
    `named` is the name by which a heading or caption says it, where it says no more than that.
    """

    groups: tuple[tuple[Model, ...], ...] = ()
    note: str = ""
    problem: str = ""
    tuned: bool = False
    several: bool = False
    family: bool = False
    closed: tuple[names.Closed, ...] = ()
    quantized: bool = False
    failed: ArchcalcError | None = None
    pinned: bool = False
    derived: bool = False
    named: str = ""

    def of(self, members: tuple[Model, ...]) -> Resolved:
        """The same of some members alone."""
        return self._replace(groups=(members,) if members else (), closed=(), family=False, several=False)

    @property
    def label(self) -> str:
        """The names of all models, a release before what it was tuned from: what only that has is doubtful."""
        found = [model.name for group in self.groups for model in group]
        if len(found) == 1 and self.groups[0][0].source.kind == "bundled" and (of := names.base(found[0])):
            found.append(of)
        return ", ".join(found) if len(found) <= 6 else f"{', '.join(found[:5])} and {len(found) - 5} more"


class Resolver:
    """Resolves the subjects of one document."""

    def __init__(self, path: str, document: Document | None, sources: Mapping[str, str], base: str, offline: bool) -> None:
        self.path = path
        self.offline = offline
        self.base = base
        folder = os.path.dirname(path) if path != "-" else "."
        self.folder = folder or "."
        self.named = {_key(name): (source, base) for name, source in sources.items()}
        for pin in document.pins if document else ():
            if pin.name:
                self.named[_key(pin.name)] = (pin.source, self.folder)
        self.default_source = ""
        self.default_folder: str | None = None
        self._outright: dict[Subject, Resolved | None] = {}
        self._subjects: dict[tuple[Subject, Context], Resolved] = {}
        self._contexts: dict[Context, Resolved] = {}
        self._sources: dict[str, Resolved] = {}
        self._text_of_page = document.lines.text if document else ""
        self._named: tuple[str, ...] | None = None

    # Sources

    def source(self, text: str, folder: str | None = None) -> Resolved:
        """A source that the document or the settings name; a relative path is one from their folder."""
        place = resolved(text, self.folder if folder is None else folder)
        if place not in self._sources:
            try:
                self._sources[place] = Resolved(((load(place, self.offline),),), pinned=True)
            except ArchcalcError as error:
                self._sources[place] = Resolved(problem=error.message, failed=error)
        return self._sources[place]

    # Subjects

    def named_somewhere(self) -> tuple[str, ...]:
        """The bundled models whose names stand anywhere on the page, one of each shape: figures do not tell its releases apart."""
        if self._named is None:
            text = zoo.key(self._text_of_page.replace("/", " "))
            self._named = tuple(entry.name for entry in zoo.entries() if entry.card and zoo.key(entry.name) in text)
        return self._named

    def subject(self, subject: Subject, context: Context) -> Resolved:
        """The models that a cell names."""
        if subject not in self._outright:
            self._outright[subject] = self._named_outright(subject)
        if (outright := self._outright[subject]) is not None:
            return outright
        key = (subject, context)
        if key not in self._subjects:
            self._subjects[key] = self._in_context(names.clean(subject.text), context)
        return self._subjects[key]

    def _named_outright(self, subject: Subject) -> Resolved | None:
        for comment in subject.comments:
            if match := re.match(r"<!--\s*archcalc:\s*(.+?)\s*-->", comment):
                return self.source(match[1])
        plain = names.clean(subject.text)
        if pinned := self.named.get(_key(plain)):
            return self.source(*pinned)
        linked = self._linked(subject)
        found = names.match(subject.text, subject.size)
        if linked is not None and found.kind != "exact":
            return linked
        if subject.repo and (other := self._repo_column(subject.repo, found)):
            return other
        if found.kind in ("exact", "tuned"):
            return self._bundled((found.names,), found.note, tuned=found.kind == "tuned", quantized=found.quantized)
        if several := self._several(subject):
            return several
        if found.kind == "family":
            closed = (names.closed(subject.text),)
            return self._bundled((found.names,), found.note, family=True, closed=closed, quantized=found.quantized)
        return self._repo(plain) if is_repo(plain) else None

    def _in_context(self, plain: str, context: Context) -> Resolved:
        """A part of a name, for the rest of which what stands above must do."""
        # A size alone is a member of the family that the headings name, or the size of the model that they do.
        plain = re.sub(r"(?i)(?<=\d[bmt])[- ](?:dense|moe)$", "", plain)
        if re.fullmatch(r"(?i)[~\s]*\d+(?:\.\d+)?\s*[bmt](?:[- ]?a\d+(?:\.\d+)?b)?(?:[- ](?:base|instruct|chat|model))?", plain):
            for text in (context.caption, *reversed(context.headings)):
                for word in (found.strip(".") for found in re.findall(r"[\w.-]+", text)):
                    # "Configs of Yi-6B and Yi-34B" above a row 34B.
                    if word.lower().endswith(f"-{plain.lower()}") and (whole := names.match(word)).kind == "exact":
                        return self._bundled((whole.names,), f"{plain} of {word}")
                for word in _runs(text):
                    sized = names.match(f"{word} {plain}")
                    if sized.kind in ("exact", "tuned"):
                        return self._bundled((sized.names,), f"{plain} of {word}")
                titled = names.in_heading(text)
                if titled.kind in ("exact", "tuned") and all(plain.lower() in name.split("-") for name in titled.names):
                    return self._bundled((titled.names,), f"{plain} of {titled.whole}", tuned=titled.kind == "tuned")
        if re.fullmatch(r"(?i)v?\d[\w.-]*", plain):
            # V2-Lite under a heading that says DeepSeek
            for text in context.headings:
                whole = names.match(f"{names.clean(text)} {plain}")
                if whole.kind in ("exact", "tuned"):
                    return self._bundled((whole.names,), f"{plain} of {names.clean(text)}", tuned=whole.kind == "tuned")
        if context.headings and plain and names.clean(context.headings[0]).lower() == plain.lower():
            around = self.around(context)
            if around.groups:
                return around
        return Resolved(problem=f"{plain or 'the row'!r} names no model that the check knows")

    def _linked(self, subject: Subject) -> Resolved | None:
        repos = hub_repos(subject.links)
        if len(repos) != 1:
            return None
        entry = names.known(repos[0])
        if entry is not None:
            return self._bundled(((entry.name,),), f"by its link to {repos[0]}")._replace(pinned=True)
        return self._repo(repos[0]) if not self.offline else None

    def _repo_column(self, repo: str, found: names.Match) -> Resolved | None:
        """What the row's repository id says beside its name: another release of the same publisher is another model."""
        entry = names.known(repo)
        if entry is not None:
            return None if entry.name in found.names else self._bundled(((entry.name,),), f"by its repository, {repo}")
        named = names.match(repo.partition("/")[2])
        if named.kind in ("exact", "tuned"):
            if found.kind in ("exact", "tuned") and not set(named.names) & set(found.names):
                return None
            return self._bundled((named.names,), named.note or f"by its repository, {repo}", tuned=True, quantized=named.quantized)
        publishers = {e.repo.partition("/")[0].lower() for e in zoo.entries() if e.name in found.names}
        if found.kind == "none" or repo.partition("/")[0].lower() in publishers:
            return self._repo(repo)
        return None

    def _repo(self, repo: str) -> Resolved:
        try:
            return Resolved(((load(repo, self.offline),),), f"the Hub's {repo}")
        except ArchcalcError as error:
            return Resolved(problem=f"{repo}: {error.message}")

    def _several(self, subject: Subject) -> Resolved | None:
        """Several models or families in one cell: "Mistral / Mixtral", "DeepSeek (V3 / R1)"."""
        text = names.clean(subject.text)
        text = re.sub(r"(?<=\d)/(?=\d)|(?<=\d[BbMm])/(?=\d)", " / ", text)  # Llama 3.1/3.2
        pieces = [piece for piece in re.split(r"\s+/\s+|\s*&\s*|\s+and\s+|\s*,\s+|\n+", text) if piece]
        if inside := re.fullmatch(r"(.*?)\s*\(([^()]*(?:/|,|&|\band\b)[^()]*)\)", text):
            tails = [tail.strip() for tail in re.split(r"/|,|&|\band\b", inside[2])]
            pieces = [f"{inside[1]} {tail}" for tail in tails]
        pieces = [piece for i, piece in enumerate(pieces) if not i or not names.is_generic(piece)]
        if len(pieces) < 2:
            found = names.match(pieces[0]) if pieces and pieces[0] != text else names.NONE
            return self._bundled((found.names,), found.note) if found.kind in ("exact", "tuned") else None
        each = [names.match(piece) for piece in pieces]
        if any(match.kind == "none" for match in each):
            # "Qwen3 8B / 14B": what differs stands last.
            stem = pieces[0].rpartition(" ")[0] or pieces[0].rpartition("-")[0]
            each = [
                match if match.kind != "none" else names.match(f"{stem} {piece}") for match, piece in zip(each, pieces, strict=True)
            ]
        if any(match.kind == "none" for match in each):
            # "Llama 2 7B/13B" of which 13B is not known here: what is said of both is said of the one.
            known = [i for i, match in enumerate(each) if match.kind != "none"]
            if not known or not all(
                re.fullmatch(r"(?i)\d+(?:\.\d+)?[bmt]", pieces[i]) for i in range(len(pieces)) if i not in known
            ):
                return None
            pieces, each = [pieces[i] for i in known], [each[i] for i in known]
        family = any(match.kind == "family" for match in each)
        closed: tuple[names.Closed, ...] = tuple(
            names.closed(piece) if match.kind == "family" else "all" for match, piece in zip(each, pieces, strict=True)
        )
        return self._bundled(tuple(match.names for match in each), " and ".join(pieces), family=family, closed=closed)

    def _bundled(
        self,
        groups: tuple[tuple[str, ...], ...],
        note: str,
        tuned: bool = False,
        family: bool = False,
        closed: tuple[names.Closed, ...] = (),
        quantized: bool = False,
    ) -> Resolved:
        models = tuple(tuple(load(name, True) for name in group) for group in groups)
        return Resolved(
            models, note, tuned=tuned, several=family or len(groups) > 1, family=family, closed=closed, quantized=quantized
        )

    # Surroundings

    def around(self, context: Context) -> Resolved:
        """The model that a table without names is about."""
        if context not in self._contexts:
            self._contexts[context] = self._around(context)
        return self._contexts[context]

    def _around(self, context: Context) -> Resolved:
        if context.begin or context.pin:
            return self.source((context.begin or context.pin).split()[0])
        stranger = ""
        for text in (context.caption, *reversed(context.headings[1:])):
            found = self._text(text)
            if found is not None and (found.groups or found.problem):
                return found
            if names.is_stranger(text):
                # What stands above this one is of another model.
                stranger = text
                break
        steps: tuple[Callable[[], Resolved | None], ...] = (
            lambda: self._stated(context.stated),
            lambda: self._base(context.base),
            self._document,
            self._beside,
            lambda: self._text(context.headings[0] if context.headings and not stranger else ""),
        )
        for step in steps:
            found = step()
            if found is not None and (found.groups or found.problem):
                return found
        if stranger:
            return Resolved(problem=f"{names.clean(stranger)!r} names no model that the check knows")
        stated = names.clean(context.stated)
        return Resolved(problem=f"{stated!r} names no model that the check knows" if stated else "nothing around names a model")

    def _text(self, text: str) -> Resolved | None:
        pinned = self.named.get(_key(text))
        if pinned:
            return self.source(*pinned)
        found = names.in_heading(text)
        if found.kind == "none" and len(repos := hub_repos(tuple(re.findall(r"https?://[^\s<>()\[\]]+", text)))) == 1:
            found = names.match(repos[0].partition("/")[2])
        if found.kind == "ambiguous" and (both := self._several(Subject(names.bare(re.sub(r"^\d+[.)]\s+", "", text))))):
            return both
        if found.kind == "ambiguous":
            return Resolved(problem=found.note)
        if (
            found.kind == "none"
            and re.search(r"\d", text)
            and len(text) <= _LINE
            and (both := self._several(Subject(names.bare(re.sub(r"^\d+[.)]\s+|[*`_#]+|[:：]\s*$", "", text)))))
        ):
            return both
        if found.kind in ("exact", "tuned"):
            words = f"by the words {text.strip()[:60]!r}"
            by_words = self._bundled((found.names,), words, tuned=found.kind == "tuned", quantized=found.quantized)
            return by_words._replace(named=found.whole)
        if found.kind == "family":
            return self._bundled((found.names,), found.note, family=True, closed=(names.closed(text),))
        return None

    def _stated(self, text: str) -> Resolved | None:
        if not text:
            return None
        found = self.subject(Subject(text), Context())._replace(named=text)
        return found if found.groups or is_repo(names.clean(text)) else None

    def _base(self, text: str) -> Resolved | None:
        """What the card's model was tuned or quantized from."""
        found = self._stated(text)
        if found is None or not found.groups:
            return found
        return found._replace(note=f"by its base model, {names.clean(text)}", tuned=True, quantized=True, derived=True)

    def _document(self) -> Resolved | None:
        return self.source(self.default_source, self.default_folder) if self.default_source else None

    def _beside(self) -> Resolved | None:
        """The config.json in the card's folder, as in a clone of a Hub repository."""
        if self.path == "-":
            return None
        path = os.path.join(self.folder, "config.json")
        return self.source("config.json") if os.path.isfile(path) else None


def _key(name: str) -> str:
    """What a name that the page or the settings give a meaning is known by: "Foo 7B" is foo-7b."""
    return re.sub(r"[\s_-]+", " ", names.clean(name).lower()).strip()


def _runs(text: str) -> list[str]:
    """Stretches of a heading that may be the name of a family, longest first."""
    words = [word for word in re.split(r"[\s,;:()*`#]+", text) if word]
    out = [" ".join(words[i : i + n]) for n in range(min(4, len(words)), 0, -1) for i in range(len(words) - n + 1)]
    return [run for run in out if names.family(run)]
