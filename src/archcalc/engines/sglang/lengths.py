"""The longest sequence that SGLang derives from a config, which is also what it serves where no `--context-length` is given.

Sources, read in releases from 0.3.6 to 0.5.23: srt/hf_transformers_utils.py `get_context_length` (the same body in all of them,
since 0.5.10 in srt/utils/hf_transformers/common.py), srt/configs/model_config.py (a longer one is refused; 0.4.4 to 0.4.10 took
`SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN` for set where it was not).
"""

from __future__ import annotations

from archcalc.engines.plan import Length
from archcalc.engines.sglang.rules import since
from archcalc.engines.sglang.settings import Settings
from archcalc.model import Architecture

LIFTS = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1"
_KEYS = ("max_sequence_length", "seq_length", "max_seq_len", "model_max_length", "max_position_embeddings")
UNSTATED = 2048


def allows_by_itself(version: str | None) -> bool:
    """Whether a longer context is taken with a warning alone."""
    return since(version, 0, 4, 4) and not since(version, 0, 5, 1)


def length(architecture: Architecture, version: str | None, own: Settings | None) -> Length:
    """What the release takes. `own` are a command's settings."""
    stated, context = architecture.lengths, architecture.facts.context_tokens
    allowed = own is not None and (allows_by_itself(version) if own.allows_longer is None else own.allows_longer)
    if stated is None:
        return Length(context, architecture.longest, LIFTS, allowed)
    keys = dict(stated.keys)
    base = next((keys[key] for key in _KEYS if key in keys), context or UNSTATED)
    factor = 1.0
    # Scalings of kinds of layers are one level deeper than the key that is looked for; transformers 5 moves Gemma 3's there.
    if len(stated.ropes) == 1 and not stated.nested and not (stated.scaled and since(version, 0, 5, 10)):
        (rope,) = stated.ropes
        original = rope.original
        if since(version, 0, 5, 10) and rope.kind in ("yarn", "longrope"):
            # transformers 5 puts the positions stated where none are.
            original = original or base
        if not original and rope.kind != "llama3" and rope.factor:
            factor = rope.factor
    longest = int(factor * base)
    return Length(longest, longest, LIFTS, allowed)
