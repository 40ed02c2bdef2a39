"""What no config of any type may hold, and what no architecture may come to: checked once, before and after any adapter."""

import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from archcalc.errors import ConfigError, json_text
from archcalc.model import Architecture, Layer

MOST_ELEMENTS = 2**63
"""Sizes of tensors are 64-bit signed integers in every framework and file format."""
MOST_LAYERS = 10_000
_MOST_DEEP = 64
# Keys that count layers: each is built, one by one. Some name a place, or are a list.
_LAYERS = r"(^|_)(layers?|depths?|blocks|mtp_modules)(_per_[a-z]+)?$|^(num|n)_.*(layers|blocks)"
_SIZES = (
    r"(^|_)(size|dim|dims|heads|head|rank|channels|layers|experts|embd|embeddings|positions|per_tok|per_token|groups|stride|width|depth"
    r"|length)$"
)
# These state -1 or other signs for "none", "all of a row" or "by default", as published configs and their references have it.
_SIGNED = (
    r"window|relative|vocab|group_size|block_size|weight_block|chunk|max_\w*length|patch_size_|interval|layers_to|_layer$|^feature"
)
# Activations by the names of transformers 5.24, activations.py `ACT2CLS`, with those that publishers' code and vLLM 0.33,
# model_executor/layers/activation.py, have beside them.
_ACTIVATIONS = frozenset(
    """
    gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish laplace leaky_relu linear mish
    prelu quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh xielu
    fatrelu geglu gegelu gelu_tanh reglu situ swiglu swigluoai swiglustep
    """.split()
)
_ACTIVATED = ("hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act")
_CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "seq_length",
    "n_ctx",
    "max_seq_len",
    "model_max_length",
)


def check(config: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a number that no reading of its key allows: a negative size, a layer count or a number beyond all use."""
    for path, key, value in _numbers(config, "", 0):
        if abs(value) >= MOST_ELEMENTS and "max_length" not in key:
            digits = len(str(abs(value)))
            raise _error(path, f"a number of {digits} digits", "no config needs one so large")
        if value > MOST_LAYERS and re.search(_LAYERS, key):
            raise _error(path, f"{value:,}", f"no model has more than {MOST_LAYERS:,} layers")
        if value < 0 and re.search(_SIZES, key) and not re.search(_SIGNED, key):
            raise _error(path, str(value), "it should not be negative")
    _check_rope(config, "")
    classes = config.get("architectures")
    if not (classes is None or isinstance(classes, list)):
        written = f'["{classes if isinstance(classes, str) and classes.isidentifier() else "LlamaForCausalLM"}"]'
        raise ConfigError(
            f"architectures is {json_text(classes)}: a list was expected", f"as in --set architectures='{written}'", "architectures"
        )


def unknown_activations(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The paths of keys that state an activation of no known name: what such a one keeps in training is not known."""
    for key in _ACTIVATED:
        if isinstance(stated := config.get(key), str) and stated not in _ACTIVATIONS:
            yield f"{path}{key}"
    for key, value in config.items():
        if isinstance(value, Mapping) and str(key).endswith("config"):
            yield from unknown_activations(value, f"{path}{key}.")


def _check_rope(node: Mapping[str, Any], path: str) -> None:
    """How far rotary embeddings are stretched is a number above 0, for each kind of layer.

    transformers 5.24, modeling_rope_utils.py `_validate_linear_rope_parameters` and its siblings.
    """
    for key, value in node.items():
        below = f"{path}.{key}" if path else str(key)
        if not isinstance(value, Mapping):
            continue
        if key in ("rope_scaling", "rope_parameters"):
            for where, rope in ((below, value), *((f"{below}.{k}", v) for k, v in value.items() if isinstance(v, Mapping))):
                factor = rope.get("factor")
                if factor is not None and (not isinstance(factor, (int, float)) or isinstance(factor, bool) or not factor > 0):
                    raise _error(f"{where}.factor", json_text(factor), "a number above 0 was expected")
        elif key.endswith("config"):
            _check_rope(value, below)


def _numbers(node: Any, path: str, depth: int) -> Iterator[tuple[str, str, int]]:
    """Every integer of a config with its dotted path and the key that it, or the list that it stands in, has."""
    if depth > _MOST_DEEP:
        raise ConfigError(f"{path[:80]}... is nested too deeply to be a config", "correct the config", path)
    for key, value in node.items():
        name, below = str(key), f"{path}.{key}" if path else str(key)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, int):
                if not isinstance(item, bool):
                    yield below, name, item
            elif item is not None and not isinstance(item, (str, float)) and isinstance(item, Mapping):
                yield from _numbers(item, below, depth + 1)


def _error(path: str, shown: str, why: str) -> ConfigError:
    return ConfigError(f"{path} is {shown}: {why}", f"correct it in the config, or override it with --set {path}=VALUE", path)


