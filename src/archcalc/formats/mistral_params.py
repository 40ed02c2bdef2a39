"""Mistral's params.json: Mistral, Mixtral, Pixtral, Mamba Codestral, Mistral Large 3.

Source: vLLM 0.14, transformers_utils/configs/mistral.py `adapt_config_dict`; mistral-inference 1.6, args.py `TransformerArgs`,
`MambaArgs`, `VisionEncoderArgs` (defaults). The context is transformers' default for the type where the file states none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.formats import Reading
from archcalc.formats._keys import BF16_NOTE, rest, section, size

_NAMES = {
    "dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads", "n_kv_heads": "num_key_value_heads",
    "hidden_dim": "intermediate_size", "norm_eps": "rms_norm_eps", "activation": "hidden_act", "tied_embeddings": "tie_word_embeddings",
}  # fmt: skip
_READ = (
    *_NAMES, "model_type", "moe", "vision_encoder", "multimodal", "yarn", "llama_4_scaling", "quantization", "sliding_window",
    "max_seq_len", "max_position_embeddings", "causal", "use_biases", "attn_bias", "ssmax", "max_batch_size", "lora",
)  # fmt: skip
_CONTEXT = 131072
# What mistral-inference gives a Pixtral tower that says no more than its sizes.
_PATCH_MERGE = "spatial_merge_size"


def read(config: Mapping[str, Any]) -> Reading:
    """The config of the type that the file's parts say."""
    if config.get("model_type") == "mamba":
        return _mamba(config)
    multimodal = section(config, "multimodal")
    if multimodal.get("whisper_model_args"):
        raise UnsupportedError("whisper_model_args: Voxtral's params.json is not read", "give the config.json of the same model")
    text: dict[str, Any] = {new: config[old] for old, new in _NAMES.items() if config.get(old) is not None}
    for key in ("dim", "n_layers", "n_heads", "n_kv_heads", "hidden_dim", "head_dim", "vocab_size"):
        size(config, key)
    text |= {"model_type": "mistral", "sliding_window": None, **rest(config, *_READ)}
    notes: tuple[str, ...] = ()
    stated = config.get("max_position_embeddings") or config.get("max_seq_len")
    text["max_position_embeddings"] = stated or _CONTEXT
    if not stated:
        notes += (f"the file states no context: {_CONTEXT} tokens, transformers' default for Mistral",)
    if "torch_dtype" not in text and "dtype" not in text:
        text["torch_dtype"] = "bfloat16"
        notes += (BF16_NOTE,)
    _windows(text, config)
    yarn = section(config, "yarn")
    if yarn:
        text["rope_scaling"] = {"rope_type": "yarn", **yarn}
    quantized = _quantization(section(config, "quantization"))
    _experts(text, section(config, "moe"), bool(config.get("llama_4_scaling")))
    vision = multimodal.get("vision_encoder_args") or section(config, "vision_encoder")
    if vision:
        text = {"model_type": "mistral3", "text_config": text, **_vision(vision), "torch_dtype": text.get("torch_dtype")}
        text["tie_word_embeddings"] = text["text_config"].get("tie_word_embeddings", False)
    if quantized:
        text["quantization_config"] = quantized
    return Reading("mistral-params", text, notes)


def _windows(text: dict[str, Any], config: Mapping[str, Any]) -> None:
    """One window for every layer, or a list of windows that repeats, null for all tokens."""
    window = config.get("sliding_window")
    if isinstance(window, list) and window:
        sizes = {each for each in window if each is not None}
        if len(sizes) > 1:
            raise UnsupportedError(f"sliding_window holds windows of several sizes: {sorted(sizes)}", "one size is modelled")
        if not sizes:
            return
        repeated = window * -(-text["num_hidden_layers"] // len(window))
        kinds = ["full_attention" if each is None else "sliding_attention" for each in repeated[: text["num_hidden_layers"]]]
        # The mistral type has one window for all layers; ministral is the same model with a kind for each.
        text |= {"model_type": "ministral", "sliding_window": sizes.pop(), "layer_types": kinds}
    elif window:
        text["sliding_window"] = window


def _experts(text: dict[str, Any], moe: Mapping[str, Any], scaled: bool) -> None:
    if not moe and "kv_lora_rank" in text:
        raise UnsupportedError("MLA without moe: no such Mistral is known", "give the config.json of the same model")
    if not moe:
        if scaled:
            text["model_type"] = "ministral3"
        return
    if "kv_lora_rank" not in text:
        text |= {
            "model_type": "mixtral",
            "num_local_experts": size(moe, "num_experts"),
            "num_experts_per_tok": size(moe, "num_experts_per_tok"),
        }
        return
    text |= {
        "model_type": "deepseek_v3",
        "n_routed_experts": size(moe, "num_experts"),
        "num_experts_per_tok": size(moe, "num_experts_per_tok"),
        "moe_intermediate_size": size(moe, "expert_hidden_dim"),
        "n_shared_experts": moe.get("num_shared_experts", 0),
        "first_k_dense_replace": moe.get("first_k_dense_replace", 0),
    }
    text.pop("sliding_window", None)


def _vision(vision: Mapping[str, Any]) -> dict[str, Any]:
    tower = {
        "model_type": "pixtral",
        "hidden_size": size(vision, "hidden_size"),
        "intermediate_size": size(vision, "intermediate_size"),
        "num_hidden_layers": size(vision, "num_hidden_layers"),
        "num_attention_heads": size(vision, "num_attention_heads"),
        "num_channels": size(vision, "num_channels", 3),
        "patch_size": size(vision, "patch_size"),
        "image_size": vision.get("image_size", 1024),
    }
    outside = {"vision_config": tower, "multimodal_projector_bias": bool(vision.get("adapter_bias", True))}
    if vision.get("mm_projector_id", "") == "patch_merge":
        return {**outside, _PATCH_MERGE: size(vision, _PATCH_MERGE, 1)}
    raise UnsupportedError("a vision encoder without mm_projector_id patch_merge (Pixtral 12B) is not read", "give the config.json")


def _quantization(stated: Mapping[str, Any]) -> dict[str, Any] | None:
    """FP8 with one scale a tensor, or what compressed-tensors says."""
    if not stated:
        return None
    if stated.get("qformat_weight") == "fp8_e4m3":
        dynamic = stated.get("qscheme_act") == "NO_SCALES"
        return {"quant_method": "fp8", "activation_scheme": "dynamic" if dynamic else "static"}
    if str(stated.get("quant_method", "")).lower().replace("_", "-") == "compressed-tensors":
        return {**stated, "quant_method": "compressed-tensors"}
    raise UnsupportedError(f"quantization is {str(dict(stated))[:80]}: archcalc does not know it", "give the config.json")


def _mamba(config: Mapping[str, Any]) -> Reading:
    multiple = size(config, "pad_vocab_size_multiple", 1)
    made = {
        "model_type": "mamba2",
        "hidden_size": size(config, "dim"),
        "num_hidden_layers": size(config, "n_layers"),
        "vocab_size": -(-size(config, "vocab_size") // multiple) * multiple,
        "n_groups": size(config, "n_groups"),
        "expand": 2,
        "head_dim": 64,
        "num_heads": 2 * size(config, "dim") // 64,
        "state_size": 128,
        "tie_word_embeddings": bool(config.get("tie_embeddings", False)),
        "torch_dtype": "bfloat16",
    }
    return Reading("mistral-params", made, (BF16_NOTE,), context=False)
