"""Layers of two kinds in turn: what configs call them, and what to call them in print.

Source: transformers 5.23, configuration_utils.py `_LEGACY_LAYER_TYPE_REMAP`.
"""

from collections.abc import Sequence

from archcalc.arch._schema import per_layer
from archcalc.errors import UnsupportedError

SLIDING, CHUNKED, FULL, LINEAR = "sliding_attention", "chunked_attention", "full_attention", "linear_attention"
INDEXED, HYBRID = "indexed_attention", "hybrid"

_OLD_NAMES = {"mamba": LINEAR, "attention": FULL, "deepseek_sparse_attention": INDEXED, "qwen_sparse_attention": INDEXED}


def known_kinds(kinds: Sequence[str], key: str, *allowed: str) -> list[str]:
    """The kinds of layers under their current names, or an error that names one which is none of `allowed`."""
    current = [_OLD_NAMES.get(kind, kind) for kind in kinds]
    for kind in current:
        if kind not in allowed:
            raise UnsupportedError(f'{key} holds "{kind}": only {", ".join(allowed)} are known here')
    return current


def sparse_layers(kinds: Sequence[str] | None, default: Sequence[bool]) -> list[bool]:
    """Which layers' FFN is a mixture of experts, by `mlp_layer_types` where it is given."""
    if kinds is None:
        return list(default)
    for kind in per_layer(kinds, len(default), "mlp_layer_types"):
        if kind not in ("dense", "sparse"):
            raise UnsupportedError(f'mlp_layer_types holds "{kind}": only dense and sparse are known here')
    return [kind == "sparse" for kind in kinds]


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


def hybrid_label(kinds: Sequence[str], linear: str, attention: str) -> str:
    """`Mamba-2 + GQA (9:1)`, or the one name alone where all layers are of one kind.

    >>> hybrid_label(["linear_attention", "full_attention"], "Mamba-2", "GQA")
    'Mamba-2 + GQA (1:1)'
    """
    full = [kind for kind in kinds if kind != LINEAR]
    if full and len(full) < len(kinds):
        return f"{linear} + {attention} ({ratio([FULL if kind != LINEAR else kind for kind in kinds])})"
    return attention if full else linear
