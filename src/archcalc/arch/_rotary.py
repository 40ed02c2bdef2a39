"""The tables of cosines and sines that engines precompute for rotary positions, read off any config.

Positions that are interpolated past their original range have a row each; M-RoPE has four for each position, as images repeat them;
LongRoPE one table for each of its two sets of factors. Layers of other kinds with another base have a table of their own.

Source: vLLM 0.33, layers/rotary_embedding/__init__.py `get_rope`, and `_compute_cos_sin_cache` of linear_scaling_rope.py,
yarn_scaling_rope.py, deepseek_scaling_rope.py, phi3_long_rope_scaled_rope.py, mrope.py and gemma4_rope.py.
"""

from collections.abc import Mapping
from typing import Any

from archcalc.model import Facts


def tables(config: Mapping[str, Any], facts: Facts) -> tuple[tuple[int, int], ...]:
    """Rows and width of each table; none where positions are not rotary."""
    positions = facts.context_tokens
    if positions is None or facts.position.kind != "rotary":
        return ()
    text = text_of(config)
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    rope = rope if isinstance(rope, Mapping) else {}
    kinds = [kind for kind in rope.values() if isinstance(kind, Mapping)] or [rope]
    # Gemma 3 has another base in its sliding layers, stated or not.
    if len(kinds) == 1 and (
        text.get("rope_local_base_freq") or str(text.get("model_type", config.get("model_type"))).startswith("gemma3")
    ):
        kinds.append({})
    found = []
    for i, kind in enumerate(kinds):
        table = _rows(text, kind, positions), _width(text, kind, facts)
        if table[1] > 0 and kind not in kinds[:i]:
            found.append(table)
    return tuple(found)


def stretched(config: Mapping[str, Any], facts: Facts) -> int | None:
    """The positions that linear or dynamic scaling reaches: engines multiply the context by the factor, but for Gemma 3, which states the
    scaled one (vLLM 0.33, config/model.py `_get_and_verify_max_len`; SGLang, hf_transformers/common.py `get_context_length`)."""
    positions, text = facts.context_tokens, text_of(config)
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    if positions is None or not isinstance(rope, Mapping) or "gemma3" in str(config.get("model_type")):
        return None
    factor = rope.get("factor")
    scaled = rope.get("rope_type", rope.get("type")) in ("linear", "dynamic") and "original_max_position_embeddings" not in rope
    if not scaled or not isinstance(factor, (int, float)) or not 1 < factor < 2**20:
        return None
    return int(positions * factor)


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the text model, which may be nested."""
    for key, value in config.items():
        if key in ("text_config", "llm_config", "language_config", "thinker_config", "decoder") and isinstance(value, Mapping):
            return text_of(value)
    return config


def words_of(config: Mapping[str, Any]) -> dict[str, str | int]:
    """What the text model's config states in words, switches and whole numbers, and what is said so of a projector beside it."""
    beside = {key: value for key, value in config.items() if key.startswith("projector_")}
    return {key: value for key, value in {**beside, **text_of(config)}.items() if isinstance(value, (str, int))}


def _rows(text: Mapping[str, Any], rope: Mapping[str, Any], positions: int) -> int:
    kind = rope.get("rope_type", rope.get("type"))
    factor = rope.get("factor")
    if not isinstance(factor, (int, float)) or not 0 < factor < 2**20:
        factor = None
    original = rope.get("original_max_position_embeddings") or text.get("original_max_position_embeddings")
    original = original if isinstance(original, int) and original > 0 else positions
    rows = positions
    if factor is not None and kind == "linear":
        rows = int(positions * factor)
    elif factor is not None and kind == "yarn":
        rows = int(original * factor)
    elif kind in ("longrope", "su"):
        rows = positions + original
    return rows * 4 if "mrope_section" in rope else rows


def _width(text: Mapping[str, Any], rope: Mapping[str, Any], facts: Facts) -> int:
    if rope.get("rope_type", rope.get("type")) == "proportional":
        # Every pair of the wide head has a column, those that are not rotated too.
        width = text.get("global_head_dim")
        return width if isinstance(width, int) else facts.head_dim
    shared = text.get("qk_rope_head_dim")
    if isinstance(shared, int):
        return shared
    stated = text.get("rotary_dim")
    if isinstance(stated, int):
        return stated
    for share in (rope.get("partial_rotary_factor"), text.get("partial_rotary_factor"), text.get("rotary_pct")):
        if isinstance(share, (int, float)) and 0 < share <= 1:
            return int(facts.head_dim * share)
    return round(facts.head_dim * facts.position.share)
