"""What an engine serves: classes of models and methods of quantization, as its own registry lists them, release by release.

The lists are each engine's `served.json`, which `scripts/build_served.py` reads out of the engine's source.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from archcalc.engines._version import leads_to, ordered, parse
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture
from archcalc.records import NamedTuple

_HERE = os.path.dirname(__file__)


class Served(NamedTuple):
    """`classes` and `methods` map each name to the releases that list it, or, of an engine with one release, to what it is read as.

    `gone` are classes with the last release that had them, as the newest tells it, `plugins` those that a package of their own serves.
    `sets` are further lists of classes that the engine's newest release keeps, by what they are for.
    """

    source: str
    releases: tuple[str, ...]
    classes: Mapping[str, str]
    methods: Mapping[str, str] = {}
    gone: Mapping[str, str] = {}
    plugins: Mapping[str, str] = {}
    sets: Mapping[str, tuple[str, ...]] = {}


class Span(NamedTuple):
    """The releases that list a name: from the first up to the last; `last` is None where the newest still does."""

    first: str
    last: str | None

    def holds(self, place: tuple[tuple[int, ...], int]) -> bool:
        return _place(self.first) <= place and (self.last is None or place <= _place(self.last))

    def __str__(self) -> str:
        if self.first == self.last:
            return self.first
        return f"{self.first} and later" if self.last is None else f"{self.first} to {self.last}"


@cache
def served(folder: str) -> Served:
    """The lists of one engine, by its folder's name."""
    with open(os.path.join(_HERE, folder, "served.json"), encoding="utf-8") as file:
        data = json.load(file)
    return Served(**{**data, "releases": tuple(data["releases"])})


def classes_of(architecture: Architecture) -> tuple[str, ...]:
    """The classes that a config names, else those that transformers builds of its model type, or of the model that it is the text part of;
    empty where neither is known."""
    if architecture.classes:
        return architecture.classes
    built, own = served("transformers").classes, architecture.model_type
    return tuple(dict.fromkeys(built[name] for name in (own, own.removesuffix("_text")) if name in built))


def built_of(model_type: str) -> str:
    """The class that transformers builds of a model type; empty where it has none."""
    return served("transformers").classes.get(model_type, "")


class Configs(NamedTuple):
    """The types of config that releases have a class of their own for, each with those releases, and as `library` those that take
    transformers 5; of transformers the types that 5 has and 4 has not.

    `configs.json`, which `scripts/build_served.py --configs` reads out of the source."""

    source: str
    releases: tuple[str, ...]
    types: Mapping[str, str]
    library: Mapping[str, str] = {}


@cache
def configs(folder: str) -> Configs:
    """The types of one engine, by its folder's name."""
    with open(os.path.join(_HERE, folder, "configs.json"), encoding="utf-8") as file:
        data = json.load(file)
    return Configs(**{**data, "releases": tuple(data["releases"])})


@cache
def _types(folder: str) -> frozenset[str]:
    return frozenset(served(folder).sets["configs"])


def needs_code(folder: str, architecture: Architecture, title: str = "", version: str | None = None) -> bool:
    """Whether the class of a model's config is code beside the checkpoint: neither the engine's release nor transformers has one for the
    type. Engines run such code only where they are told to.

    Source: vLLM 0.6.0 to 0.33, transformers_utils/config.py (`_CONFIG_REGISTRY`, `HFConfigParser.parse`); SGLang 0.4.0 to 0.5.23,
    srt/utils/hf_transformers/config.py (srt/hf_transformers_utils.py before), srt/configs.
    """
    if folder != "transformers":
        rows, own = configs(folder), architecture.model_type
        if listed(rows.types.get(own), title, rows.releases, version):
            return False
    return architecture.model_type not in _types("transformers")


def needs_newer(folder: str, architecture: Architecture, title: str, version: str | None) -> bool:
    """Whether the release takes transformers 4, whose last release has no class for the type that 5 has: the code beside the checkpoint
    runs then, or a transformers that the release was not made for (vLLM up to 0.19.0, requirements; SGLang up to 0.5.9, its package's)."""
    rows, own = configs(folder), architecture.model_type
    if listed(rows.types.get(own), title, rows.releases, version) or own not in configs("transformers").types:
        return False
    return not listed(rows.library["transformers 5"], title, rows.releases, version)


def newer_told(folder: str, title: str, architecture: Architecture, version: str | None, trusts: bool) -> Iterator[str]:
    """A note for a command of such a release."""
    if not trusts and needs_newer(folder, architecture, title, version):
        yield (
            f"{title} {version} takes transformers 4, which has no class for {architecture.model_type}: it needs {TRUST}, or another"
            " transformers"
        )


