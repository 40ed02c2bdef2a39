"""What all config schemas share: number types, dtypes, positions, the keys that change no figure, and error messages.

Source: transformers 5.23, configuration_utils.py (the keys that every config may have) and modeling_rope_utils.py (scalings).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from archcalc.arch._computes import USUAL, Computes
from archcalc.arch._inert import BUT, INERT, INERT_AT, INERT_READ_BY, of_a_kind, says_nothing
from archcalc.arch._within import CLASSES
from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Architecture, Encoder, Facts, Group, Outcome, Position, Stack, Status, Tensor
from archcalc.records import NamedTuple

Size = Annotated[int, Field(strict=True, ge=1, le=2**28)]
"""A width or count that must be there: 1 to 2^28, far beyond any model, so that an absurd number is an error."""
Count = Annotated[int, Field(strict=True, ge=0, le=2**28)]
Layers = Annotated[int, Field(strict=True, ge=1, le=10_000)]
"""What is built one by one: as many as any model has, so that an absurd number is an error at once."""
Few = Annotated[int, Field(strict=True, ge=0, le=10_000)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=2**40)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
StateDtype = Literal["float32", "bfloat16", "float16"]
"""What a config may ask serving engines to keep a recurrent state in (`mamba_ssm_dtype`, `mamba_ssm_cache_dtype`)."""
STATE_DTYPES: Mapping[str | None, str | None] = {None: None, "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}

_DTYPES = {
    "float32": "F32", "float": "F32", "fp32": "F32", "float64": "F64", "double": "F64",
    "bfloat16": "BF16", "bf16": "BF16", "float16": "F16", "half": "F16", "fp16": "F16",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip

BASE = frozenset(
    """
    model_type architectures dtype torch_dtype auto_map quantization_config compression_config transformers_version _name_or_path
    id2label label2id num_labels problem_type is_encoder_decoder is_decoder add_cross_attention chunk_size_feed_forward
    """.split()
)
"""What every config may state of itself, nested or not."""

WIDE_HEADS = frozenset(
    """
    afmoe axk2 cohere2 cohere_compass_text cosmos3_edge_text cwm deepseek_v3 deepseek_v32 dory dots1 dots3_note_text exaone4 glm glm4
    glm4_moe glm5_next_text glm_moe_dsa gpt_oss hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl_text hy_v4 hy_v4_vl_text lara_mini
    longcat_flash minimax_m2 ministral mistral4 mistral_large4_text molmo2_text muse_glimmer_assistant neomme qwen2_5_omni_talker qwen3
    qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next qwen3_vl_text qwen4_exp_text recurrent_gemma sarvam_moe voxtral_realtime_encoder
    """.split()
)
"""Types that transformers 5.24 does not build where `head_dim` is null: their config declares it an integer, or their attention takes it as
it is. Left out, it has a default. Other types divide the width among the heads."""

S = TypeVar("S", bound="ConfigSchema")


class ConfigSchema(BaseModel):
    """The base of every adapter's schema.

    Types are strict: a number written as a string is an error that names its key. Keys that a schema does not name are kept,
    and reported unless they cannot change a figure: `inert_keys` are those that the reference implementation of this type
    ignores, with a dot those of a part (`text_config.use_resampler`). `core_keys` are the keys that a published config.json of this
    type always states; at the top level they are required even where the reference implementation has a default. `other_names` are
    further names of fields (the reference's `attribute_map`). `fp32_modules` are the names, or their ends, of modules that the
    reference keeps in float32 in a float16 model (its class's `_keep_in_fp32_modules`).
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, protected_namespaces=(), populate_by_name=True, allow_inf_nan=False, defer_build=True
    )

    # The type that this is the adapter of: what its file is called, or its class in another's file (`_within`); written out where the
    # reference writes it otherwise.
    name: ClassVar[str]
    # What the tensors of the type's own class are named below; inside another model they stand elsewhere.
    prefix: ClassVar[str] = "model"
    core_keys: ClassVar[tuple[str, ...]] = ()
    inert_keys: ClassVar[tuple[str, ...]] = ()
    # Keys that the reference ignores, and of which the type tells what a value of `BUT` means.
    told_keys: ClassVar[tuple[str, ...]] = ()
    other_names: ClassVar[Mapping[str, str]] = {}
    fp32_modules: ClassVar[tuple[str, ...]] = ()
    # Whether the type says itself what stands where the head does; elsewhere the class that `architectures` names decides (`_heads`).
    own_heads: ClassVar[bool] = False
    # Whether the reference's mask is one that `is_causal` turns to both ways (transformers 5.24, masking_utils.py `create_causal_mask`).
    turns: ClassVar[bool] = False
    # What its decoder makes where that is no text.
    outcome: ClassVar[Outcome] = ""
    # Whether it describes a model of tokens, whose keys may stand outside it: towers say no.
    language: ClassVar[bool] = True
    # Whether keys of its text model that stand beside it are that model's (`_levels`). Where another part is as much of it, such a key
    # is neither's, as in the reference, and is named.
    lowers: ClassVar[bool] = True

    def sees_both_ways(self) -> bool:
        """Whether the config turns a decoder's layers to see both ways."""
        return self.turns and (self.model_extra or {}).get("is_causal") is False

    def sees_images_whole(self) -> bool:
        """Whether the config has the tokens of an image see each other."""
        return False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in vars(cls):
            file = cls.__module__.rpartition(".")[2]
            cls.name = CLASSES.get((file, cls.__name__), file)

    @model_validator(mode="before")
    @classmethod
    def _renewed(cls, config: Any) -> Any:
        if not isinstance(config, dict):
            return config
        found = cls.newest(config)
        if "head_dim" in found and found["head_dim"] is None and cls.name in WIDE_HEADS:
            raise ConfigError(
                f"head_dim is null: transformers does not build {cls.name} so",
                "give the width of a head, or leave the key out",
                "head_dim",
            )
        lacking = {
            key: found[name] for name, key in cls.other_names.items() if found.get(key) is None and found.get(name) is not None
        }
        return {**found, **lacking} if lacking else found

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The config as the type's newest form states it: for types whose earlier configs have another form."""
        return config

    def architecture(self, prefix: str) -> Architecture:
        """The normalized spec, its decoder's tensors named below `prefix`."""
        raise UnsupportedError(
            f"{type_of(self)} is the type of a part of a model, such as a tower, and not of a model",
            "give the config of the whole model: it holds this one, and the figures of the part are among its own",
        )

    def standalone(self) -> Architecture:
        """The spec of the type's own class."""
        return self.architecture(self.prefix)

    def as_decoder(self) -> "ConfigSchema":
        """The config of the language model that an encoder beside it is given: of a type with an encoder of its own, the decoder alone."""
        return self

    def computes(self) -> Computes:
        """What the reference implementation computes in another way than most."""
        return USUAL

    def encoders(self) -> tuple[Encoder, ...]:
        """What the towers below this config compute over their largest inputs, of those where that is known."""
        values = (getattr(self, key) for key in type(self).model_fields)
        return tuple(encoder for value in values if isinstance(value, ConfigSchema) for encoder in value.encoders())


def type_of(schema: ConfigSchema) -> str:
    """The adapter's name, as `model_types` has it."""
    return re.sub(r"[-.]", "_", schema.name).lower()


class TowerSchema(ConfigSchema):
    """The base of schemas that describe a vision or audio tower."""

    language = False
    # What stands behind a tower is `head_of`'s to say.
    own_heads = True
    # Whether the reference's class of the tower alone has the tensors of `tower`, and no more.
    whole: ClassVar[bool] = True
    # Whether its norms are batch norms, which a model that it is the backbone of may freeze.
    batch_norms: ClassVar[bool] = False
    # What it is, where it is the whole model that a config describes.
    alone: ClassVar[str] = "a part of a model, counted alone: it has no text model, and keeps no cache"

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        """The tower's tensors, named below `prefix`."""
        raise UnsupportedError(f"{type_of(self)} states no tensors of its own: give the config of the whole model")

    def pieces(self, prefix: str, named: str) -> tuple[list[Group], list[Stack]]:
        """What a class of this name builds, without its head: the tower, unless classes differ."""
        return self.tower(prefix)

    def encoders(self) -> tuple[Encoder, ...]:
        """By default one image of the size that the config states; towers whose processors decide otherwise say so themselves."""
        from archcalc.arch._encoder import square

        return square(self) or super().encoders()

    def architecture(self, prefix: str) -> Architecture:
        """The tower alone, as the reference's class for it without a head: parameters, and nothing that caches tokens."""
        name = self.class_name()
        groups, stacks = self.pieces(prefix, name)

        def stated(*names: str) -> int:
            found = (getattr(self, name, None) for name in names)
            return next((value for value in found if isinstance(value, int)), 0)

        hidden, heads = stated("hidden_size", "d_model", "width", "embed_dim"), stated("num_attention_heads", "num_heads", "heads")
        attends = heads or any(layer.attends for s in stacks for layer in s.kinds)
        facts = Facts(
            hidden, 0, None, "bidirectional" if attends else "none", heads, heads, hidden // heads if heads else 0, "not stated",
            str(getattr(self, "hidden_act", "") or "not stated"), Position("unknown", "not stated"),
        )  # fmt: skip
        notes = [self.alone]
        head = self.head_of(name) if name else ()
        if head is None:
            notes.append(f"counted without a head: a {name} has one")
        groups.append(Group("head", tuple(head or ())))
        status: Status = "counted" if head is not None and self.whole else "partial"
        if not self.whole:
            notes.append(
                "counted as it stands in the whole model: the class of this part alone has other tensors too, or lacks some"
            )
        return Architecture(
            type_of(self), tuple(g for g in groups if g.tensors), tuple(stacks), facts, status=status, notes=tuple(notes)
        )

    def class_name(self) -> str:
        """The first class that `architectures` names; empty where it names none."""
        named = (self.model_extra or {}).get("architectures")
        return next((name for name in named if isinstance(name, str)), "") if isinstance(named, list) else ""

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        """What a class of this name has behind the tower, or None where that is not known."""
        return () if name.endswith(("Model", "Encoder", "Transformer", "Tower", "Backbone")) else None


class Nested(NamedTuple):
    """How a nested config is parsed: see `nested`."""

    default_type: str
    misnamed: tuple[str, ...]
    optional: bool
    fixed: bool
    absent: Mapping[str, Any] | None
    merged: bool

    def schema_for(self, config: Mapping[str, Any]) -> type[ConfigSchema] | None:
        """The schema of the config's own `model_type`, or None where there is no adapter for it."""
        from archcalc.arch import adapter_name, schema_of

        name = adapter_name({"model_type": self.type_of(config)})
        return None if name is None else schema_of(name)

    def type_of(self, config: Mapping[str, Any]) -> Any:
        model_type = config.get("model_type") or self.default_type
        return self.default_type if self.fixed or model_type in self.misnamed else model_type

    def __call__(self, value: Any, info: ValidationInfo[Any]) -> Any:
        where = info.field_name or ""
        if (
            isinstance(value, ConfigSchema)
            or not (value is None or isinstance(value, Mapping))
            or (self.optional and value is None)
        ):
            return value
        default = self.absent or {}
        config = default if value is None else {**default, **value} if self.merged else value
        schema = self.schema_for(config)
        if schema is None:
            raise UnsupportedError(
                f"{where}.model_type is {json_text(self.type_of(config))}: archcalc has no adapter for it",
                "see `archcalc models --types` for those it has",
            )
        return validate(schema, config, where)


def nested(
    default_type: str,
    *misnamed: str,
    optional: bool = False,
    fixed: bool = False,
    absent: Mapping[str, Any] | None = None,
    merged: bool = False,
) -> BeforeValidator:
    """Parse a nested config with the adapter of its own `model_type`, or of `default_type` where it names none.

    `misnamed` are types that older checkpoints state there by mistake: they mean `default_type` too; `fixed` says that any type does.
    `optional` leaves null as it is; `absent` is the config that null and an absent key stand for, where that is not an empty one, and with
    `merged` also the defaults of one that is stated.

    For fields such as ``text_config: Annotated[ConfigSchema, nested("llama")] = Field(default={}, validate_default=True)``.
    """
    parse: Any = Nested(default_type, misnamed, optional, fixed, absent, merged)
    return BeforeValidator(parse)


def validate(schema: type[S], config: Mapping[str, Any], where: str = "") -> S:
    """Parse `config`, or raise `ConfigError` naming the key, what it holds and what was expected."""
    try:
        return schema.model_validate(config)
    except ValidationError as error:
        raise _config_error(error, where) from None


# What pydantic puts into a path for the branch of a union that it tried: no key of the config.
_BRANCH = r"(function-|constrained-|is-instance\[|list\[|tuple\[|dict\[|literal\[|nullable\[|(int|str|bool|float|none)$)"
_KINDS = (
    (r"a valid (dictionary|dict)( or instance of \w+)?", "an object"),
    (r"a valid (list|tuple)", "a list"),
    (r"\bNone\b", "null"),
)


def _config_error(error: ValidationError, where: str) -> ConfigError:
    problems = error.errors(include_url=False)
    first = problems[0]
    path = ".".join([*([where] if where else []), *(str(p) for p in first["loc"] if not re.match(_BRANCH, str(p)))])
    more = f" ({len(problems) - 1} more like it)" if len(problems) > 1 else ""
    if first["type"] == "missing":
        return ConfigError(f"{path} is missing{more}", f'add "{path}" to the config, or give it with --set {path}=VALUE', path)
    if isinstance(part := first.get("input"), ConfigSchema):
        message = f"{path} is the config of a {type_of(part)}: another kind of model was expected there{more}"
        return ConfigError(message, "correct its model_type, or leave that out", path)
    return ConfigError(
        f"{path} is {json_text(first.get('input'))}: {_expected(first)}{more}",
        f"correct it in the config, or override it with --set {path}=VALUE",
        path,
    )


def _expected(problem: Any) -> str:
    message = str(problem["msg"])
    for kind, plain in _KINDS:
        message = re.sub(kind, plain, message)
    if message.startswith("Input should be "):
        return f"it should be {message.removeprefix('Input should be ')}"
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def unmodelled(schema: ConfigSchema, where: str = "") -> Iterator[str]:
    """The keys of the config that no schema reads and that could change a figure, nested ones with dots."""
    from archcalc.arch._levels import copies, stray

    known = {*_known_keys(type(schema)), *copies(schema)}
    lost = {*stray(schema), *_contested(schema)}
    for key, value in (schema.model_extra or {}).items():
        told = key in type(schema).told_keys or value not in BUT.get(key, ())
        if key in lost or not told or (key not in known and not says_nothing(value) and not of_a_kind(key)):
            yield f"{where}{key}"
    for key in type(schema).model_fields:
        value = getattr(schema, key)
        parts = [(key, value)] if isinstance(value, ConfigSchema) else []
        if isinstance(value, list):
            parts = [(f"{key}.{i}", part) for i, part in enumerate(value) if isinstance(part, ConfigSchema)]
        for name, part in parts:
            yield from (f"{where}{key}" for key in unmodelled(part, f"{name}.") if key not in type(schema).inert_keys)


def passed_over(schema: ConfigSchema) -> Iterator[str]:
    """What to say of keys that the reference passes over and engines read, where they say something."""
    for key, value in (schema.model_extra or {}).items():
        if key in INERT_AT and value != INERT_AT[key] and not says_nothing(value):
            yield f"{key} is {json_text(value)}: transformers passes it over, as these figures do, and {INERT_READ_BY[key]}"
    for name in type(schema).model_fields:
        value = getattr(schema, name)
        if isinstance(value, ConfigSchema):
            yield from passed_over(value)


def _contested(schema: ConfigSchema) -> Iterator[str]:
    """Other names of a field that state another value than the one that is read, but for those that the reference is known to pass over."""
    extra = schema.model_extra or {}
    for key, field in _other_names(type(schema)).items():
        value, taken = extra.get(key), getattr(schema, field)
        if key in type(schema).inert_keys:
            continue
        if value is not None and isinstance(value, int | float | str) and isinstance(taken, int | float | str) and value != taken:
            yield key


@cache
def _other_names(schema: type[ConfigSchema]) -> Mapping[str, str]:
    """Each name by which a config may state a field that another name is read for, with the field."""
    fields = schema.model_fields.items()
    found = {str(c): key for key, f in fields if isinstance(f.validation_alias, AliasChoices) for c in f.validation_alias.choices}
    return {**found, **{name: key for name, key in schema.other_names.items() if key in schema.model_fields}}


@cache
def _known_keys(schema: type[ConfigSchema]) -> frozenset[str]:
    """Inert keys, and the other names of fields: a config may state both."""
    # Towers state a vocabulary and whether they tie its table, and have none.
    inert = (*schema.inert_keys, "vocab_size", "tie_word_embeddings") if issubclass(schema, TowerSchema) else schema.inert_keys
    return INERT.union(inert, _other_names(schema))


def left_out(schema: ConfigSchema, facts: Facts) -> Iterator[str]:
    """Each size of an FFN that the config leaves out and that is taken from the reference's own default, with that default."""
    moe = facts.moe
    taken = {"intermediate_size": None if moe else facts.intermediate_size}
    if moe is not None:
        experts = dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), moe.experts)
        taken = {"moe_intermediate_size": moe.intermediate_size, "num_experts_per_tok": moe.active, **experts}
    for key, value in taken.items():
        if value and key in type(schema).model_fields and key not in schema.model_fields_set and getattr(schema, key) == value:
            yield f"{key} is not in the config: {value:,}, which the reference takes where it is left out"


