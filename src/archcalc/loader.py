"""From a SOURCE to a normalized architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archcalc.errors import ArchcalcError, ConfigError, UnsupportedError, UsageError
from archcalc.records import NamedTuple
from archcalc.report import SourceInfo

if TYPE_CHECKING:
    from archcalc.formats.headers import Header
    from archcalc.model import Architecture
    from archcalc.sources import Source


class Loaded(NamedTuple):
    """An architecture and where its config came from; `note` is what is worth telling about the choice, or empty.

    `header` is what the headers of a checkpoint say, where that was the source, or stands in for an adapter. `overrides` are the keys that
    were set in the config with what they hold now (of a nested config only what was set), `pinned` says that the source named a
    revision, `stands_in` that another model stands in for the one that was named.
    """

    source: SourceInfo
    architecture: Architecture
    note: str = ""
    header: Header | None = None
    overrides: tuple[tuple[str, Any], ...] = ()
    pinned: bool = False
    stands_in: bool = False


def stands_for(model: str, config: bool = False) -> tuple[str, str] | None:
    """The bundled model and the storage that a checkpoint's name stands for where it is not here: a file's (`NAME-Q4_K_M.gguf`), a
    repository's of such files, whose type its name does not say, or `NAME-in-w4a16`. With `config` also a repository's that has a
    config of its own (`NAME-AWQ`), save in FP4, of which each publisher keeps other modules.

    >>> stands_for("models/Qwen3-8B-Q4_K_M.gguf"), stands_for("Qwen3-8B-in-mlx-int4"), stands_for("some-model")
    (('qwen3-8b', 'q4_k_m'), ('qwen3-8b', 'mlx-int4'), None)
    >>> stands_for("unsloth/Qwen3-8B-GGUF")
    ('qwen3-8b', '')
    """
    import os

    from archcalc.quant import check_name
    from archcalc.zoo.repacked import repacked

    if os.path.exists(os.path.expanduser(model)):
        return None
    named = repacked(model)
    if named is None or not (named.gguf or "-in-" in model or (config and "fp4" not in named.quant)):
        return None
    try:
        if named.quant:
            check_name(named.quant)
    except ArchcalcError:
        return None
    return named.entry.name, named.quant


def load_or_repacked(text: str, *, offline: bool = False, refresh: bool = False, overrides: Sequence[str] = ()) -> Loaded:
    """As `load`; where the config of a quantized repository is not to be had, the bundled model that its name says it was made of, in that
    storage, as an engine's own command takes it. The note says so. Raises what `load` raises."""
    from archcalc.errors import OfflineError

    try:
        return load(text, offline=offline, refresh=refresh, overrides=overrides)
    except OfflineError:
        from archcalc.quant import file_type_of, quantize_as
        from archcalc.quant._published import names_it

        known = stands_for(text, config=True)
        if known is None or not known[1] or file_type_of(known[1]):
            raise
        loaded = load(known[0], offline=True, overrides=overrides)
        held = loaded.architecture
        if not (held.quantization and names_it(held.quantization, known[1])):
            held = quantize_as(held, known[1])
        note = f"{text} is not here, and taken for {known[0]} in {known[1]}; its own config may keep more modules as they are"
        return loaded._replace(source=SourceInfo(text, "hub", loaded.source.format), architecture=held, note=note, stands_in=True)


class Given(str):
    """A SOURCE that was read already, by its name: what is asked of a config in memory."""

    __slots__ = ("loaded",)
    loaded: Loaded

    @classmethod
    def of(cls, loaded: Loaded) -> Given:
        made = cls(loaded.source.name)
        made.loaded = loaded
        return made


class Kept:
    """In place of a format of a command: reports are kept in `reports` and nothing is printed; an error is raised."""

    def __init__(self) -> None:
        self.reports: list[Any] = []


def load(
    text: str, *, offline: bool = False, refresh: bool = False, overrides: Sequence[str] = (), reference: bool = False
) -> Loaded:
    """Resolve `text` and parse what it names.

    `reference` has transformers build what no adapter reads.

    `overrides` are `KEY=VALUE` texts, applied to the config before parsing. A bundled model without overrides comes from its
    generated spec, which a test holds equal to a fresh parse. Raises the errors of `archcalc.errors`.
    """
    if isinstance(text, Given):
        return text.loaded
    from archcalc import sources

    source = sources.resolve(text, offline=offline, refresh=refresh)
    info = SourceInfo(source.name, source.kind, source.format, source.revision)
    if source.kind == "bundled" and not overrides:
        from archcalc import zoo

        spec = zoo.spec(source.name)
        if spec is not None:
            return _as_used(Loaded(info, spec, source.note, stands_in=source.taken), source)
    config = source.config
    if overrides:
        config = overridden(config, overrides)
    try:
        loaded = read(source, config, info, offline, reference)
        named = "@" in text or any(part in text for part in ("/tree/", "/blob/", "/resolve/", "/raw/"))
        pinned = named and source.kind in ("hub", "cache")
        changed = tuple(_changed(sources.apply_overrides({}, overrides), config).items())
        return _as_used(loaded, source)._replace(overrides=changed, pinned=pinned)
    except (ConfigError, UnsupportedError) as error:
        error.args = (f"{text}: {error.message}",)
        error.message = error.args[0]
        raise