TRUST = "--trust-remote-code"


def code_of(folder: str, title: str, architecture: Architecture, version: str | None, *, tokens: bool = True) -> str:
    """What of a checkpoint is code of its repository that an engine has to be told to run; empty where nothing is. `tokens` is whether the
    engine reads the tokenizer beside the model.

    An engine may have the class of a config that transformers lacks, and still reads the tokenizer by transformers' Auto class, which has
    none for that type: where the publisher's config names code beside it, the tokenizer is taken to be there too (vLLM 0.33,
    tokenizers/hf.py `CachedHfTokenizer.from_pretrained`; SGLang 0.5.23, srt/utils/hf_transformers/tokenizer.py; transformers 5.24,
    models/auto/tokenization_auto.py).
    """
    if needs_code(folder, architecture, title, version):
        return "the class of its config"
    if tokens and architecture.coded and needs_code("transformers", architecture):
        return "its tokenizer, as transformers has none for this type,"
    return ""


def untrusted(folder: str, title: str, architecture: Architecture, version: str | None, *, tokens: bool = True) -> str | None:
    """Why an engine that is not told to run a checkpoint's code does not start; None where it needs none."""
    what = code_of(folder, title, architecture, version, tokens=tokens)
    return f"{what} is code of its repository, which {title} runs only with {TRUST}" if what else None


def is_one_of(architecture: Architecture, classes: Collection[str]) -> bool:
    """Whether the model is of one of these classes."""
    return any(name in classes for name in classes_of(architecture))


class Stages(NamedTuple):
    """The classes that releases have and run in no pipeline stages, each with those releases among the ones that were read, and those
    whose embedding (`embeds`), or embedding and logits (`ends`), have adapters.

    `stages.json`, which `scripts/build_served.py --stages` reads out of the engine's source."""

    source: str
    releases: tuple[str, ...]
    unstaged: Mapping[str, str]
    embeds: Mapping[str, str] = {}
    ends: Mapping[str, str] = {}


@cache
def stages(folder: str) -> Stages:
    """The lists of one engine, by its folder's name."""
    with open(os.path.join(_HERE, folder, "stages.json"), encoding="utf-8") as file:
        data = json.load(file)
    return Stages(data["source"], tuple(data["releases"]), data["unstaged"], data.get("embeds", {}), data.get("ends", {}))


def unstaged(folder: str, title: str, architecture: Architecture, version: str | None) -> str:
    """Why an engine's release runs no pipeline stages of a model; empty where it does, and of a release older than all that were read.
    What lies between two of them is as the earlier one, and a class that this has not is taken to run so.

    Source: vLLM 0.6.0 to 0.33, config/model.py `verify_with_parallel_config` (config.py before), models/interfaces.py `supports_pp`; SGLang
    0.4.0 to 0.5.23, srt/model_executor/model_runner.py (`pp_proxy_tensors`)."""
    rows, known = stages(folder), served(folder).classes
    if version is not None and parse(title, version).numbers < _numbers(rows.releases[0]):
        return ""
    named = [name for name in classes_of(architecture) if name in known]
    if not named or not all(listed(rows.unstaged.get(name), title, rows.releases, version) for name in named):
        return ""
    return f"{title} {version or rows.releases[-1]} has no pipeline stages of {named[0]}"


def spans(text: str) -> tuple[Span, ...]:
    """
    >>> spans("0.8.3..0.8.3 0.10.1")
    (Span(first='0.8.3', last='0.8.3'), Span(first='0.10.1', last=None))
    """
    found = []
    for each in text.split():
        first, _, last = each.partition("..")
        found.append(Span(first, last or None))
    return tuple(found)


def listed(text: str | None, engine: str, releases: Sequence[str], version: str | None) -> bool:
    """Whether the release lists a name; the newest where none is named. What lies between two that were read is as the earlier one."""
    if text is None:
        return False
    if version is None:
        return spans(text)[-1].last is None
    places = [_place(release) for release in releases]
    after = bisect_right(places, ordered(parse(engine, version), releases))
    return any(span.holds(places[max(after - 1, 0)]) for span in spans(text))


class Platforms(NamedTuple):
    """The methods of quantization that lists of an engine hold, release by release: those that it takes on a platform, by the vendor, and
    those that it takes after a flag alone (`deprecated`). `*` is of the releases that have the list.

    `platforms.json`, which `scripts/build_platforms.py` reads out of the engine's source."""

    title: str
    releases: tuple[str, ...]
    lists: Mapping[str, Mapping[str, str]]

    def holds(self, name: str, methods: Collection[str], version: str | None) -> bool | None:
        """Whether the release's list of that name holds one of these methods; None where the release has no such list."""
        found = self.lists.get(name, {})
        if not methods or not listed(found.get("*"), self.title, self.releases, version):
            return None
        return any(listed(found.get(method), self.title, self.releases, version) for method in methods)