def refuse_impossible(a: Architecture, config: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where the keys, each possible alone, come to what cannot be: the keys at fault are named where they are known."""
    moe = a.facts.moe
    chosen = [(moe.active, moe.experts)] if moe is not None else []
    # Experts of another modality are there, and no token of text visits them.
    chosen += [(max(t.experts.active, 1), t.experts.total) for _, t, _ in a.each_tensor() if t.experts is not None]
    for active, experts in chosen:
        if not 0 < active <= experts:
            keys = _stating(config, "expert", active), _stating(config, "expert", experts)
            raise ConfigError(
                f"{keys[0] or 'active experts'} is {active:,} of {keys[1] or 'experts'} {experts:,}: a token visits at least one expert, "
                "and no more than there are",
                "correct one of the two",
                keys[0],
            )
    context = a.facts.context_tokens
    if context is not None and context < 1:
        key = next((k for k in _CONTEXT if _stating(config, k, None)), "max_position_embeddings")
        raise ConfigError(f"{key} leaves a context of {context:,} tokens", f"correct {key}", key)
    if (
        a.facts.heads < 0
        or a.facts.kv_heads < 0
        or a.facts.head_dim < 0
        or (a.facts.heads > 0 and a.facts.head_dim == 0 and _has_rows(a))
    ):
        raise _dimension(a.model_type, "attention", (a.facts.heads, a.facts.head_dim), config)
    total = 0
    for _, tensor, layers in a.each_tensor():
        # A model without shared experts may state them as none.
        if any(n < 1 for n in tensor.shape) and (tensor.role != "shared_experts" or min(tensor.shape) < 0):
            raise _dimension(a.model_type, tensor.name, tensor.shape, config)
        total += prod(tensor.shape) * layers
        if total >= MOST_ELEMENTS:
            raise _product(config, tensor.name, tensor.shape)
    for stack in a.stacks:
        if len(stack.pattern) > 2 * MOST_LAYERS:
            raise ConfigError(f"{stack.prefix} comes to {len(stack.pattern):,} layers", "correct the keys that count layers")
        for layer in stack.kinds:
            _refuse_layer(layer, config)
    for rows, width in a.rotary:
        if rows < 0 or width < 0 or rows * width >= MOST_ELEMENTS:
            raise ConfigError(
                f"the table of rotary positions would have {rows:,} rows of {width:,}",
                "correct max_position_embeddings, and factor and original_max_position_embeddings of rope_parameters",
                "rope_parameters",
            )


def _has_rows(a: Architecture) -> bool:
    return any(cache.heads and not cache.per_token for stack in a.stacks for layer in stack.kinds for cache in layer.caches)


def _refuse_layer(layer: Layer, config: Mapping[str, Any]) -> None:
    figures: list[tuple[int, ...]] = [(layer.scan_flops, layer.mixer_width, layer.ffn_width)]
    for cache in layer.caches:
        figures += [(cache.heads, cache.key_dim, cache.value_dim, cache.window or 0), *(state.shape for state in cache.states)]
        if cache.compress < 1:
            raise _dimension(layer.mixer, "the cache's rate of compression", (cache.compress,), config)
    figures += [(at.heads, at.qk_dim, at.v_dim, at.window or 0) for at in layer.attends]
    for shape in figures:
        if any(n < 0 for n in shape):
            raise _dimension(layer.mixer or layer.ffn, "a layer", shape, config)
        if any(n >= MOST_ELEMENTS for n in shape):
            raise _product(config, layer.mixer or layer.ffn, shape)


def _dimension(kind: str, what: str, shape: tuple[int, ...], config: Mapping[str, Any]) -> ConfigError:
    keys = _smallest_and_largest(config)
    return ConfigError(
        f"{what} ({kind}) would have the shape {list(shape)}: every dimension is one or more",
        f"correct the keys that it is made of{keys}",
    )


def _product(config: Mapping[str, Any], what: str, shape: tuple[int, ...]) -> ConfigError:
    keys = _smallest_and_largest(config)
    return ConfigError(
        f"{what} would have the shape {list(shape)}: with it the model has more than 2^63 elements", f"correct the keys{keys}"
    )


def _smallest_and_largest(config: Mapping[str, Any]) -> str:
    """The sizes of a config that stand out, as a hint."""
    sizes = {path: value for path, key, value in _numbers(config, "", 0) if re.search(_SIZES, key) and "vocab" not in key}
    large = sorted(sizes, key=lambda path: -sizes[path])[:2]
    small = [path for path in sizes if sizes[path] == 0][:2]
    named = ", ".join(f"{path} is {sizes[path]:,}" for path in dict.fromkeys((*small, *large)))
    return f": {named}" if named else ""


def _stating(config: Mapping[str, Any], part: str, value: int | None) -> str:
    """The path of the first key with `part` in its name that states `value` (any, if None), or nothing."""
    return next((path for path, key, found in _numbers(config, "", 0) if part in key and (value is None or found == value)), "")