def absent(schema: type[ConfigSchema], config: Mapping[str, Any]) -> list[str]:
    """The core keys that a config states under none of their names, or as null."""
    return [names[0] for names in _core_names(schema) if all(config.get(name) is None for name in names)]


@cache
def _core_names(schema: type[ConfigSchema]) -> tuple[tuple[str, ...], ...]:
    """Each core key with the other names its field goes by."""

    def names(key: str) -> tuple[str, ...]:
        field = schema.model_fields.get(key)
        alias = field.validation_alias if field else None
        others = [name for name, other in schema.other_names.items() if other == key]
        return (key, *(str(c) for c in alias.choices), *others) if isinstance(alias, AliasChoices) else (key, *others)

    return tuple(names(key) for key in schema.core_keys)


def stored_dtype(*configs: Mapping[str, Any] | None) -> str | None:
    """The dtype that the first of the configs that has one states for its weights, in safetensors' spelling."""
    for config in configs:
        for key in ("dtype", "torch_dtype"):
            value = (config or {}).get(key)
            if value is None or value == "auto":
                continue
            name = _DTYPES.get(str(value).removeprefix("torch."))
            if name is None:
                raise UnsupportedError(
                    f"{key} is {json_text(value)}: not a dtype archcalc knows", f"one of {', '.join(sorted(_DTYPES))}"
                )
            return name
    return None


