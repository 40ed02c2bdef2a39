"""The config that a GGUF file's metadata amount to, for the architectures whose keys say all that an adapter needs.

What a file leaves out is what llama.cpp takes then, stated in the config: a schema's default is that of transformers' class, which is
another model's. A key without which llama.cpp loads nothing is named as missing.

Source: llama.cpp b9500, gguf-py/gguf/constants.py (keys), convert_hf_to_gguf.py (what each key is written from); transformers 5.23,
integrations/ggml.py `GGUF_CONFIG_MAPPING` and integrations/gguf/gguf_config_mapping.py; llama.cpp 0c1e57098, src/llama-model.cpp
`load_hparams` and src/models/*.cpp `load_arch_hparams` (which keys are required, and what absent ones mean).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from archcalc.errors import FormatError
from archcalc.formats.gguf import FILE_TYPES
from archcalc.formats.headers import Header

_USUAL = {
    "context_length": "max_position_embeddings", "block_count": "num_hidden_layers", "feed_forward_length": "intermediate_size",
    "embedding_length": "hidden_size", "rope.freq_base": "rope_theta", "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads", "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.key_length": "head_dim", "attention.sliding_window": "sliding_window",
}  # fmt: skip
# What llama.cpp reads as one number or one for each layer.
_BY_LAYER = frozenset(("feed_forward_length", "attention.head_count", "attention.head_count_kv"))
_Get = Callable[[str], Any]
_Finish = Callable[[dict[str, Any], _Get, Header], None]
PLAIN = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


_REQUIRED = ("context_length", "embedding_length", "block_count", "attention.head_count")


def _needed(value: Any, key: str, header: Header) -> Any:
    """The value of a key that llama.cpp asks for. Raises `FormatError` that names it."""
    if value is None:
        name = architecture_of(header)
        raise FormatError(
            f"{header.files[0]} states no {name}.{key}, without which llama.cpp loads no {name}", "fetch or convert the file again"
        )
    return value


def _nothing(config: dict[str, Any], get: _Get, header: Header) -> None:
    pass


def _llama(config: dict[str, Any], get: _Get, header: Header) -> None:
    config.setdefault("head_dim", get("rope.dimension_count"))
    config["attention_bias"] = "blk.0.attn_q.bias" in header.tensors
    config.pop("sliding_window", None)
    if get("expert_count"):
        config |= {
            "model_type": "mixtral",
            "num_local_experts": get("expert_count"),
            "num_experts_per_tok": _needed(get("expert_used_count"), "expert_used_count", header),
        }
        del config["attention_bias"]


def _experts(config: dict[str, Any], get: _Get, header: Header) -> None:
    """Qwen's: without a length of their own, experts share that of the FFN among those that a token visits."""
    active = _needed(get("expert_used_count"), "expert_used_count", header)
    whole = config.get("intermediate_size")
    width = get("expert_feed_forward_length") or (
        whole // active if isinstance(whole, int) and isinstance(active, int) and active else None
    )
    config |= {
        "num_experts": _needed(get("expert_count"), "expert_count", header),
        "num_experts_per_tok": active,
        "moe_intermediate_size": _needed(width, "expert_feed_forward_length", header),
    }
    config.setdefault("intermediate_size", width)


def _shared_expert(config: dict[str, Any], get: _Get, header: Header) -> None:
    """Qwen2-MoE's shared expert is as wide as the FFN where nothing else is said."""
    _experts(config, get, header)
    config["shared_expert_intermediate_size"] = get("expert_shared_feed_forward_length") or config["intermediate_size"]


def _gpt_oss(config: dict[str, Any], get: _Get, header: Header) -> None:
    config |= {
        "num_local_experts": _needed(get("expert_count"), "expert_count", header),
        "num_experts_per_tok": _needed(get("expert_used_count"), "expert_used_count", header),
    }
    _needed(get("attention.sliding_window"), "attention.sliding_window", header)
    config["intermediate_size"] = get("expert_feed_forward_length") or config.get("intermediate_size")


