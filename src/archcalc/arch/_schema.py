"""What all config schemas share: number types, dtypes, positions, the keys that change no figure, and error messages.

Source: transformers 5.23, configuration_utils.py (the keys that every config may have) and modeling_rope_utils.py (scalings).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from archcalc.errors import ConfigError, UnsupportedError
from archcalc.model import Architecture, Group, Stack

Size = Annotated[int, Field(strict=True, ge=1, le=2**28)]
"""A width or count that must be there: 1 to 2^28, far beyond any model, so that an absurd number is an error."""
Count = Annotated[int, Field(strict=True, ge=0, le=2**28)]
Layers = Annotated[int, Field(strict=True, ge=1, le=10_000)]
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

# Keys that say how a model was trained, is sampled from, or is run, and none of what it is made of.
_INERT = frozenset(
    """
    _name_or_path _attn_implementation _attn_implementation_autoset _commit_hash _from_model_config architectures auto_map
    transformers_version transformers.js_config model_type torch_dtype dtype quantization_config compression_config use_cache
    is_decoder is_encoder_decoder add_cross_attention cross_attention_hidden_size tie_encoder_decoder output_attentions
    output_hidden_states output_scores return_dict return_dict_in_generate return_legacy_cache use_return_dict torchscript
    use_bfloat16 tf_legacy_loss chunk_size_feed_forward pruned_heads problem_type finetuning_task task_specific_params
    tokenizer_class prefix id2label label2id num_labels decoder_start_token_id forced_bos_token_id forced_eos_token_id
    bad_words_ids begin_suppress_tokens suppress_tokens max_length min_length do_sample early_stopping num_beams num_beam_groups
    diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
    encoder_no_repeat_ngram_size num_return_sequences remove_invalid_values exponential_decay_length_penalty renormalize_logits
    pretraining_tp ep_size rope_theta rope_scaling rope_parameters rope_interleaved rope_interleave rope_local_base_freq
    partial_rotary_factor max_position_embeddings max_sequence_length original_max_position_embeddings initial_context_length
    initializer_range initializer_factor layer_norm_eps layer_norm_epsilon rms_norm_eps norm_eps norm_epsilon hidden_act
    hidden_activation activation_function attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar logit_scale
    attention_multiplier residual_multiplier embedding_multiplier logits_scaling norm_topk_prob scoring_func topk_method
    topk_group n_group routed_scaling_factor router_jitter_noise input_jitter_noise output_router_logits seq_aux mscale
    mlp_dropout attn_pdrop embd_pdrop resid_pdrop keys_to_ignore_at_inference gradient_checkpointing language_model_only
    sdpa unsloth_version unsloth_fixed use_mfa flash_attn is_llama_config interpolate_factor full_attn_mod
    swiglu_alpha swiglu_limit quantization expert_dtype num_image_tokens model_max_length is_causal
    """.split()
)
_INERT_PATTERN = re.compile(
    r"(^|_)(token_id|token_ids|token_index|dropout|dropout_rate|dropout_prob|drop|layerdrop|pdrop|eps|epsilon|std|coef|coefficient"
    r"|loss|loss_weight|init|range|tokens_per_image|tokens_id)$"
    r"|^(initializer|summary|loss|aux|router_aux|router_z|ce_loss|generation|tokenizer|init)_|_loss_|_init_"
)

S = TypeVar("S", bound="ConfigSchema")


class ConfigSchema(BaseModel):
    """The base of every adapter's schema.

    Types are strict: a number written as a string is an error that names its key. Keys that a schema does not name are kept,
    and reported unless they cannot change a figure: `inert_keys` are those that the reference implementation of this type
    ignores. `core_keys` are the keys that a published config.json of this type always states; at the top level they are
    required even where the reference implementation has a default.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=(), populate_by_name=True, allow_inf_nan=False)

    core_keys: ClassVar[tuple[str, ...]] = ()
    inert_keys: ClassVar[tuple[str, ...]] = ()

    def architecture(self, prefix: str = "model") -> Architecture:
        """The normalized spec, its decoder's tensors named below `prefix`."""
        raise UnsupportedError(f"{type(self).__module__} describes a part of a model, not a model")


class TowerSchema(ConfigSchema):
    """The base of schemas that describe a vision or audio tower."""

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        """The tower's tensors, named below `prefix`."""
        raise UnsupportedError(f"{type(self).__module__} has no tower")


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

    def parse(value: Any, info: ValidationInfo) -> Any:
        from archcalc.arch import adapter_name, schema_of

        where = info.field_name or ""
        if isinstance(value, ConfigSchema) or not (value is None or isinstance(value, Mapping)) or (optional and value is None):
            return value
        config = (absent or {}) if value is None else {**absent, **value} if absent and merged else value
        model_type = config.get("model_type") or default_type
        if fixed or model_type in misnamed:
            model_type = default_type
        name = adapter_name({"model_type": model_type})
        if name is None:
            raise UnsupportedError(
                f"{where}.model_type is {model_type!r}: archcalc has no adapter for it",
                "see `archcalc models --types` for those it has",
            )
        return validate(schema_of(name), config, where)

    return BeforeValidator(parse)


