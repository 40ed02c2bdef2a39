"""Meta's params.json: Llama 1, 2, 3, 3.1, 3.2 (vision too) and Llama Guard.

Source: llama-models 0.3, models/llama3/args.py `ModelArgs` (defaults), models/llama3/model.py (FFN width), model_io of
multimodal/model.py (cross-attention layers); transformers 4.57, models/mllama/convert_mllama_weights_to_hf.py (their places).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import ConfigError, UnsupportedError
from archcalc.formats import Reading
from archcalc.formats._keys import BF16_NOTE, llama_width, rest, size, tied_by_release

_READ = (
    "dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "multiple_of", "ffn_dim_multiplier", "hidden_dim", "norm_eps",
    "rope_theta", "rope_freq_base", "use_scaled_rope", "rope_scaling_factor", "max_seq_len", "max_batch_size", "vision_chunk_size",
    "vision_max_num_chunks", "vision_num_cross_attention_layers", "tie_word_embeddings",
)  # fmt: skip
# What `use_scaled_rope` does: positions trained to 8192 are scaled to 131072.
_SCALED = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
}  # fmt: skip
_SCALED_CONTEXT = 131072


def read(config: Mapping[str, Any]) -> Reading:
    """The config of a Llama, or of Llama 3.2 Vision where the file has vision keys."""
    for key in ("moe_args", "vision_args", "quantization_args"):
        if config.get(key) and key != "quantization_args":
            raise UnsupportedError(f"{key}: Llama 4's params.json is not read", "give the config.json of the same model")
    if config.get("vocab_size") == -1:
        raise ConfigError(
            "vocab_size is -1: the tokenizer beside the weights decides it", "give it with --set vocab_size=32000", "vocab_size"
        )
    heads, scaled = size(config, "n_heads", 32), bool(config.get("use_scaled_rope"))
    tied, notes = tied_by_release(config, scaled)
    text = {
        "model_type": "llama",
        "hidden_size": size(config, "dim", 4096),
        "num_hidden_layers": size(config, "n_layers", 32),
        "num_attention_heads": heads,
        "num_key_value_heads": size(config, "n_kv_heads", heads),
        "intermediate_size": llama_width(config),
        "vocab_size": size(config, "vocab_size"),
        "rms_norm_eps": config.get("norm_eps", 1e-5),
        "rope_theta": config.get("rope_theta", config.get("rope_freq_base", 500000.0)),
        "tie_word_embeddings": tied,
        **rest(config, *_READ),
    }
    if scaled:
        text["rope_scaling"] = {**_SCALED, "factor": config.get("rope_scaling_factor") or _SCALED["factor"]}
        text["max_position_embeddings"] = _SCALED_CONTEXT
        notes += ("context: 131072 tokens, what use_scaled_rope scales to",)
    if "torch_dtype" not in text and "dtype" not in text:
        text["torch_dtype"] = "bfloat16"
        notes += (BF16_NOTE,)
    if config.get("vision_chunk_size") is not None:
        text = _with_vision(text, config)
    return Reading("meta-params", text, notes, scaled)


def _with_vision(text: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Cross-attention layers are added at equal distances; the tower is that of every release, but for the image's size."""
    own, added = text["num_hidden_layers"], size(config, "vision_num_cross_attention_layers")
    every = -(-own // added)
    tiles = size(config, "vision_max_num_chunks", 4)
    return {
        "model_type": "mllama",
        "torch_dtype": text.get("torch_dtype") or text.get("dtype"),
        "text_config": {
            **text,
            "model_type": "mllama_text_model",
            "num_hidden_layers": own + added,
            "cross_attention_layers": list(range(every - 1, own + added, every + 1)),
        },
        "vision_config": {
            "model_type": "mllama_vision_model",
            "image_size": size(config, "vision_chunk_size"),
            "max_num_tiles": tiles,
            "supported_aspect_ratios": [[w, h] for w in range(1, tiles + 1) for h in range(1, tiles + 1) if w * h <= tiles],
        },
    }