def _as_used(loaded: Loaded, source: Source) -> Loaded:
    """With what the publisher makes of a bundled model, or of a repository that one was taken from, where no key of its config says it."""
    from archcalc import zoo

    name = source.name if source.kind == "bundled" else source.repo
    entry = zoo.find(name) if name else None
    if entry is None or not entry.use:
        return loaded
    return loaded._replace(architecture=loaded.architecture._replace(use=entry.use))


def _changed(set_: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that were set. Engines replace a dictionary such as `rope_scaling` whole, and merge nested configs."""
    return {key: value if key.endswith("_config") else config.get(key) for key, value in set_.items()}


def overridden(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the config with each `KEY=VALUE` set, in place of what the config states under another name of that key.

    Raises `UsageError` for a key that is read at another level, where setting it would change nothing.
    """
    from archcalc import formats, sources
    from archcalc.arch import adapter_name, schema_of

    changed = sources.apply_overrides(config, overrides)
    name = adapter_name(changed) if formats.format_of(changed) == formats.HF else None
    if name is None:
        return changed
    from archcalc.arch import _levels

    schema = schema_of(name)
    for override in overrides:
        key, _, value = override.partition("=")
        head, _, rest = key.strip().partition(".")
        if right := _levels.place(schema, config, head):
            right = f"{right}.{rest}" if rest else right
            raise UsageError(f"--set {override}: {name} reads {head} in {right.split('.')[0]}", f"--set {right}={value}")
        if rest and head in _levels.LANGUAGE and head not in config and _levels.flat(schema, config, head):
            raise UsageError(f"--set {override}: this {name} config has no {head}", f"--set {rest}={value}")
    keys = [tuple(step.strip() for step in override.partition("=")[0].split(".")) for override in overrides]
    return _levels.renamed(schema, changed, keys)


def read(source: Source, config: Mapping[str, Any], info: SourceInfo, offline: bool = False, reference: bool = False) -> Loaded:
    """The architecture of a config, whatever format it is in; `source` says where the headers of its weights are.

    `reference` has transformers build what no adapter reads.

    Where no adapter reads it, what the headers hold is counted; without headers the usual keys are read, as a guess.
    """
    from archcalc import formats
    from archcalc.arch import adapter_name, parse

    header = source.header
    reading = formats.read(config)
    if adapter_name(reading.config) is None:
        if reference:
            from archcalc import reference as built

            return Loaded(info, built.architecture(reading.config), source.note, header)
        counted = _counted(source, reading.config, offline)
        if counted is not None:
            return Loaded(info, counted[1], source.note, counted[0])
    architecture = parse(reading.config)
    if reading.notes or not reading.context:
        notes, facts = (*architecture.notes, *reading.notes), architecture.facts
        if not reading.context:
            facts = facts._replace(context_tokens=None)
            architecture = architecture._replace(stretched=None, lengths=None)
        architecture = architecture._replace(notes=notes, facts=facts)
    if header is not None and header.format == "gguf":
        architecture = _as_held(architecture, header)
    return Loaded(info, architecture, source.note, header)


def _as_held(architecture: Architecture, header: Header) -> Architecture:
    """What a GGUF file's form decides beside its config."""
    from archcalc.formats.gguf_config import whole_latents

    if not whole_latents(header):
        return architecture
    note = (
        "this file has no key_length_mla: llama.cpp caches every head's keys and values, and not the latent, "
        "until the model is converted again"
    )
    return architecture._replace(whole_latents=True, notes=(*architecture.notes, note))


def _counted(source: Source, config: Mapping[str, Any], offline: bool) -> tuple[Header, Architecture] | None:
    """What the headers at hand amount to, or None where there are none."""
    from archcalc.formats import counted

    model_type = config.get("model_type")
    why = f"no adapter reads model_type {model_type!r}" if model_type else "no config tells the model"
    if source.header is not None:
        if source.header.format == "gguf":
            why = f"no adapter reads GGUF's architecture {source.header.metadata.get('general.architecture')!r}"
        return source.header, counted.architecture(source.header, config, why)
    try:
        header = headers_of(source, offline)
        return (header, counted.architecture(header, config, why)) if header is not None else None
    except ArchcalcError:
        return None


def headers_of(source: Source, offline: bool = False) -> Header | None:
    """The headers of the weights that lie beside a config, on disk or on the Hub; None where there is no such place."""
    if source.header is not None:
        return source.header
    if source.kind == "file" and source.path is not None:
        import os

        from archcalc.formats import headers

        folder, name = os.path.split(source.path)
        # A config by any other name may lie beside another model's weights.
        return headers.read(folder or ".") if name in ("config.json", "params.json") else None
    if source.repo is not None:
        from archcalc import hub

        return hub.headers(source.repo, source.revision, offline=offline)
    return None