def validate(schema: type[S], config: Mapping[str, Any], where: str = "") -> S:
    """Parse `config`, or raise `ConfigError` naming the key, what it holds and what was expected."""
    try:
        return schema.model_validate(config)
    except ValidationError as error:
        raise _config_error(error, where) from None


def _config_error(error: ValidationError, where: str) -> ConfigError:
    problems = error.errors(include_url=False)
    first = problems[0]
    path = ".".join([*([where] if where else []), *(str(p) for p in first["loc"] if not str(p).startswith("function-"))])
    more = f" ({len(problems) - 1} more like it)" if len(problems) > 1 else ""
    if first["type"] == "missing":
        return ConfigError(f"{path} is missing{more}", f'add "{path}" to the config, or give it with --set {path}=VALUE', path)
    got = repr(first.get("input"))
    shown = got if len(got) <= 60 else got[:57] + "..."
    return ConfigError(
        f"{path} is {shown}: {_expected(first)}{more}", f"correct it in the config, or override it with --set {path}=VALUE", path
    )


def _expected(problem: Any) -> str:
    message = str(problem["msg"])
    if message.startswith("Input should be "):
        return f"it should be {message.removeprefix('Input should be ')}"
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def unmodelled(schema: ConfigSchema, where: str = "") -> Iterator[str]:
    """The keys of the config that no schema reads and that could change a figure, nested ones with dots."""
    known = _known_keys(type(schema))
    for key in schema.model_extra or ():
        if key not in known and not _INERT_PATTERN.search(key):
            yield f"{where}{key}"
    for key in type(schema).model_fields:
        value = getattr(schema, key)
        if isinstance(value, ConfigSchema):
            yield from unmodelled(value, f"{where}{key}.")


@cache
def _known_keys(schema: type[ConfigSchema]) -> frozenset[str]:
    """Inert keys, and the other names of fields: a config may state both."""
    aliases = [f.validation_alias.choices for f in schema.model_fields.values() if isinstance(f.validation_alias, AliasChoices)]
    # Towers state a vocabulary and whether they tie its table, and have none.
    inert = (*schema.inert_keys, "vocab_size", "tie_word_embeddings") if issubclass(schema, TowerSchema) else schema.inert_keys
    return _INERT.union(inert, *([str(c) for c in choices] for choices in aliases))


def absent(schema: type[ConfigSchema], config: Mapping[str, Any]) -> list[str]:
    """The core keys that a config states under none of their names, or as null."""
    return [names[0] for names in _core_names(schema) if all(config.get(name) is None for name in names)]


@cache
def _core_names(schema: type[ConfigSchema]) -> tuple[tuple[str, ...], ...]:
    """Each core key with the other names its field goes by."""

    def names(key: str) -> tuple[str, ...]:
        field = schema.model_fields.get(key)
        alias = field.validation_alias if field else None
        return (key, *(str(c) for c in alias.choices)) if isinstance(alias, AliasChoices) else (key,)

    return tuple(names(key) for key in schema.core_keys)


def stored_dtype(*configs: Mapping[str, Any] | None) -> str | None:
    """The dtype that the first of the configs that has one states for its weights, in safetensors' spelling."""
    for config in configs:
        for key in ("torch_dtype", "dtype"):
            value = (config or {}).get(key)
            if value is None or value == "auto":
                continue
            name = _DTYPES.get(str(value).removeprefix("torch."))
            if name is None:
                raise UnsupportedError(f"{key} is {value!r}: not a dtype archcalc knows", f"one of {', '.join(sorted(_DTYPES))}")
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


_SCALINGS = {
    "yarn": "YaRN", "longrope": "LongRoPE", "su": "LongRoPE", "llama3": "Llama 3 scaling", "linear": "linear scaling",
    "dynamic": "dynamic NTK", "ntk": "NTK", "mrope": "M-RoPE", "proportional": "proportional",
}  # fmt: skip


def rope_label(config: Mapping[str, Any], partial: float | None = None) -> str:
    """`RoPE`, with its scaling and the share of the head that turns, from `rope_scaling` or `rope_parameters`.

    `partial` is that share where those do not state it.
    """
    key = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
    scaling = config.get(key) or {}
    if not isinstance(scaling, Mapping):
        raise ConfigError(
            f"{key} is {scaling!r}: an object or null was expected", 'as in {"rope_type": "yarn", "factor": 4.0}', key
        )
    names = []
    for s in (scaling, *(v for v in scaling.values() if isinstance(v, Mapping))):
        if isinstance(part := s.get("partial_rotary_factor"), (int, float)):
            partial = part
        kind = s.get("rope_type", s.get("type"))
        if not isinstance(kind, str | None):
            raise ConfigError(f"{key}.rope_type is {kind!r}: a string was expected", 'as in "yarn"', f"{key}.rope_type")
        if kind and kind != "default" and _SCALINGS.get(kind, kind) not in names:
            names.append(_SCALINGS.get(kind, kind))
        if "mrope_section" in s and "M-RoPE" not in names:
            names.append("M-RoPE")
    if partial is not None and 0 < partial < 1:
        names.append(f"{partial:.0%} of the head")
    return f"RoPE ({', '.join(names)})" if names else "RoPE"
