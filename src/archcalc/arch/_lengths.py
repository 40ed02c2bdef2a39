"""What a config says of the tokens that its text model reads, as it stands: engines derive their own maximum from it, each in its way.

Sources: vLLM 0.33, transformers_utils/model_arch_config_convertor.py `derive_max_model_len_and_key`, config/model.py
`_get_and_verify_max_len`; SGLang 0.5.23, srt/utils/hf_transformers/common.py `get_context_length`; transformers 5.24,
modeling_rope_utils.py `standardize_rope_params`.
"""

from collections.abc import Mapping
from typing import Any

from archcalc.arch._rotary import text_of
from archcalc.model import Lengths, Rope

KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "max_target_positions",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
"""Every key that one of the engines looks at."""
# The default of a class that has the key beside its scaling (transformers 5.24, models/phi3/configuration_phi3.py and
# phi4_multimodal/); PhimoeConfig takes it out of the scaling.
_ORIGINALS = {"phi3": 4096, "phi3_v": 4096, "phi4_multimodal": 4096, "phi4mm": 4096}
_OUT_OF_SCALING = frozenset({"phimoe"})


def of(config: Mapping[str, Any]) -> Lengths:
    """Read off any config; what is no number is left out."""
    text = text_of(config)
    types = str(text.get("model_type", "")), str(config.get("model_type", ""))
    stated = text.get("rope_parameters") or text.get("rope_scaling")
    stated = stated if isinstance(stated, Mapping) else {}
    inner = [kind for kind in stated.values() if isinstance(kind, Mapping)]
    ropes = tuple(_rope(kind) for kind in (inner or [stated]) if kind)
    original = _number(text.get("original_max_position_embeddings"))
    if original is None and any(kind in _OUT_OF_SCALING for kind in types):
        original = next((rope.original for rope in ropes if rope.original), None)
    if original is None:
        original = next((_ORIGINALS[kind] for kind in types if kind in _ORIGINALS), None)
    # A class that uses no window drops the one it states.
    window = None if text.get("use_sliding_window") is False else _number(text.get("sliding_window"))
    return Lengths(
        tuple((key, found) for key in KEYS if (found := _number(text.get(key))) is not None),
        ropes,
        bool(inner),
        original,
        window,
        any("gemma3" in kind for kind in types),
    )


def _rope(stated: Mapping[str, Any]) -> Rope:
    kind = stated.get("rope_type", stated.get("type"))
    factor = stated.get("factor")
    known = isinstance(factor, (int, float)) and not isinstance(factor, bool) and 0 < factor < 2**20
    # Earlier names of the same (vLLM, transformers_utils/config.py `patch_legacy_rope_type`).
    kind = {"su": "longrope", "mrope": "default"}.get(str(kind), str(kind or "default"))
    return Rope(kind, float(factor) if known else None, _number(stated.get("original_max_position_embeddings")))  # type: ignore[arg-type]


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**48 else None
