"""Lists of module names in quantization configs, matched without reading every name in them.

Configs name modules in four ways: whole names (`model.layers.3.mlp.gate`), parts of names (`visual`, `lm_head`), globs
(`model.layers.10.self_attn*`) and regular expressions (`re:.*self_attn.*`). Lists hold a thousand names where they spell out every
layer, so the list is kept as a set, beside the set of its names without digits: a module is looked up in the second, and only where
that knows it are its layers looked up in the first.

Sources: transformers 5.23, quantizers/quantizers_utils.py `should_convert_module`; compressed-tensors 0.12,
utils/match.py (`re:` prefix, class names); ModelOpt 0.37, export/quant_utils.py (globs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate

from archcalc.errors import ConfigError
from archcalc.quant._regex import Budget, CostError, Pattern

Layers = Sequence[int]

# Outer names that a config may leave out, or put otherwise than the checkpoint.
_WRAPPERS = ("model.", "language_model.", "text_model.")
_NO_DIGITS = dict.fromkeys(range(ord("0"), ord("9") + 1))
_SPECIAL = "*^$|\\+?([:"
_IS_REGEX = re.compile(r"^re:|[\^$|\\+?(\[]")


def bare(name: str) -> str:
    """The name without the wrappers around a text model: `model.language_model.layers.` and `layers.` are the same place."""
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


def _bare_all(patterns: Sequence[str]) -> list[str]:
    """`bare` of each, in a few passes over all."""
    text = "\n" + "\n".join(patterns)
    while True:
        before = len(text)
        for wrapper in _WRAPPERS:
            text = text.replace(f"\n{wrapper}", "\n")
        if len(text) == before:
            return text[1:].split("\n")


class Names:
    """The modules that a list of patterns names."""

    __slots__ = (
        "_budget",
        "_classes",
        "_globs",
        "_key",
        "_parts",
        "_places",
        "_prefix_forms",
        "_prefixes",
        "_regexes",
        "_whole",
        "_whole_forms",
    )

    def __init__(self, patterns: Iterable[str], key: str = "modules") -> None:
        given = list(patterns)
        self._budget, self._key = Budget(), key
        try:
            text = "\n".join(given)
            special = [p for p in given if "*" in p or _IS_REGEX.search(p)] if any(c in text for c in _SPECIAL) else []
            if special:
                odd = set(special)
                given = [p for p in given if p not in odd]
            plain = _bare_all(given) if given else []
        except TypeError:
            raise ConfigError(f"{key} holds what is no name of a module", f"correct {key}", key) from None
        self._whole = frozenset(plain)
        forms = "\n".join(plain).translate(_NO_DIGITS).split("\n") if plain else []
        self._whole_forms = frozenset(forms)
        # Names without a layer's number may also name a part or the end of a module's name.
        self._parts = [form for form in self._whole_forms if form and ".." not in form and form[-1] != "." and form[0] != "."]
        self._places: dict[str, tuple[str, str]] = {}
        self._classes = frozenset(name for name in self._parts if name[0].isupper() and "." not in name)
        self._globs: list[re.Pattern[str]] = []
        self._regexes: list[tuple[Pattern, bool]] = []
        prefixes: list[str] = []
        for pattern in special:
            if _IS_REGEX.search(pattern):
                self._add_regex(pattern.removeprefix("re:"), key)
            elif pattern.find("*") == len(pattern) - 1:
                prefixes.append(pattern[:-1])
            else:
                name = bare(pattern)
                self._globs.append(re.compile(f"{translate(name)}|{translate(f'{name}.*')}"))
        prefixes = _bare_all(prefixes) if prefixes else []
        self._prefixes = frozenset(prefixes)
        self._prefix_forms = frozenset("\n".join(prefixes).translate(_NO_DIGITS).split("\n")) if prefixes else frozenset[str]()

    def _add_regex(self, text: str, key: str) -> None:
        try:
            compiled = Pattern(text, self._budget)
        except re.error as error:
            shown = text if len(text) <= 60 else text[:57] + "..."
            raise ConfigError(f"{key} holds {shown!r}: not a regular expression ({error})", f"correct {key}", key) from None
        # Digits outside of counts such as {2} and classes such as \d tell layers apart.
        self._regexes.append((compiled, any(c.isdigit() for c in text)))

    def __bool__(self) -> bool:
        return bool(self._whole or self._prefixes or self._globs or self._regexes)

    def mentions(self, start: str) -> bool:
        """Whether some plain name or glob starts so."""
        return any(name.startswith(start) for name in (*self._whole, *self._prefixes))

    def has_class(self, *names: str) -> bool:
        """Whether the list names one of these classes, such as `Linear`."""
        return not self._classes.isdisjoint(names)

    def match(self, prefix: str, module: str, layers: Layers) -> Layers:
        """Which of `layers` hold a module that the list names.

        The module of layer `i` is `{prefix}{i}.{module}`; outside the layers `prefix` is empty. An expert's number is `{}`.
        """
        try:
            return self._match(prefix, module, layers)
        except CostError:
            raise ConfigError(
                f"{self._key} holds patterns that take too long to match",
                f"name the modules of {self._key} more plainly",
                self._key,
            ) from None

    def _match(self, prefix: str, module: str, layers: Layers) -> Layers:
        place, place_form = self._place(prefix)
        inner = f".{module.replace('{}', '0')}" if prefix else bare(module)
        form = inner.translate(_NO_DIGITS)
        whole = f"{place_form}{form}"
        for part in self._parts:
            if part in whole and _is_part(whole, part):
                return layers
        # A star costs a glob as many steps as the name has characters.
        self._budget.spend(len(self._globs) * 8)
        if self._globs and any(g.match(f"{place}0{inner}" if prefix else inner) for g in self._globs):
            return layers
        if not prefix and inner in self._whole:
            return layers
        hits: set[int] = set()
        if prefix and self._whole:
            # The module itself, then the modules that hold it, the layer last.
            tail, tail_form = inner, form
            while True:
                if f"{place_form}{tail_form}" in self._whole_forms:
                    hits.update([i for i in layers if f"{place}{i}{tail}" in self._whole])
                if not tail:
                    break
                tail, tail_form = tail[: tail.rfind(".")], tail_form[: tail_form.rfind(".")]
        if self._prefix_forms:
            hits.update(self._by_prefix(place, place_form, inner, form, layers) if prefix else self._outside(inner, form, layers))
        for pattern, numbered in self._regexes:
            if prefix and numbered:
                hits.update(i for i in layers if i not in hits and _search(pattern, f"{place}{i}{inner}", f"{prefix}{i}{inner}"))
            elif _search(pattern, f"{place}0{inner}" if prefix else inner, f"{prefix}0{inner}" if prefix else module):
                return layers
        if not hits:
            return ()
        return layers if len(hits) == len(layers) else [i for i in layers if i in hits]

    def _place(self, prefix: str) -> tuple[str, str]:
        known = self._places.get(prefix)
        if known is None:
            place = bare(prefix)
            known = self._places[prefix] = place, place.translate(_NO_DIGITS)
        return known

    def _by_prefix(self, place: str, place_form: str, inner: str, form: str, layers: Layers) -> Layers:
        """The layers whose module starts with one of the globs that end in a star."""
        hits: list[int] = []
        whole, before = f"{place_form}{form}", len(place_form)
        for start in self._prefix_forms:
            if not whole.startswith(start):
                continue
            if len(start) > before:
                tail = inner[: _cut(inner, len(start) - before)]
                hits += [i for i in layers if f"{place}{i}{tail}" in self._prefixes]
            elif len(start) == before:
                # `layers.1*` is layer 1 and layers 10 to 19.
                hits += [i for i in layers if any(f"{place}{str(i)[:n]}" in self._prefixes for n in range(len(str(i)) + 1))]
            elif start in self._prefixes:
                return layers
        return hits

    def _outside(self, name: str, form: str, layers: Layers) -> Layers:
        """All, where a glob that ends in a star names this module outside the layers."""
        starts = (name[: _cut(name, len(start))] for start in self._prefix_forms if form.startswith(start))
        return layers if any(start in self._prefixes for start in starts) else ()


def _cut(name: str, length: int) -> int:
    """Where the name has `length` characters that are no digits before it, and no digit follows."""
    seen = 0
    for at, c in enumerate(name):
        if seen == length and not c.isdigit():
            return at
        seen += not c.isdigit()
    return len(name)


def _is_part(form: str, part: str) -> bool:
    """Whether `part` is some whole segments of the name, or its end (`gate` ends `shared_expert_gate`)."""
    return form.endswith(part) or form.startswith(f"{part}.") or f".{part}." in form


def _search(pattern: Pattern, name: str, full: str) -> bool:
    """Configs write the name with or without its wrappers."""
    return any(pattern.match(each) for each in (full, name, f"model.{name}"))
