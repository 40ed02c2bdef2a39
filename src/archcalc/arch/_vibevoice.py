"""Configs of VibeVoice in Microsoft's first form.

Source: transformers, src/transformers/models/vibevoice/convert_vibevoice_to_hf.py (`process_tokenizer_config`, `convert_checkpoint`).
"""

from math import isfinite
from typing import Any

from archcalc.errors import ConfigError

_OLD_TOKENIZER = {"encoder_n_filters": "num_filters", "encoder_depths": "depths", "vae_dim": "hidden_size"}
# What the first form tells of a tokenizer's decoder where it is not the encoder's mirror image, and of parts that have one form only.
_MIRRORED = ("decoder_depths", "decoder_n_filters", "decoder_ratios", "std_dist_type", "fix_std", "pad_mode", "conv_bias", "causal",
             "mixer_layer", "layernorm", "disable_last_norm", "conv_norm", "corpus_normalize", "layernorm_elementwise_affine",
             "layernorm_eps", "weight_init_value")  # fmt: skip


def restated(config: dict[str, Any]) -> dict[str, Any]:
    """The config as transformers writes it."""

    def tokenizer(old: Any) -> Any:
        if not isinstance(old, dict):
            return old
        new = {_OLD_TOKENIZER.get(key, key): value for key, value in old.items() if key not in (*_MIRRORED, "model_type")}
        if isinstance(new.get("depths"), str):
            new["depths"] = [int(depth) for depth in new["depths"].split("-") if depth.isdigit()]
        if isinstance(ratios := new.pop("encoder_ratios", None), list):
            new["downsampling_ratios"] = ratios[::-1]
        return new

    old = config.get("diffusion_head_config")
    head = dict(old) if isinstance(old, dict) else {}
    if isinstance(ratio := head.pop("head_ffn_ratio", None), (int, float)) and isinstance(width := head.get("hidden_size"), int):
        if not isfinite(ratio):
            path = "diffusion_head_config.head_ffn_ratio"
            raise ConfigError(f"{path} is {ratio}: a finite number was expected", f"correct {path}", path)
        head["intermediate_size"] = int(ratio * width)
    if (layers := head.pop("head_layers", None)) is not None:
        head["num_hidden_layers"] = layers
    moved = ("acoustic_tokenizer_config", "semantic_tokenizer_config", "decoder_config", "diffusion_head_config",
             "acoustic_vae_dim", "semantic_vae_dim")  # fmt: skip
    return {
        **{key: value for key, value in config.items() if key not in moved},
        "audio_config": tokenizer(config["acoustic_tokenizer_config"]),
        "semantic_model_config": tokenizer(config.get("semantic_tokenizer_config")),
        "text_config": config.get("decoder_config"),
        "diffusion_head_config": head,
    }