def _gemma3(config: dict[str, Any], get: _Get, header: Header) -> None:
    if not get("attention.sliding_window"):
        config.pop("sliding_window", None)
        config["layer_types"] = ["full_attention"] * int(config["num_hidden_layers"])


def _latent(config: dict[str, Any], get: _Get, header: Header) -> None:
    """DeepSeek-V2 and V3: files with `key_length_mla` hold MLA absorbed, so that `head_count_kv` is one; older ones do not.

    MTP layers are the last of `block_count` (`hparams.n_layer_nextn`).
    """
    biased = any(name.endswith("exp_probs_b.bias") for name in header.tensors)
    whole = get("attention.key_length_mla") or get("attention.key_length")
    rotary = _needed(get("rope.dimension_count"), "rope.dimension_count", header)
    value = get("attention.value_length_mla") or get("attention.value_length")
    mtp = get("nextn_predict_layers") or 0
    config.pop("head_dim", None)
    config |= {
        "model_type": "deepseek_v3" if biased else "deepseek_v2",
        "num_key_value_heads": config.get("num_attention_heads"),
        "q_lora_rank": get("attention.q_lora_rank"),
        "kv_lora_rank": _needed(get("attention.kv_lora_rank"), "attention.kv_lora_rank", header),
        "qk_rope_head_dim": rotary,
        "qk_nope_head_dim": _needed(whole, "attention.key_length", header) - rotary,
        "v_head_dim": _needed(value, "attention.value_length", header),
        "n_routed_experts": get("expert_count"),
        "num_experts_per_tok": get("expert_used_count"),
        "n_shared_experts": get("expert_shared_count") or 0,
        "first_k_dense_replace": get("leading_dense_block_count") or 0,
        "num_hidden_layers": config["num_hidden_layers"] - mtp,
        "num_nextn_predict_layers": mtp,
    }
    if config["n_routed_experts"]:
        width = get("expert_feed_forward_length")
        config["moe_intermediate_size"] = _needed(width, "expert_feed_forward_length", header)
        _needed(get("expert_used_count"), "expert_used_count", header)


def whole_latents(header: Header) -> bool:
    """Whether a file holds MLA as llama.cpp wrote it before it absorbed the up-projection: keys and values are cached for each head.

    llama.cpp 0c1e57098, src/llama-hparams.cpp `is_mla`, src/models/deepseek2.cpp ("only old legacy GGUF files will have the unsplit
    wkv_b tensor in").
    """
    name = header.metadata.get("general.architecture")
    return (
        isinstance(name, str)
        and f"{name}.attention.kv_lora_rank" in header.metadata
        and not (
            header.metadata.get(f"{name}.attention.key_length_mla") and header.metadata.get(f"{name}.attention.value_length_mla")
        )
    )


def _gpt2(config: dict[str, Any], get: _Get, header: Header) -> None:
    config |= {
        "n_embd": config.pop("hidden_size", None), "n_layer": config.pop("num_hidden_layers", None),
        "n_head": config.pop("num_attention_heads", None), "n_positions": config.pop("max_position_embeddings", None),
        "n_inner": config.pop("intermediate_size", None),
    }  # fmt: skip
    config.pop("num_key_value_heads", None)


_KINDS: dict[str, tuple[str, _Finish]] = {
    "llama": ("llama", _llama), "qwen2": ("qwen2", _nothing), "qwen3": ("qwen3", _nothing), "qwen2moe": ("qwen2_moe", _shared_expert),
    "qwen3moe": ("qwen3_moe", _experts), "gemma": ("gemma", _nothing), "gemma2": ("gemma2", _nothing),
    "gemma3": ("gemma3_text", _gemma3), "phi3": ("phi3", _nothing), "gpt-oss": ("gpt_oss", _gpt_oss),
    "deepseek2": ("deepseek_v3", _latent), "gpt2": ("gpt2", _gpt2), "olmo2": ("olmo2", _nothing), "granite": ("granite", _nothing),
    "smollm3": ("smollm3", _nothing), "seed_oss": ("seed_oss", _nothing),
}  # fmt: skip


