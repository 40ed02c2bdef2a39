"""Keys of a text model that stand outside the config they belong to.

Configs from before `text_config` are flat, and so are trimmed copies and native ones. Where transformers reads a flat config it moves the
text model's keys below `text_config`; where it does not, it builds its class's defaults, which is not the model that the file tells of.
Here such a key is read wherever it stands, unless the nested config states it itself: that one counts, as in the reference.

Source: transformers 5.24, `__post_init__` of Qwen2VLConfig, Glm4vConfig, PaddleOCRVLConfig and others ("Hub configs are saved as flat
dicts"), and of Step3p7Config and LlavaConfig, which take the defaults.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import AliasChoices

from archcalc.arch._schema import BASE, ConfigSchema, Nested
from archcalc.errors import ConfigError
from archcalc.model import TextModel
from archcalc.records import NamedTuple

LANGUAGE = ("text_config", "llm_config", "language_config", "llm_cfg", "thinker_config", "vlm_config")
"""The fields that hold a composite's text model."""
_ROPE = frozenset(
    """
    rope_theta rope_scaling rope_parameters partial_rotary_factor rope_local_base_freq original_max_position_embeddings rotary_dim
    rotary_pct qk_rope_head_dim
    """.split()
)

"""What the tables of positions are read off, whether the schema of the type names it or not."""
_DICTS = frozenset({"rope_scaling", "rope_parameters"})
_DTYPE = frozenset({"dtype", "torch_dtype"})


class Lowered(NamedTuple):
    """A config with its text model's keys in their place. `moved` are those that stood outside, `into` the place, `mixed` whether that
    states anything itself."""

    config: dict[str, Any]
    moved: tuple[str, ...] = ()
    into: str = ""
    mixed: bool = False


def language_of(schema: type[ConfigSchema]) -> str:
    """The field that holds the text model, or an empty string."""
    return next((name for name in LANGUAGE if name in schema.model_fields), "")


def classes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a config names for the whole model."""
    named = config.get("architectures")
    return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list) else ()


def autos(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The Auto classes of models that the config's `auto_map` names code beside the checkpoint for."""
    given = config.get("auto_map")
    return tuple(key for key in given if isinstance(key, str) and key.startswith("AutoModel")) if isinstance(given, Mapping) else ()


def saved(config: Mapping[str, Any]) -> bool:
    """Whether the config, or a part of it, states the version of the library that wrote it."""
    mark = "transformers_version"
    return mark in config or any(isinstance(inner, Mapping) and mark in inner for inner in config.values())


def text_model(config: Mapping[str, Any]) -> TextModel | None:
    """What the config says of the innermost text model that it holds."""
    inner = next((config[name] for name in LANGUAGE if isinstance(config.get(name), Mapping)), None)
    if inner is None:
        return None
    name, classes = inner.get("model_type"), inner.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    own = TextModel(name, first if isinstance(first, str) else None) if isinstance(name, str) else None
    return text_model(inner) or own


def within(schema: type[ConfigSchema], key: str, inner: Mapping[str, Any]) -> type[ConfigSchema] | None:
    """The schema that reads `inner` below `key`, or None where no adapter does."""
    field = schema.model_fields[key]
    for step in field.metadata:
        if isinstance(parse := getattr(step, "func", None), Nested):
            return parse.schema_for(inner)
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, ConfigSchema)), None)


@cache
def names(schema: type[ConfigSchema]) -> Mapping[str, frozenset[str]]:
    """Each key that a schema reads, with all the names of its field."""
    found: dict[str, frozenset[str]] = {}
    for name, field in schema.model_fields.items():
        alias = field.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else [alias] if isinstance(alias, str) else []
        further = (other for other, key in schema.other_names.items() if key == name)
        group = frozenset({name, *map(str, others), *further})
        found.update(dict.fromkeys(group, group))
    return found


def lowered(schema: type[ConfigSchema], config: Mapping[str, Any]) -> Lowered:
    """The config with the text model's keys that stand outside moved to where they belong."""
    config = schema.newest(dict(config))
    field = language_of(schema)
    inner = config.get(field)
    if not field or not schema.lowers or not (inner is None or isinstance(inner, Mapping)):
        return Lowered(config)
    text = within(schema, field, inner or {})
    if text is None:
        return Lowered(config)
    own = {*names(schema), *schema.inert_keys, *BASE}
    stated = dict(inner or {})
    moved = {key: config[key] for key in config if key not in own and config[key] is not None and reads(text, key, stated)}
    if not moved and inner is None:
        return Lowered(config)
    below = lowered(text, {**({} if inner is not None else _absent(schema, field)), **stated, **moved})
    rest = {key: value for key, value in config.items() if key not in moved}
    told = tuple(key for key in moved if key not in _ROPE)
    into = f"{field}.{below.into}" if moved and below.into and not told else field
    return Lowered({**rest, field: below.config}, told, into, bool(stated.keys() - BASE))


