"""Types that no reference has: their tensors are what an engine's code reads, and they say that nothing was compared.

Source: llama.cpp (llama-cpp-python 0.3.36), src/models/*.cpp `load_arch_tensors`, the elements of one layer of each.
"""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture

H, V, N, KV, D, I, E = 64, 320, 4, 2, 16, 48, 8  # noqa: E741
PLAIN = {
    "hidden_size": H, "num_hidden_layers": 2, "num_attention_heads": N, "num_key_value_heads": KV, "head_dim": D,
    "intermediate_size": I, "vocab_size": V, "tie_word_embeddings": False,
}  # fmt: skip
GPT = {"n_embd": H, "n_layer": 2, "n_head": N, "vocab_size": V, "n_positions": 128}
QKV, OUT = H * (N + 2 * KV) * D, N * D * H
FFN = 3 * H * I
EXPERTS = E * FFN + H * E
OUTSIDE = 2 * V * H + H
REFACT = 256  # 2/3 of four times the width, up to a multiple of 256

CASES: dict[str, tuple[dict[str, Any], int]] = {
    "Dream": ({**PLAIN, "architectures": ["DreamModel"]}, OUTSIDE + 2 * (QKV + (N + 2 * KV) * D + OUT + FFN + 2 * H)),
    "maincoder": (PLAIN, OUTSIDE + 2 * (QKV + OUT + FFN + 2 * D + 2 * H)),
    "sdar": (PLAIN, OUTSIDE + 2 * (QKV + OUT + FFN + 2 * D + 2 * H)),
    "rnd1": (
        {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I},
        OUTSIDE + 2 * (QKV + OUT + EXPERTS + 2 * D + 2 * H),
    ),
    "grove_moe": (
        {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I},
        OUTSIDE + 2 * (QKV + OUT + EXPERTS + E // 2 * 3 * H * D + 2 * D + 2 * H),
    ),
    "smallthinker": (
        {**PLAIN, "moe_num_primary_experts": E, "moe_num_active_primary_experts": 2, "moe_ffn_hidden_size": I,
         "sliding_window_layout": [0, 1], "sliding_window_size": 32, "rope_layout": [0, 1]},
        OUTSIDE + 2 * (QKV + OUT + EXPERTS + 2 * H),
    ),
    "llada": (
        {"d_model": H, "n_heads": N, "n_kv_heads": KV, "n_layers": 2, "mlp_hidden_size": I, "vocab_size": V, "embedding_size": V},
        OUTSIDE + 2 * (QKV + OUT + FFN + 2 * H),
    ),
    "llada_moe": (
        {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "expert_intermediate_size": I},
        OUTSIDE + 2 * (QKV + OUT + EXPERTS + 2 * D + 2 * H),
    ),
    "plm": (
        {**PLAIN, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "tie_word_embeddings": True},
        V * H + H + 2 * (H * N * 24 + H * 40 + 32 + 32 * N * 32 + N * 16 * H + 2 * H * I + 2 * H),
    ),
    "youtu_llm": (
        {**PLAIN, "kv_lora_rank": 32, "q_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16},
        OUTSIDE + 2 * (H * 24 + 24 + 24 * N * 24 + H * 40 + 32 + 32 * N * 32 + N * 16 * H + FFN + 2 * H),
    ),
    "maple": (
        {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I, "sliding_window": 32,
         "layer_types": ["sliding_attention", "full_attention"]},
        OUTSIDE + 2 * (QKV + OUT + EXPERTS + 2 * D + 2 * H),
    ),
    "jais": ({**GPT, "n_inner": I, "tie_word_embeddings": False}, OUTSIDE + H + 2 * (4 * H * H + 4 * H + FFN + 2 * I + H + 4 * H)),
    "gpt_refact": (GPT, OUTSIDE + 2 * (H * H + 2 * H * D + H * H + 3 * H * REFACT + 2 * H)),
    "codeshell": (
        {**GPT, "n_inner": I, "num_query_groups": KV},
        OUTSIDE + H + 2 * (QKV + (N + 2 * KV) * D + OUT + H + 2 * H * I + I + H + 4 * H),
    ),
    "rwkv6": (
        {"hidden_size": H, "num_hidden_layers": 2, "vocab_size": V, "head_size": D, "intermediate_size": I},
        # The tables, norms at both ends, and per layer: two norms, mixing, decay, bonus, five projections, a norm, channel mixing.
        2 * V * H + 4 * H
        + 2 * (4 * H + H * 160 + 32 * 5 * H + 6 * H + H + 2 * H * 64 + H + 5 * H * H + 2 * H + 2 * H + 2 * H * I + H * H),
    ),
}  # fmt: skip


def total(a: Architecture) -> int:
    return sum(t.elements * n for _, t, n in a.each_tensor() if t.counted)


@pytest.mark.parametrize("kind", CASES)
def test_tensors_are_those_that_the_engine_reads(kind: str) -> None:
    config, elements = CASES[kind]
    a = parse({"model_type": kind, **config})
    assert total(a) == elements
    assert (a.status, a.unmodelled_keys) == ("partial", ())
    assert any("compared with no checkpoint" in note for note in a.notes)


PUZZLE = {
    "hidden_size": H, "vocab_size": V, "num_attention_heads": N, "num_key_value_heads": KV, "head_dim": D, "n_routed_experts": E,
    "num_experts_per_tok": 2, "moe_intermediate_size": I, "moe_shared_expert_intermediate_size": I, "mamba_num_heads": 4,
    "mamba_head_dim": D, "ssm_state_size": 8, "n_groups": 1,
}  # fmt: skip
BLOCKS: list[dict[str, Any]] = [
    {"block_type": "mamba"}, {"block_type": "moe", "n_routed_experts": 6}, {"block_type": "attention", "num_key_value_heads": 1},
    {"block_type": "moe"},
]  # fmt: skip


def test_a_puzzle_holds_what_each_block_states() -> None:
    whole = parse({"model_type": "nemotron_h", "hybrid_override_pattern": "ME*E", **PUZZLE})
    puzzle = parse({"model_type": "nemotron_h_puzzle", "block_configs": BLOCKS, **PUZZLE})
    # Two experts less, each with its router's row and bias; one head of keys and values less.
    assert total(whole) - total(puzzle) == 2 * (2 * H * I + H + 1) + 2 * H * D
    caches = [c for s in puzzle.stacks for layer in s.kinds for c in layer.caches if c.kind == "full"]
    assert [c.heads for c in caches] == [1]
    assert puzzle.facts.moe is not None and puzzle.facts.moe.experts == E


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([{"block_type": "zzz"}], "block_configs.0.block_type is 'zzz'"),
        ([{"block_type": "moe", "zzz": 2}], "block_configs.0 holds zzz"),
        ([{"block_type": "moe", "n_routed_experts": 0}], "block_configs.0.n_routed_experts is 0"),
        ([{"block_type": "moe"}] * 3, "block_configs has 3 entries for 4 layers"),
        ([{"block_type": "moe"}] * 4, "name different layers"),
    ],
)
def test_a_puzzle_whose_blocks_are_not_known_is_refused(blocks: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ArchcalcError, match=message):
        pattern = {"hybrid_override_pattern": "ME*E"} if len(blocks) > 1 else {}
        parse({"model_type": "nemotron_h_puzzle", "block_configs": blocks, **pattern, **PUZZLE})


def test_diffusion_over_the_whole_text_caches_nothing() -> None:
    for kind in ("Dream", "rnd1", "llada", "llada_moe"):
        a = parse({"model_type": kind, **CASES[kind][0]})
        assert not any(layer.caches for s in a.stacks for layer in s.kinds), kind
    assert all(layer.caches for s in parse({"model_type": "sdar", **PLAIN}).stacks for layer in s.kinds)
