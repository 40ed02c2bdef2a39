"""What to call layers of two kinds in turn."""

from __future__ import annotations

from collections.abc import Sequence

SLIDING, CHUNKED, FULL = "sliding_attention", "chunked_attention", "full_attention"


def ratio(kinds: Sequence[str]) -> str:
    """How many other layers there are to one full layer; the two counts where the pattern is not regular.

    >>> ratio(["sliding", "sliding", "full_attention", "sliding", "sliding", "full_attention", "sliding"])
    '2:1'
    """
    runs, run = [], 0
    for kind in kinds:
        if kind == FULL:
            runs.append(run)
            run = 0
        else:
            run += 1
    if runs and runs[0] and run <= runs[0] and len(set(runs)) == 1:
        return f"{runs[0]}:1"
    full = sum(kind == FULL for kind in kinds)
    return f"{len(kinds) - full}:{full}"


def mixed_label(kinds: Sequence[str], sharing: str) -> str:
    """`sliding + full GQA (5:1)`, or `GQA` alone where every layer sees everything."""
    words = [word for word, kind in (("sliding", SLIDING), ("chunked", CHUNKED), ("full", FULL)) if kind in kinds]
    if words == ["full"]:
        return sharing
    return f"{' + '.join(words)} {sharing}" + (f" ({ratio(kinds)})" if len(words) > 1 else "")