def divided(total: int, by: int, total_key: str, by_key: str) -> int:
    """`total / by`, or an error naming both keys where it does not come out even."""
    if total % by:
        raise ConfigError(f"{total_key} ({total}) is not a multiple of {by_key} ({by})", "correct one of the two", total_key)
    return total // by


def per_layer(values: Sequence[Any], layers: int, key: str, layers_key: str = "num_hidden_layers") -> Sequence[Any]:
    """`values`, or an error where there is not one for each layer."""
    if len(values) != layers:
        raise ConfigError(
            f"{key} has {len(values)} entries for {layers} layers ({layers_key})", f"give one entry per layer in {key}", key
        )
    return values


def overrides(layers: Mapping[int, Mapping[str, Any]] | None, *known: str) -> Mapping[int, Mapping[str, Any]]:
    """What `per_layer_config` says of single layers, or an error that names a key which is not read there."""
    for keys in (layers or {}).values():
        if unknown := keys.keys() - set(known):
            raise UnsupportedError(f"per_layer_config holds {min(unknown)}: only {', '.join(known)} are known here")
    return layers or {}


_SCALINGS = {
    "yarn": "YaRN", "longrope": "LongRoPE", "su": "LongRoPE", "llama3": "Llama 3 scaling", "linear": "linear scaling",
    "dynamic": "dynamic NTK", "ntk": "NTK", "mrope": "M-RoPE",
}  # fmt: skip