@cache
def platforms(folder: str, title: str) -> Platforms:
    """The platforms of one engine, by its folder's name."""
    with open(os.path.join(_HERE, folder, "platforms.json"), encoding="utf-8") as file:
        data = json.load(file)
    del data["source"]
    return Platforms(title, tuple(data.pop("releases")), data)


class Registry(NamedTuple):
    """An engine whose releases keep a registry of classes.

    `suffixes` are those of classes that stand for one another: a class for another task is made of the one that generates, and one that
    generates (`generate`) of none that does not. `backend` is the
    release from which models without a class of their own run on transformers' own, `converts` that from which a class for another task is
    made by its name. `hint` is what to try where none serves a model,
    `overrides` the option that changes what a config says.
    """

    title: str
    folder: str
    newest: str
    releases: tuple[str, ...]
    suffixes: tuple[str, ...] = ()
    backend: str = ""
    asks_version: bool = False
    hint: str = "try --engine transformers"
    overrides: str = "--hf-overrides"
    generate: tuple[str, ...] = ()
    converts: str = ""


def check(registry: Registry, architecture: Architecture, version: str | None, *, planned: bool = False) -> tuple[str, ...]:
    """What is worth telling of how a release serves a model's class. Raises `UnsupportedError` where it does not; where a cache is only
    `planned`, a class that a later release brought is told of, as the release's planner can be asked for it all the same."""
    if architecture.unserved:
        raise UnsupportedError(
            f"{registry.title} does not serve {architecture.model_type}: {architecture.unserved}", "try --engine transformers"
        )
    names, lists = classes_of(architecture), served(registry.folder)
    if not names and not architecture.crosses:
        return (f"{registry.title}'s registry was not asked: the class of {architecture.model_type} is not known",)
    if any(_lists(registry, name, version) for name in names):
        return ()
    alike = [(name, other) for name in names for other in stand_ins(registry, name) if other in lists.classes]
    newer = version is None or leads_to(parse(registry.title, version), registry.releases) >= _numbers(registry.converts or "0")
    if registry.converts and newer and any(_lists(registry, other, version) for _, other in alike):
        # Whatever an older release had a class of its own for.
        return ()
    this = f"{registry.title} {version or registry.newest}"
    for name in names:
        if found := lists.classes.get(name):
            return _other_release(registry, name, found, version, planned)
        if name in lists.gone:
            last = lists.gone[name]
            raise UnsupportedError(f"{this} has no {name}: releases up to {last} have it", f"--engine-version {last}")
        if name in lists.plugins:
            raise UnsupportedError(f"{this} has no {name}: a plugin serves it", lists.plugins[name])
    if any(_lists(registry, other, version) for _, other in alike):
        return ()
    for name, other in alike:
        return _other_release(registry, name, lists.classes[other], version, planned)
    return _backend(registry, architecture, names, version)


def stand_ins(registry: Registry, name: str) -> Iterator[str]:
    """The classes that a class is made of where it has none of its own, for another task.

    One that only pools is not run to generate (vLLM 0.33, config/model.py: "This model does not support `--runner generate`")."""
    for suffix in registry.suffixes:
        stem = name.removesuffix(suffix)
        if stem != name:
            yield from (stem + other for other in (registry.generate if suffix in registry.generate else registry.suffixes))


def _lists(registry: Registry, name: str, version: str | None) -> bool:
    return listed(served(registry.folder).classes.get(name), registry.title, registry.releases, version)


def _backend(registry: Registry, architecture: Architecture, names: tuple[str, ...], version: str | None) -> tuple[str, ...]:
    """What runs on transformers' own class: attention, and nothing that keeps a state or reads an encoder."""
    name = names[0] if names else f"class for {architecture.model_type}"
    held = {cache.kind for s in architecture.stacks if s.part == "decoder" for layer in s.kinds for cache in layer.caches}
    if architecture.crosses:
        what = f"{architecture.model_type}, whose decoder reads an encoder's output"
    elif "state" in held:
        what = f"the recurrent layers of {architecture.model_type}"
    elif not registry.backend or (version is not None and parse(registry.title, version).numbers < _numbers(registry.backend)):
        what = architecture.model_type
    elif not architecture.coded and not _built(names):
        return _nowhere(registry, architecture, name, version)
    else:
        return (f"{registry.title} has no {name} of its own: it starts if its Transformers backend takes the model",)
    raise UnsupportedError(f"{registry.title} has no code for {what}: no release read has {name}", registry.hint)