def reads(schema: type[ConfigSchema], key: str, stated: Mapping[str, Any]) -> bool:
    """Whether a text model reads a key, and its config does not state it under any name."""
    if group := names(schema).get(key):
        return not group & stated.keys()
    if key in _ROPE:
        rope = _DICTS if key in _DICTS else {key}
        return not rope & stated.keys() and not any(isinstance(stated.get(name), Mapping) for name in LANGUAGE)
    field = language_of(schema)
    inner = stated.get(field)
    text = within(schema, field, inner or {}) if field and isinstance(inner, Mapping | None) else None
    return text is not None and reads(text, key, inner or {})


def place(schema: type[ConfigSchema], config: Mapping[str, Any], key: str) -> str:
    """Where the text model's config states `key`, as a dotted key; empty where the outer model reads it, or nobody states it."""
    field = language_of(schema)
    inner = config.get(field)
    if not field or not isinstance(inner, Mapping) or key in names(schema) or key in BASE:
        return ""
    text = within(schema, field, inner)
    if text is None:
        return ""
    group = names(text).get(key, frozenset({key}))
    stated = next((name for name in sorted(group) if name in inner), "")
    below = stated or place(text, inner, key)
    return f"{field}.{below}" if below else ""


def renamed(schema: type[ConfigSchema], config: Mapping[str, Any], keys: Collection[tuple[str, ...]]) -> dict[str, Any]:
    """The config without the other names of each key that was set, one of which would be read in its place."""
    groups = {**names(schema), **dict.fromkeys(_DTYPE, _DTYPE)}
    heads = {steps[0] for steps in keys}
    dropped = {other for steps in keys if len(steps) == 1 for other in groups.get(steps[0], ())} - heads
    out = {key: value for key, value in config.items() if key not in dropped}
    for head in heads:
        inner = out.get(head)
        below = [steps[1:] for steps in keys if steps[0] == head and len(steps) > 1]
        part = within(schema, head, inner) if below and head in schema.model_fields and isinstance(inner, Mapping) else None
        if part is not None and isinstance(inner, Mapping):
            out[head] = renamed(part, inner, below)
    return out


def flat(schema: type[ConfigSchema], config: Mapping[str, Any], field: str) -> bool:
    """Whether a config without `field` is of a form or a type that states the text model's keys beside the others."""
    return field not in schema.model_fields or field in schema.newest(dict(config))


def _absent(schema: type[ConfigSchema], field: str) -> Mapping[str, Any]:
    """What an absent nested config stands for."""
    parsers = (getattr(step, "func", None) for step in schema.model_fields[field].metadata)
    return next((parse.absent or {} for parse in parsers if isinstance(parse, Nested)), {})


def stray(schema: ConfigSchema) -> Iterator[str]:
    """Keys beside a nested model that it would read and does not state, though they are taken to change nothing elsewhere."""
    own = {*names(type(schema)), *type(schema).inert_keys, *BASE}
    for part in (getattr(schema, name) for name in type(schema).model_fields):
        if isinstance(part, ConfigSchema) and type(part).language:
            known = names(type(part))
            for key in schema.model_extra or ():
                if key not in own and key in known and not known[key] & part.model_fields_set:
                    yield key


def copies(schema: ConfigSchema) -> Iterator[str]:
    """The keys that a composite's text model states itself, so that what stands outside is not read, and those that it ignores."""
    text = getattr(schema, language_of(type(schema)) or "model_extra", None)
    if isinstance(text, ConfigSchema):
        for key in text.model_fields_set:
            yield from names(type(text)).get(key, ())
        yield from text.model_extra or ()
        yield from type(text).inert_keys
        yield from copies(text)


def located(schema: ConfigSchema, error: ConfigError) -> ConfigError:
    """The error, with the part of the config that it speaks of, where just one part has the key with the value that is told."""
    key = error.key
    if not key or "." in key or key in type(schema).model_fields:
        return error
    places = [path for path, part in _parts(schema) if f"{key} ({getattr(part, key, None)})" in error.message]
    if len(places) != 1:
        return error
    return ConfigError(f"{places[0]}: {error.message}", error.hint, f"{places[0]}.{key}")


def _parts(schema: ConfigSchema, where: str = "") -> Iterator[tuple[str, ConfigSchema]]:
    for name in type(schema).model_fields:
        part = getattr(schema, name)
        if isinstance(part, ConfigSchema):
            yield f"{where}{name}", part
            yield from _parts(part, f"{where}{name}.")
