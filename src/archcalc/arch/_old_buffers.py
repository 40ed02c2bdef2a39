"""Buffers that transformers once stored beside the weights: causal masks, rotary frequencies, position numbers.

Each was a persistent buffer until a release made it `persistent=False`, so a checkpoint saved before holds it; `transformers_version` says
which library saved it. A development version has what the release before it had or what its own has: the second is assumed. GPT-2's own
checkpoints are older than the key.

Sources: transformers 4.28.1, 4.30.2, 4.31.0, 4.32.0, 4.34.1 and 4.36.2: models/llama/modeling_llama.py `LlamaRotaryEmbedding`,
models/gpt_neox/modeling_gpt_neox.py `GPTNeoXAttention` and `RotaryEmbedding`, models/gpt2/modeling_gpt2.py `GPT2Attention`,
models/bert, roberta, xlm_roberta and clip (`position_ids`; 53 files of 4.30.2 register it, none of 4.31.0 stores it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from archcalc.model import Architecture, Buffer, Tensor

_POSITION_IDS = (4, 31)
# Tables of positions that stand beside their numbers.
_TABLES = ("embeddings.position_embeddings.weight", "embeddings.position_embedding.weight")
_LLAMA_FREQUENCIES = (4, 32)
_NEOX_MASKS, _NEOX_FREQUENCIES = (4, 31), (4, 36)
_GPT2_MASKS = (4, 30)


def stored(architecture: Architecture, config: Mapping[str, Any], name: str) -> Architecture:
    """The architecture with the buffers that its checkpoint holds, by the release that the config says saved it."""
    saved = _release(config.get("transformers_version"))
    found = tuple(_found(architecture, config, name, saved))
    return architecture._replace(buffers=found) if found else architecture


def _found(a: Architecture, config: Mapping[str, Any], name: str, saved: tuple[int, int] | None) -> Iterator[Buffer]:
    if name == "gpt2" and (saved is None or saved < _GPT2_MASKS):
        # Those without a version hold the mask as a float.
        yield from _in_layers(a, _mask("attn.bias", a, None if saved is None else "U8"))
    if saved is None:
        return
    if saved < _POSITION_IDS:
        for group in a.groups:
            for tensor in group.tensors:
                if tensor.name.endswith(_TABLES):
                    outer = tensor.name.rpartition(".position_embedding")[0]
                    ids = Tensor(f"{outer}.position_ids", (1, tensor.shape[0]), "other", kind="copy", dtype="I64")
                    yield Buffer("", group.part, (-1,), ids)
    if name == "llama" and saved < _LLAMA_FREQUENCIES and a.facts.head_dim:
        yield from _in_layers(a, _frequencies("self_attn.rotary_emb.inv_freq", a.facts.head_dim // 2))
    if name == "gpt_neox":
        if saved < _NEOX_MASKS:
            yield from _in_layers(a, _mask("attention.bias", a, "U8"))
            yield from _in_layers(a, Tensor("attention.masked_bias", (), "other", kind="copy"))
        if saved < _NEOX_FREQUENCIES and a.facts.head_dim:
            rotary_dim = int(a.facts.head_dim * a.facts.position.share)
            yield from _in_layers(a, _frequencies("attention.rotary_emb.inv_freq", rotary_dim // 2))


def _mask(name: str, a: Architecture, dtype: str | None) -> Tensor:
    tokens = a.facts.context_tokens or 0
    return Tensor(name, (1, 1, tokens, tokens), "other", kind="copy", dtype=dtype)


def _frequencies(name: str, count: int) -> Tensor:
    return Tensor(name, (count,), "other", kind="copy", dtype="F32")


def _in_layers(a: Architecture, tensor: Tensor) -> Iterator[Buffer]:
    for s in a.stacks:
        if s.part == "decoder":
            yield Buffer(f"{s.prefix}.", s.part, tuple(range(len(s.pattern))), tensor)


def _release(version: object) -> tuple[int, int] | None:
    """Major and minor, or None where none is stated."""
    found = re.match(r"(\d+)\.(\d+)", version) if isinstance(version, str) else None
    return (int(found[1]), int(found[2])) if found else None
