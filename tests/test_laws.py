"""Arithmetic laws that hold for every bundled model and any workload."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import zoo
from archcalc.analysis.flops import decode_flops, forward_bytes
from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.figures import memory
from archcalc.model import Architecture, Layer, stack

SPECS: dict[str, Architecture] = {name: parse(zoo.config(name)) for name in zoo.names()}
models = st.sampled_from(sorted(SPECS))
tokens = st.integers(1, 2**21)


def cache_bytes(a: Architecture, n: int, batch: int = 1) -> int:
    return sum(k.bytes for k in memory.textbook(a, n, batch, 2))


@given(models, tokens, tokens)
def test_more_tokens_never_need_less_cache(name: str, some: int, more: int) -> None:
    a = SPECS[name]
    assert cache_bytes(a, some) <= cache_bytes(a, some + more)


@given(models, tokens, st.integers(1, 512))
def test_cache_is_linear_in_the_batch(name: str, n: int, batch: int) -> None:
    a = SPECS[name]
    assert cache_bytes(a, n, batch) == batch * cache_bytes(a, n)


@given(models, tokens)
def test_one_more_token_costs_what_is_said(name: str, n: int) -> None:
    a = SPECS[name]
    said = sum(k.bytes_per_token for k in memory.textbook(a, n, 1, 2))
    if all(cache.compress == 1 for s in a.stacks for layer in s.kinds for cache in layer.caches):
        assert cache_bytes(a, n + 1) - cache_bytes(a, n) == said


@given(models, tokens)
def test_a_state_does_not_grow(name: str, n: int) -> None:
    a = SPECS[name]
    assert sum(k.state_bytes for k in memory.textbook(a, n, 1, 2)) == sum(k.state_bytes for k in memory.textbook(a, 1, 1, 2))


@given(models, tokens, tokens)
def test_longer_contexts_never_cost_less_to_decode(name: str, some: int, more: int) -> None:
    a = SPECS[name]
    assert sum(decode_flops(a, some)) <= sum(decode_flops(a, some + more))
    assert forward_bytes(a, some, 2) < forward_bytes(a, some + more, 2)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_matrices_cost_two_operations_a_visited_weight(name: str) -> None:
    """Kaplan et al. 2020: 2N beyond the embedding; norms, biases and gains are no matrices and weigh next to nothing."""
    a = SPECS[name]
    visited = sum(c.active for c in components(a) if c.part in ("decoder", "head") and c.role != "embedding")
    if a.facts.tied_embeddings:
        visited += a.facts.vocab_size * a.facts.hidden_size
    assert 0.97 * 2 * visited < decode_flops(a, 1).matmul <= 2 * visited + 2**21


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80))
def test_folding_layers_keeps_their_order(kinds: list[int]) -> None:
    layers = [Layer(str(k), "", ()) for k in kinds]
    folded = stack("layers", "decoder", layers)
    assert [folded.kinds[k].mixer for k in folded.pattern] == [str(k) for k in kinds]
    assert sum(folded.counts()) == len(kinds)
    assert sorted(i for k in range(len(folded.kinds)) for i in folded.indices(k)) == list(range(len(kinds)))


def test_folding_takes_no_new_layer_for_one_that_is_gone() -> None:
    """Layers made on the way live at the addresses of those dropped before."""
    folded = stack("layers", "decoder", (Layer(str(i % 3), "", ()) for i in range(3000)))
    assert [folded.kinds[k].mixer for k in folded.pattern] == [str(i % 3) for i in range(3000)]


@settings(max_examples=60)
@given(
    st.integers(1, 8), st.integers(1, 6), st.integers(1, 16), st.integers(1, 64), st.integers(1, 32), st.booleans(), st.booleans()
)
def test_llama_is_the_formula_of_its_shape(
    kv_heads: int, group: int, head_dim: int, ffn: int, layers: int, tied: bool, bias: bool
) -> None:
    """The sum over tensors equals the closed form of the Llama architecture (Touvron et al. 2023) for any shape."""
    heads, hidden, vocab = kv_heads * group, 8 * kv_heads * group, 97
    config = {
        "model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "head_dim": head_dim, "intermediate_size": ffn, "vocab_size": vocab,
        "tie_word_embeddings": tied, "attention_bias": bias,
    }  # fmt: skip
    q, kv = heads * head_dim, kv_heads * head_dim
    layer = 2 * hidden * q + 2 * hidden * kv + (q + 2 * kv + hidden) * bias + 3 * hidden * ffn + 2 * hidden
    total = vocab * hidden * (1 if tied else 2) + layers * layer + hidden
    assert sum(c.total for c in components(parse(config))) == total


@pytest.mark.parametrize("name", sorted(SPECS))
def test_key_order_changes_nothing(name: str) -> None:
    config = zoo.config(name)
    turned = json.loads(json.dumps(dict(reversed(list(config.items())))))
    assert parse(turned) == SPECS[name]
