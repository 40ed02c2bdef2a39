"""Other ways a model is written down, each turned into a config that an adapter reads: the same model gives the same figures.

One file a format. Formats that are JSON are told apart by keys that only they have together; GGUF and safetensors by their first bytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from archcalc.records import NamedTuple

HF = "hf-config"


class Reading(NamedTuple):
    """A config in transformers' terms, and the format it was written in.

    `notes` say what the file does not state and was taken from elsewhere. `context` is false where nothing says how many tokens the
    model takes.
    """

    format: str
    config: dict[str, Any]
    notes: tuple[str, ...] = ()
    context: bool = True


# What each format's module is called here.
_MODULES = {
    "mistral-params": "mistral_params",
    "meta-params": "meta_params",
    "deepseek-inference": "deepseek_inference",
    "torchchat": "torchchat",
}
_TORCHCHAT = ("block_size", "n_local_heads", "rope_base", "use_tiktoken", "use_hf_tokenizer")
_META = ("vocab_size", "multiple_of", "norm_eps", "ffn_dim_multiplier", "rope_theta")


def format_of(config: Mapping[str, Any]) -> str:
    """The format that a JSON object is written in, by its keys.

    >>> format_of({"dim": 4096, "n_layers": 32, "n_heads": 32, "multiple_of": 256, "vocab_size": 32000})
    'meta-params'
    >>> format_of({"dim": 4096, "n_layers": 32, "n_heads": 32, "head_dim": 128, "hidden_dim": 14336})
    'mistral-params'
    """
    if "model_type" not in config and "hidden_size" not in config:
        if {"n_layer", "n_head", "n_embd"} <= config.keys():
            return "nanogpt" if "block_size" in config else "nanochat" if "sequence_len" in config else HF
    elif config.get("model_type") == "mamba" and "n_layers" in config:
        return "mistral-params"
    elif config.get("model_type") in ("text_only", "llama3_1", "flamingo") and "hidden_size" not in config:
        return "torchchat"
    elif config.get("model_type") not in (None, "transformer"):
        return HF
    if not {"dim", "n_layers"} <= config.keys() or "hidden_size" in config:
        return HF
    if "moe_inter_dim" in config or "inter_dim" in config:
        return "deepseek-inference"
    if "head_dim" in config and "hidden_dim" in config:
        return "mistral-params"
    if any(key in config for key in _TORCHCHAT) or not any(key in config for key in _META):
        return "torchchat"
    return "meta-params"


def read(config: Mapping[str, Any]) -> Reading:
    """The config as transformers would write it.

    Raises `ConfigError` for a key that is missing or impossible, `UnsupportedError` for what the format says and archcalc does not model.
    """
    name = format_of(config)
    module = _MODULES.get(name)
    if module is None:
        return Reading(name, dict(config))
    from archcalc.arch import _values

    _values.check(config)
    reading: Reading = importlib.import_module(f"archcalc.formats.{module}").read(config)
    return reading
