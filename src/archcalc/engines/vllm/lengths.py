"""The longest sequence that vLLM derives from a config, and the one that it serves where no `--max-model-len` is given.

Source: vLLM 0.8.5 to 0.33, config/model.py `_get_and_verify_max_len` (before 0.11 config/__init__.py, before 0.10.1 config.py); since
0.14 the keys are read by transformers_utils/model_arch_config_convertor.py `derive_max_model_len_and_key`.
"""

from __future__ import annotations

from math import isfinite

from archcalc.engines.plan import Length
from archcalc.engines.vllm.rules import rules
from archcalc.engines.vllm.settings import Settings
from archcalc.model import Architecture, Lengths

LIFTS = "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1"
UNSTATED = 2048
"""What is taken where a config states no length (`default_max_len`)."""
_KEPT = frozenset({"longrope", "llama3"})
_YARN = frozenset({"yarn", "deepseek_yarn", "deepseek_llama_scaling", "telechat3-yarn"})


def length(architecture: Architecture, version: str | None, own: Settings | None) -> Length:
    """What the release takes. `own` are a command's settings."""
    stated, context = architecture.lengths, architecture.facts.context_tokens
    allowed = own is not None and own.allows_longer
    if stated is None:
        return Length(context, architecture.longest, LIFTS, allowed)
    keys = dict(stated.keys)
    found = [*keys.values(), *([context] if context else [])]
    base = float(keys.get("model_max_length") or min(found, default=float("inf")))
    capped = own is not None and (own.caps_to_window or (bool(own.capped_by_backend) and _interleaved(architecture)))
    if capped and stated.window is not None:
        base = min(base, stated.window)
    if not isfinite(base):
        # Any length is taken then, and positions are scaled for none.
        return Length(int(_scaled(UNSTATED, stated, version)), None, LIFTS, allowed)
    longest = int(_scaled(base, stated, version))
    usual = longest
    if rules(version).longrope_original and any(rope.kind == "longrope" for rope in stated.ropes):
        usual = stated.original or longest
    # A longer `model_max_length` is taken for the most in any case.
    return Length(usual, max(longest, keys.get("model_max_length", 0)), LIFTS, allowed)


def _interleaved(architecture: Architecture) -> bool:
    """Whether some layers have a window and others none."""
    kinds = {c.kind for s in architecture.stacks if s.part == "decoder" for layer in s.kinds for c in layer.caches}
    return {"full", "sliding"} <= kinds


def _scaled(base: float, stated: Lengths, version: str | None) -> float:
    if not stated.ropes or stated.scaled:
        return base
    rule, factor = rules(version), 1.0
    for rope in stated.ropes:
        if rope.kind in _KEPT or (rope.kind in _YARN and rule.yarn_length == "as stated"):
            continue
        factor = rope.factor or factor
        if rope.kind == "yarn":
            # Beside the scaling or in it; transformers 5 puts the positions stated where neither is.
            outside = stated.original if rule.original_outside and not stated.nested else None
            base = outside or rope.original or base
    return base * factor


def window_refused(architecture: Architecture, version: str | None, own: Settings) -> str | None:
    """Why windows cannot be switched off; None where they can, or are not."""
    stated = architecture.lengths
    if not own.caps_to_window or stated is None or stated.scaled or rules(version).window_with_scaling:
        return None
    if all(rope.kind in _KEPT for rope in stated.ropes):
        return None
    return "--disable-sliding-window is refused for a model whose positions are scaled: up to 0.11.2 vLLM does not start so"
