"""An architecture counted from a checkpoint's headers, for a model that no adapter reads.

Every tensor is counted as it lies in the files; what they do not say (caches, which experts a token visits) stays unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.errors import UnsupportedError
from archcalc.formats.headers import Header, Held
from archcalc.model import Architecture, Facts, Group, Layer, Part, Position, Role, Stack, Tensor

_NUMBER = re.compile(r"(?:^|(?<=\.))(\d{1,9})(?=\.)", re.ASCII)
_PARTS: tuple[tuple[str, Part], ...] = (
    (r"mtp|nextn", "mtp"),
    (r"vision|visual|vit\b|image|mm_projector|multi_modal_projector|mmproj|^v\.", "vision"),
    (r"audio|speech|whisper|conformer", "audio"),
    (r"lm_head|^output\.|embed_out", "head"),
    (r"embed|wte|wpe|token_embd|position_embd", "embedding"),
)
_ROLES: tuple[tuple[str, Role], ...] = (
    (r"shared_expert|shexp", "shared_experts"),
    (r"experts|_exps\b|_exps\.", "experts"),
    (r"router|gate_inp|mlp\.gate\.|moe\.gate\.|ffn\.gate\.|exp_probs_b", "router"),
    (r"norm|ln_\d|ln_f|layernorm", "norm"),
    (r"attn|attention|mixer|ssm|mamba", "attention"),
    (r"mlp|ffn|feed_forward|fc\d", "mlp"),
)
# Floating-point numbers are parameters; packed weights and tables of integers are counted as they lie there, and said to be.
_FLOATS = frozenset(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2"))


OTHERS = "the files hold other tensors than the model's config says: archcalc verify names them"


def architecture(header: Header, config: Mapping[str, Any], why: str) -> Architecture:
    """The tensors of `header`, folded by layer; facts are those that a config or GGUF's metadata state by their usual keys."""
    if any(held.shape is None for held in header.tensors.values()):
        raise UnsupportedError(
            f"{why}, and the index at hand gives names without shapes", "give the .safetensors files, or a config.json"
        )
    outside: dict[Part, list[Tensor]] = {}
    layers: dict[str, dict[int, list[Tensor]]] = {}
    for name, held in header.tensors.items():
        number = _NUMBER.search(name)
        # Braces mark layers and experts in names that stand for many.
        if number is None or not number.start() or "{" in name or "}" in name:
            part = _part(name)
            outside.setdefault(part, []).append(_tensor(name, held, part))
            continue
        prefix, index, rest = name[: number.start()].rstrip("."), int(number[1]), name[number.end() + 1 :]
        layers.setdefault(prefix, {}).setdefault(index, []).append(_tensor(rest, held, None))
    groups = tuple(Group(part, tuple(tensors)) for part, tensors in outside.items())
    stacks = tuple(made for prefix, numbered in layers.items() for made in _stacks(prefix, numbered))
    dtypes: dict[str | None, int] = {}
    for held in header.tensors.values():
        dtypes[held.dtype] = dtypes.get(held.dtype, 0) + held.elements
    notes = [f"{why}: counted from the headers of {_files(header)}; what it caches and which experts a token visits is not known"]
    packed = sorted(str(dtype) for dtype in dtypes.keys() - _FLOATS)
    if packed and header.format == "safetensors":
        notes.append(f"tensors of {', '.join(packed)} are counted as they are stored, packed weights packed")
    return Architecture(
        str(config.get("model_type") or header.metadata.get("general.architecture") or "unknown"),
        groups, stacks, _facts(header, config), dtype=max(dtypes, key=lambda dtype: dtypes[dtype], default=None), status="header",
        notes=(*notes, *header.notes),
    )  # fmt: skip


def checkpoint(header: Header, predicted: report.Checkpoint | None) -> tuple[report.Checkpoint, list[str]]:
    """What the files hold, and notes where the config would have them hold something else."""
    from archcalc.formats.safetensors import BITS
    from archcalc.quant.gguf import block_bytes

    by_dtype: dict[str, int] = {}
    size = 0
    for held in header.tensors.values():
        dtype = str(held.dtype)
        by_dtype[dtype] = by_dtype.get(dtype, 0) + held.elements
        size += held.elements * BITS[dtype] // 8 if dtype in BITS else block_bytes(dtype, held.elements) or 0
    total = sum(by_dtype.values())
    notes = list(header.notes)
    if predicted is not None and predicted.stored_elements != total:
        notes.append(OTHERS)
    elif predicted is not None and predicted.bytes != size:
        notes.append(
            "the files hold their tensors in other types than is usual for what they are called: bytes are those of the files"
        )
    return report.Checkpoint(total, size, by_dtype, total), notes


def _files(header: Header) -> str:
    return header.files[0] if len(header.files) == 1 else f"{len(header.files)} files"


def _stacks(prefix: str, numbered: dict[int, list[Tensor]]) -> list[Stack]:
    """One stack for each run of numbers, equal layers folded."""
    found, start = [], None
    part = _part(f"{prefix}.", layered=True)
    kinds: dict[tuple[Tensor, ...], int] = {}
    pattern: list[int] = []
    previous = None
    for index in sorted(numbered):
        if previous is not None and index != previous + 1:
            found.append(_stack(prefix, part, kinds, pattern, start or 0))
            kinds, pattern, start = {}, [], None
        start = index if start is None else start
        pattern.append(kinds.setdefault(tuple(sorted(numbered[index])), len(kinds)))
        previous = index
    found.append(_stack(prefix, part, kinds, pattern, start or 0))
    return found


def _stack(prefix: str, part: Part, kinds: dict[tuple[Tensor, ...], int], pattern: list[int], start: int) -> Stack:
    return Stack(prefix, part, tuple(Layer("not known", "none", tensors) for tensors in kinds), tuple(pattern), start)


def _part(name: str, layered: bool = False) -> Part:
    found = next((part for pattern, part in _PARTS if re.search(pattern, name)), None)
    if layered:
        known = re.search(r"(^|\.)(layers|h|blk|blocks|block|decoder)\.$", name)
        return found if found in ("mtp", "vision", "audio") else "decoder" if known else "other"
    return found or ("decoder" if re.search(r"norm|ln_f", name) else "other")


def _tensor(name: str, held: Held, part: Part | None) -> Tensor:
    role: Role = part if part in ("embedding", "head") else next((r for pattern, r in _ROLES if re.search(pattern, name)), "other")
    return Tensor(name, held.shape or (), role, dtype=held.dtype)


def _facts(header: Header, config: Mapping[str, Any]) -> Facts:
    if header.format == "gguf":
        from archcalc.formats.gguf_config import facts_of

        stated: Mapping[str, Any] = facts_of(header)
    else:
        nested = config.get("text_config")
        stated = nested if isinstance(nested, Mapping) else config

    def number(key: str) -> int | None:
        value = stated.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40 else None

    table = next(
        (held.shape for name, held in header.tensors.items() if re.search(r"(embed_tokens|wte|token_embd|word_embeddings)\.weight$", name)),
        None,
    )  # fmt: skip
    rows, width = table if table and len(table) == 2 else (0, 0)
    heads = number("num_attention_heads") or 0
    return Facts(
        hidden_size=number("hidden_size") or width, vocab_size=number("vocab_size") or rows,
        context_tokens=number("max_position_embeddings"), attention="not known", heads=heads,
        kv_heads=number("num_key_value_heads") or 0, head_dim=number("head_dim") or 0, norm="not known", activation="not known",
        position=Position("unknown", "not known"), intermediate_size=number("intermediate_size"),
    )  # fmt: skip