def rope_label(config: Mapping[str, Any], partial: float | None = None) -> Position:
    """Rotary positions, with their scaling and the share of the head that turns, from `rope_scaling` or `rope_parameters`.

    `partial` is that share where those do not state it. Proportional positions turn the whole head, the rest of it by nothing.
    """
    key = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
    scaling = config.get(key) or {}
    if not isinstance(scaling, Mapping):
        raise ConfigError(
            f"{key} is {json_text(scaling)}: an object or null was expected", 'as in {"rope_type": "yarn", "factor": 4.0}', key
        )
    names, whole = [], False
    for s in (scaling, *(v for v in scaling.values() if isinstance(v, Mapping))):
        if isinstance(part := s.get("partial_rotary_factor"), (int, float)):
            partial = part
        kind = s.get("rope_type", s.get("type"))
        if not isinstance(kind, str | None):
            raise ConfigError(f"{key}.rope_type is {json_text(kind)}: a string was expected", 'as in "yarn"', f"{key}.rope_type")
        whole = whole or kind == "proportional"
        if kind and kind != "default" and _SCALINGS.get(kind, kind) not in names:
            names.append(_SCALINGS.get(kind, kind))
        if "mrope_section" in s and "M-RoPE" not in names:
            names.append("M-RoPE")
    share = partial if partial is not None and 0 < partial < 1 else 1.0
    if share < 1:
        names.append(f"{share:.0%} of the head")
    return Position("rotary", f"RoPE ({', '.join(names)})" if names else "RoPE", 1.0 if whole else share)