@cache
def _stems() -> frozenset[str]:
    return frozenset(map(_stem, served("transformers").classes.values()))


def _stem(name: str) -> str:
    """The part of a class's name that all classes of one model begin with.

    >>> _stem("Qwen3ForCausalLM"), _stem("CLIPTextModelWithProjection"), _stem("T5EncoderModel")
    ('Qwen3', 'CLIP', 'T5')
    """
    return _TASK.sub("", name)


_TASK = re.compile(r"(For[A-Z]\w*|(Text|Vision|Audio|Encoder|Decoder|LMHead|DoubleHeads)*Model([A-Z]\w*)?)$")


def _built(names: Collection[str]) -> bool:
    """Whether transformers has a class of one of these names, as far as the classes that it makes by itself tell."""
    return not names or any(_stem(name) in _stems() for name in names)


def _stand_in(registry: Registry, architecture: Architecture, name: str, version: str | None) -> str | None:
    """A class of the release that a config may name in place of one that is nowhere: the one that transformers makes of the model's type,
    or one with a longer name."""
    lists, task = served(registry.folder).classes, _TASK.search(name)
    longer = sorted(other for other in lists if _stem(other).startswith(_stem(name)) and task and other.endswith(task[0]))
    return next((other for other in (built_of(architecture.model_type), *longer) if _lists(registry, other, version)), None)


def renamed(registry: Registry, architecture: Architecture, version: str | None) -> str | None:
    """The class that a config has to be told to name, as its own is nowhere; None where it needs no such word."""
    names, lists = classes_of(architecture), served(registry.folder)
    if not names or architecture.crosses or architecture.coded or _built(names):
        return None
    stems = {name.removesuffix(suffix) + other for name in names for suffix in registry.suffixes for other in registry.suffixes}
    if any(name in lists.classes or name in lists.gone or name in lists.plugins for name in (*names, *stems)):
        return None
    return _stand_in(registry, architecture, names[0], version)


def misnamed(registry: Registry, architecture: Architecture, version: str | None) -> str | None:
    """Why a command that leaves the config as it is does not start. Of a config that no library wrote it is not known whether the engine
    reads the same: carriers leave `auto_map` out, and put names of their own in; a note tells of it (`check`)."""
    known = renamed(registry, architecture, version)
    if known is None or not architecture.saved:
        return None
    return f"{registry.title} has no {classes_of(architecture)[0]}, and {known}, which {way_to_name(registry, known)} names"


def way_to_name(registry: Registry, known: str) -> str:
    return f'{registry.overrides} \'{{"architectures": ["{known}"]}}\''


def _nowhere(registry: Registry, architecture: Architecture, name: str, version: str | None) -> tuple[str, ...]:
    """A class that neither the engine nor transformers has, without code beside the checkpoint. Engines do not start on it; where they
    have the class that transformers makes of the model's type, or one with a longer name, the config can be told to name that."""
    known = _stand_in(registry, architecture, name, version)
    told = f"neither {registry.title} nor transformers has {name}, and the config's auto_map names no code for it"
    if known:
        part = "" if architecture.saved else "; no library wrote this config, so what was published may name another"
        return (f"{told}: {registry.title} has {known}, which {way_to_name(registry, known)} names{part}",)
    raise UnsupportedError(f"{told}: it does not start", "its publisher's own code runs it")


def _other_release(registry: Registry, name: str, found: str, version: str | None, planned: bool) -> tuple[str, ...]:
    """A release without a class that others have."""
    runs = spans(found)
    last, which = runs[-1].last, " and ".join(map(str, runs))
    hint = f"--engine-version {last or runs[-1].first}" + ("" if last else " or newer")
    said = f"{registry.title} {version or registry.newest} has no {name}: {which} {'have' if ' ' in which else 'has'} it"
    if version is not None and leads_to(parse(registry.title, version), registry.releases) not in map(_numbers, registry.releases):
        return (f"{said}; {version} is no release, so what it was built of is not known",)
    if planned and version is not None and parse(registry.title, version).numbers < _numbers(runs[0].first):
        return (f"{said}. What is shown is how its planner would lay the model out",)
    raise UnsupportedError(said, hint if registry.asks_version else registry.hint)


@cache
def _place(release: str) -> tuple[tuple[int, ...], int]:
    return ordered(parse("the engine", release))


def _numbers(release: str) -> tuple[int, ...]:
    return parse("the engine", release).numbers
