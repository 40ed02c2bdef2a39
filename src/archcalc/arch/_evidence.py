"""Whether a config that no adapter reads speaks of a decoder: only then is there anything to guess.

The guess is Llama's shape, so that is what a config must show: a class that predicts the next token, or rotary positions and RMSNorm in a
model that is all text. What it holds of other kinds of models (encoders, speech, images, diffusion, other mixers, layers that are run
several times) means that figures of that shape would be far off.

Source: the keys of all config classes of transformers 5.24, models/*/configuration_*.py; tests/data/guesses.jsonl has what the rules
make of the types that archcalc does not read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_DECODER = re.compile(r"(ForCausalLM|LMHeadModel|ForConditionalGeneration)")
_ROPE = ("rope_parameters", "rope_theta", "rope_scaling", "rotary_emb_base", "rotary_dim", "partial_rotary_factor")
_RMS = ("rms_norm_eps", "rms_norm_epsilon")

# Keys that a plain decoder does not have, by what they speak of. Null and false say that there is none.
_AGAINST: tuple[tuple[str, str], ...] = (
    (
        "another mixer than attention over keys and values",
        r"^(kv_lora_rank|ssm_|mamba_|state_size|conv_kernel|layers_block_type|hybrid_override_pattern|block_configs|linear_|time_mix_)",
    ),
    ("layers that differ or are run several times", r"^(per_layer_config)$|(^|_)(loop|loops|recurrent|recurrence)(_|$)"),
    (
        "an encoder",
        r"^(num_)?encoder_|^cross_|^type_vocab_size$|^entity_|^classifier_pooling$|^prediction_head_size$|^pooler_|^project(ion)?_dim$"
        r"|^decoder_(layers|bias|attention_heads|ffn_dim)$|^num_decoder_layers$|^lookup_table$|^relative_attention_num_buckets$"
        r"|^hidden_size_global$",
    ),
    (
        "sound",
        r"(^|_)(mel|spectrogram|codebook|codebooks|codec|wavenet|resblock|speaker|speakers|vocoder)(_|$)|^audio_vocab|^sampling_rate$"
        r"|^sample_rate$|^frame_rate$|^feat_|^conv_(dim|stride)$|^flow_size$|^mask_time_|^duration_|^audio_(?!config$|token)",
    ),
    ("images", r"^(image_size|patch_size|num_channels|patch_length|num_image_with_embedding)$"),
    ("diffusion", r"(^|_)diffusion(_|$)|^latent_(dim|size)$|^noise_|^num_timesteps$|^canvas_"),
)  # fmt: skip
_TOWERS = re.compile(r"vision|visual|vit|audio|image|speech|projector|adapter", re.IGNORECASE)
_MODEL = ("hidden_size", "num_hidden_layers", "d_model", "n_layer", "num_layers")


def against(config: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    """Why the config is not that of a plain decoder, in words; empty where it is. `text` is the part that tells of the text model."""
    return next(_objections(config, text), "")


def unsaid(config: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    """What a decoder's config states and this one does not, in words; empty where its class or its keys say enough."""
    if any("ForCausalLM" in name or "LMHeadModel" in name for name in _classes(config)) or _automatic(config):
        return ""
    missing = [what for what, keys in (("rotary positions", _ROPE), ("RMSNorm", _RMS)) if all(text.get(k) is None for k in keys)]
    return f"neither its class nor its keys speak of a decoder ({' and '.join(missing)} not stated)" if missing else ""


def towers(config: Mapping[str, Any], text: Mapping[str, Any]) -> list[str]:
    """The keys that hold configs of other models beside the text model's."""
    return [key for key, value in config.items() if isinstance(value, Mapping) and value is not text and _is_model(value)]


def _objections(config: Mapping[str, Any], text: Mapping[str, Any]) -> Iterator[str]:
    if config.get("is_encoder_decoder") or text.get("is_encoder_decoder"):
        yield "is_encoder_decoder says that it has an encoder"
    classes = _classes(config)
    if classes and not any(_DECODER.search(name) for name in classes) and not _automatic(config):
        yield f"architectures names {classes[0]}, which is not known to predict the next token"
    for part in (text,) if text is config else (text, config):
        for what, keys in _AGAINST:
            found = next((key for key, value in part.items() if value not in (None, False) and re.search(keys, key)), None)
            if found:
                yield f"{found} speaks of {what}"
    if others := [key for key in towers(config, text) if not _TOWERS.search(key)]:
        yield f"{others[0]} is a model of its own beside the text model"


def _classes(config: Mapping[str, Any]) -> list[str]:
    named = config.get("architectures")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _automatic(config: Mapping[str, Any]) -> bool:
    """Whether code beside the checkpoint gives it a class that predicts the next token."""
    return isinstance(given := config.get("auto_map"), Mapping) and "AutoModelForCausalLM" in given


def _is_model(value: Mapping[str, Any]) -> bool:
    return "model_type" in value or any(key in value for key in _MODEL)