def fp32_modules(schema: ConfigSchema) -> frozenset[str]:
    """The modules kept in float32 by the class of a schema, and by those of the parts that it is made of.

    transformers 5.24, modeling_utils.py `PreTrainedModel.post_init` (the lists of all parts are joined).
    """
    found = set(schema.fp32_modules)
    for name in type(schema).model_fields:
        value = getattr(schema, name)
        if isinstance(value, ConfigSchema):
            found |= fp32_modules(value)
    return frozenset(found)


def marked_fp32(architecture: Architecture, names: frozenset[str]) -> Architecture:
    """The architecture with `fp32` set on the tensors of these modules.

    A name stands for modules that begin or end with it: transformers 5.24, quantizers/quantizers_utils.py `should_convert_module`.
    """

    def mark(prefix: str, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(t._replace(fp32=True) if named(f"{prefix}{t.name}") else t for t in tensors)

    def named(tensor: str) -> bool:
        module = tensor.removesuffix(".weight").removesuffix(".bias")
        return any(module.endswith(name) or module == name or module.startswith(f"{name}.") for name in names)

    return architecture._replace(
        groups=tuple(g._replace(tensors=mark("", g.tensors)) for g in architecture.groups),
        stacks=tuple(
            s._replace(kinds=tuple(k._replace(tensors=mark(f"{s.prefix}.0.", k.tensors)) for k in s.kinds))
            for s in architecture.stacks
        ),
    )
