"""torchchat's model_params: Llama, Granite and what else is written so.

Source: torchchat 0.1 (commit 01bb624), torchchat/model.py `TransformerArgs` (defaults, the FFN's width, `from_params`), and the
Granite branch of `TransformerArgs` (biases, tied head, multipliers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.formats import Reading
from archcalc.formats._keys import BF16_NOTE, llama_width, rest, section, size, tied_by_release

_READ = (
    "dim", "n_layers", "n_heads", "n_local_heads", "n_kv_heads", "vocab_size", "multiple_of", "ffn_dim_multiplier", "hidden_dim",
    "head_dim", "norm_eps", "rope_base", "rope_theta", "rope_scaling", "block_size", "max_seq_length", "use_tiktoken",
    "use_hf_tokenizer", "tokenizer_prepend_bos", "feed_forward_bias", "attention_bias", "tie_word_embeddings", "n_stages", "stage_idx",
    "max_seq_len", "num_layers", "num_heads", "num_kv_heads", "embed_dim",
)  # fmt: skip
_MULTIPLIERS = ("embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling")


def read(config: Mapping[str, Any]) -> Reading:
    """The config of a Llama, or of a Granite where there are multipliers."""
    if "model_type" in config:
        if config["model_type"] != "text_only":
            raise UnsupportedError(f"model_type {config['model_type']!r} of torchchat is not read", "give the model's config.json")
        config = section(section(config, "text"), "config") or section(config, "text")
    heads = size(config, "n_heads", 32)
    local = config.get("n_local_heads", config.get("n_kv_heads"))
    scaling = section(config, "rope_scaling")
    tied, notes = tied_by_release(config, bool(scaling))
    made = {
        "model_type": "granite" if any(key in config for key in _MULTIPLIERS) else "llama",
        "hidden_size": size(config, "dim", 4096),
        "num_hidden_layers": size(config, "n_layers", 32),
        "num_attention_heads": heads,
        "num_key_value_heads": heads if local in (None, -1) else size({"n_local_heads": local}, "n_local_heads"),
        "intermediate_size": llama_width(config),
        "vocab_size": size(config, "vocab_size", 32000),
        "max_position_embeddings": size(config, "block_size", 2048),
        "rope_theta": config.get("rope_base", config.get("rope_theta", 10000)),
        "attention_bias": bool(config.get("attention_bias", False)),
        "mlp_bias": bool(config.get("feed_forward_bias", False)),
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        **rest(config, *_READ),
    }
    if scaling:
        made["rope_scaling"] = {"rope_type": "llama3", **scaling}
    return Reading("torchchat", made, (*notes, BF16_NOTE))