def architecture_of(header: Header) -> str:
    """The architecture that a file says it is of."""
    name = header.metadata.get("general.architecture")
    if not isinstance(name, str) or not name:
        raise FormatError(f"{header.files[0]} is GGUF that names no general.architecture", "fetch or convert the file again")
    return name


def file_type(header: Header) -> str | None:
    """The file type such as `q4_k_m`, where the file states one that is known. The highest bit marks a guess of the converter."""
    number = header.metadata.get("general.file_type")
    return FILE_TYPES.get(number & ~1024) if isinstance(number, int) and not isinstance(number, bool) else None


def config_of(header: Header) -> dict[str, Any] | None:
    """The config in transformers' terms, or None where the architecture is none of those above."""
    name = architecture_of(header)
    if name not in _KINDS:
        return None
    model_type, finish = _KINDS[name]

    def get(key: str) -> Any:
        return _figure(header, f"{name}.{key}", several=key in _BY_LAYER)

    config: dict[str, Any] = {"model_type": model_type}
    for key, own in _USUAL.items():
        value = get(key)
        if value is not None:
            config[own] = value
    for key in _REQUIRED:
        _needed(get(key), key, header)
    config.setdefault("num_key_value_heads", config["num_attention_heads"])
    embedding = header.tensors.get("token_embd.weight")
    rows = embedding.shape[0] if embedding and embedding.shape else get("vocab_size")
    config |= {
        # The metadata need not state it: the embedding does.
        "vocab_size": rows or len_of(header.metadata.get("tokenizer.ggml.tokens")),
        # llama.cpp writes a head only where it is not the embedding.
        "tie_word_embeddings": "output.weight" not in header.tensors,
    }
    finish(config, get, header)
    if config.get("intermediate_size") is None and "n_embd" not in config:
        _needed(None, "feed_forward_length", header)
    _needed(config["vocab_size"], "vocab_size", header)
    if "kv_lora_rank" not in config and "n_embd" not in config:
        _default_head(config)
    # Null says that there is none; nothing is left to a schema's default.
    config = {key: value for key, value in config.items() if value is not None or key in _NULLABLE}
    kind = file_type(header)
    if kind is not None:
        config["torch_dtype"] = PLAIN.get(kind, "bfloat16")
        config["quantization_config"] = {"quant_method": "gguf", "file_type": kind}
    return config


# What a null says something about: queries at full rank, no experts.
_NULLABLE = frozenset({"q_lora_rank", "n_routed_experts", "num_experts_per_tok"})


def _default_head(config: dict[str, Any]) -> None:
    """Heads without a length share the hidden state."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    if config.get("head_dim") is None and isinstance(hidden, int) and isinstance(heads, int) and heads:
        config["head_dim"] = hidden // heads


def _figure(header: Header, key: str, *, several: bool) -> Any:
    """A number of the metadata, or with `several` a list of them; None where it is not stated."""
    value = _plain(header.metadata.get(key))
    items = value if several and isinstance(value, list) else [value]
    if value is not None and not all(isinstance(i, (int, float)) and not isinstance(i, bool) and isfinite(i) for i in items):
        shown = repr(value)
        expected = "a number or a list of numbers" if several else "a number"
        raise FormatError(
            f"{header.files[0]}: {key} is {shown if len(shown) <= 60 else shown[:57] + '...'}: {expected} was expected",
            "fetch or convert the file again",
        )
    return value


def len_of(value: Any) -> int | None:
    """The length of an array of the metadata."""
    return len(value) if isinstance(value, list) else value if isinstance(value, int) and not isinstance(value, bool) else None


def _plain(value: Any) -> Any:
    """A value as configs have it: arrays that hold one number throughout are that number."""
    if isinstance(value, list) and value and all(each == value[0] for each in value):
        return value[0]
    return value


def facts_of(header: Header) -> Mapping[str, Any]:
    """What the metadata of any architecture state, under the names of configs."""
    name = architecture_of(header)
    return {own: _plain(header.metadata.get(f"{name}.{key}")) for key, own in _USUAL.items()}
