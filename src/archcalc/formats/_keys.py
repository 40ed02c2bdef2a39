"""Reading the keys of formats that have no schema: strict types, and messages that name the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import ConfigError

BF16_NOTE = "the file states no dtype: BF16 assumed, as these weights are published"
_LARGEST = 2**28


def size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A count of one or more; `default` where the key is absent or null."""
    value = config.get(key)
    if value is None:
        value = default
    if value is None:
        raise ConfigError(f"{key} is missing", f'add "{key}" to the file, or give it with --set {key}=VALUE', key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
        raise ConfigError(
            f"{key} is {str(value)[:40]!r}: it should be a number of one or more", f"override it with --set {key}=VALUE", key
        )
    return value


def factor(config: Mapping[str, Any], key: str) -> float | None:
    """A positive number, or None."""
    value = config.get(key)
    if value is not None and (not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 2**20):
        raise ConfigError(
            f"{key} is {str(value)[:40]!r}: it should be a positive number", f"override it with --set {key}=VALUE", key
        )
    return value


def section(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested object; empty where it is absent or null."""
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} is {str(value)[:40]!r}: an object was expected", f"correct {key}", key)
    return dict(value)


def rest(config: Mapping[str, Any], *read: str) -> dict[str, Any]:
    """The keys that were not read: they go along, so that the adapter reports what it does not understand."""
    return {key: value for key, value in config.items() if key not in read}


def llama_width(config: Mapping[str, Any]) -> int:
    """The FFN's width as Meta's code computes it: two thirds of four times the width, times a factor, rounded up.

    Source: llama-models 0.3, models/llama3/model.py `FeedForward`; torchchat, model.py `TransformerArgs.__post_init__`.
    """
    if config.get("hidden_dim") is not None:
        return size(config, "hidden_dim")
    width = int(2 * (4 * size(config, "dim", 4096)) / 3)
    scale = factor(config, "ffn_dim_multiplier")
    if scale is not None:
        width = int(scale * width)
    multiple = size(config, "multiple_of", 256)
    return max(1, -(-width // multiple)) * multiple


def tied_by_release(config: Mapping[str, Any], scaled: bool) -> tuple[bool, tuple[str, ...]]:
    """Whether the head is the embedding, where the file has no key for it.

    Meta's releases with scaled positions that are narrower than 4096 (Llama 3.2 1B and 3B and what derives from them) tie it; all
    others have a head of their own. The code that reads these files has two matrices either way.
    """
    if "tie_word_embeddings" in config:
        return bool(config["tie_word_embeddings"]), ()
    if scaled and size(config, "dim", 4096) < 4096:
        return True, (
            "the file does not say whether the head is the embedding: taken as tied, as in Llama 3.2 1B and 3B "
            "(--set tie_word_embeddings=false for a head of its own)",
        )
    return False, ()
