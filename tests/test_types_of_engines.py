"""Types that no reference has: their tensors are what an engine's code reads, and they say that nothing was compared.

Source: llama.cpp (llama-cpp-python 0.3.36), src/models/*.cpp `load_arch_tensors`, the elements of one layer of each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import _UNCOMPARED, parse
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture
from test_golden import listed, wanted

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
WHISPER = 1280
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
    # vLLM 0.33, models/rnj1.py: Gemma's four norms and QK-norm.
    "rnj1": (PLAIN, OUTSIDE + 2 * (QKV + OUT + FFN + 2 * D + 4 * H)),
    # models/domyn_edge.py: queries are normalized without a gain; the second layer's heads are half as wide.
    "domyn_edge": (
        {**PLAIN, "position_layers": ["rope", "nope"], "window_sizes": [[31, 0], [-1, -1]],
         "per_layer_config": [{"head_dim": D}, {"head_dim": D // 2}]},
        OUTSIDE + (QKV + OUT + D) * 3 // 2 + 2 * (FFN + 4 * H),
    ),
    # models/k2_horizon.py: three projections of values and their router, a gate of queries' width.
    "k2_horizon": (
        {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I, "num_shared_experts": 1,
         "mova_num_experts": 3, "mova_num_experts_per_tok": 1, "query_key_norm": True, "attention_gate_func": "silu"},
        OUTSIDE + 2 * (QKV + 2 * H * KV * D + 3 * H + OUT + H * N * D + (N + KV) * D + EXPERTS + FFN + 2 * H),
    ),
    "xllm": (
        {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I, "num_values": 3, "num_values_per_tok": 1},
        OUTSIDE + 2 * (QKV + 2 * H * KV * D + 3 * H + OUT + EXPERTS + 2 * H),
    ),
    # models/step5/nvidia/model.py: a gate for each head; in the layer that sees everything q, k, z, w, and norms of what it indexes.
    "step5": (
        {**PLAIN, "num_attention_groups": KV, "moe_num_experts": E, "moe_top_k": 2, "moe_intermediate_size": I, "share_expert_dim": I,
         "use_moe_router_bias": True, "use_head_wise_attn_gate": True, "layer_types": ["full_attention", "sliding_attention"],
         "sliding_window": 32, "sparse_config": {"enabled": True, "sparse_indexer_num_heads": 8}},
        OUTSIDE + 2 * (QKV + OUT + 2 * D + H * N + 2 * H) + FFN + EXPERTS + E + FFN + H * (10 * 256 + 8) + N + 3 * 256,
    ),
    # SGLang 0.5.23, srt/models/xverse_moe.py: routed and shared experts of one width.
    "xverse_moe": (
        {**PLAIN, "num_experts": E, "moe_top_k": 2, "num_shared_experts": 1}, OUTSIDE + 2 * (QKV + OUT + EXPERTS + FFN + 2 * H)
    ),
    # srt/models/iquest_q1.py: a learned key a layer, three norms, a fourth in the first layer, which alone is dense.
    "iquest_q1": (
        {**PLAIN, "dense_intermediate_size": 2 * I, "num_experts": E, "num_experts_per_tok": 2, "num_hybrid_layers_block": 1,
         "hybrid_layers_types_block": ["sliding_attention"], "last_layers_types": []},
        OUTSIDE + H + 2 * (QKV + OUT + 2 * D + KV * D + 3 * H) + 2 * FFN + EXPERTS,
    ),
    # srt/models/gigachat35.py: every norm but the DeltaNet's own has a gate of rank 16; a gate over latent attention.
    "gigachat3_5": (
        {**PLAIN, "layer_types": ["linear_attention", "attention"], "first_k_dense_replace": 2, "kv_lora_rank": 32, "q_lora_rank": 24,
         "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
         "linear_num_value_heads": 4, "linear_value_head_dim": 8},
        2 * V * H + 33 * H + 2 * (FFN + 4 * 33 * H) + H * 96 + H * 8 + 64 * 4 + 8 + 8 + 32 * H
        + H * 24 + 33 * 24 + 24 * N * 24 + H * 40 + 33 * 32 + 32 * N * 32 + 2 * N * 16 * H,
    ),
    # models/openpangu.py: heads of 8 + 8 and values of 12, a norm of keys, four learned keys.
    "pangu_pro_moe_v2": (
        {**PLAIN, "qk_nope_dim": 8, "qk_rope_dim": 8, "v_channels": 12, "param_sink_number": 4, "n_routed_experts": E,
         "num_experts_per_tok": 2, "moe_intermediate_size": I, "first_k_dense_replace": 1, "n_shared_experts": 1},
        OUTSIDE + 2 * (H * (N * 16 + KV * 28) + N * 12 * H + 16 + 4 * KV * 16 + 2 * H) + FFN + EXPERTS + FFN,
    ),
    # models/jina.py: no head.
    "jina_embeddings_v5": (PLAIN, OUTSIDE - V * H + 2 * (QKV + OUT + FFN + 2 * D + 2 * H)),
    # models/colbert.py: biases everywhere, one kind of segment, a norm behind the table, and a projection.
    "jina_colbert_v2": (
        {**PLAIN, "type_vocab_size": 1, "dim": 24},
        V * H + H + 2 * H + 2 * (4 * H * H + 4 * H + 2 * H * I + I + H + 4 * H) + 24 * H,
    ),
    # models/kimi_audio.py: Whisper large v3 and two linear layers with a norm.
    "kimi_audio": (
        PLAIN,
        OUTSIDE + 2 * (QKV + (N + 2 * KV) * D + OUT + FFN + 2 * H) + 5120 * H + H * H + 4 * H
        + WHISPER * (3 * 128 + 3 * WHISPER + 2 + 1500 + 2) + 32 * (12 * WHISPER**2 + (3 + 4 + 1 + 4) * WHISPER),
    ),
}  # fmt: skip


def total(a: Architecture) -> int:
    return sum(t.elements * n for _, t, n in a.each_tensor() if t.counted)


@pytest.mark.parametrize("kind", CASES)
def test_tensors_are_those_that_the_engine_reads(kind: str) -> None:
    config, elements = CASES[kind]
    a = parse({"model_type": kind, **config})
    assert total(a) == elements
    # Some were compared with the count of a published checkpoint since (tests/data/published_counts.jsonl).
    alone = kind.lower().replace("-", "_") in _UNCOMPARED
    assert (a.status, a.unmodelled_keys) == ("partial" if alone else "counted", ())
    assert any("compared with no checkpoint" in note for note in a.notes) is alone


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


# What configs of older classes state, and the row of the reference under the newer keys.
FIRST: dict[str, dict[str, Any]] = {
    "tiiuae/falcon-40b": {
        "model_type": "RefinedWeb", "hidden_size": 8192, "n_head": 128, "n_head_kv": 8, "n_layer": 60, "vocab_size": 65024,
        "parallel_attn": True, "alibi": False, "bias": False,
    },
    "default/falcon": {
        "model_type": "RefinedWebModel", "hidden_size": 4544, "n_head": 71, "n_layer": 32, "vocab_size": 65024, "multi_query": True,
        "parallel_attn": True, "alibi": False, "bias": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("row", FIRST)
def test_falcon_as_first_published_has_the_reference_s_tensors(row: str) -> None:
    lines = (Path(__file__).parent / "golden" / "falcon.jsonl").read_text(encoding="utf-8").splitlines()
    reference = next(r for r in map(json.loads, lines) if r["id"] == row)
    a = parse(FIRST[row])
    assert listed(a) == wanted(reference)
    assert (a.status, a.unmodelled_keys) == ("counted", ())


# One layer of Qwen 3 as wide as above, without the tables and norms outside.
LAYER = QKV + OUT + FFN + 2 * D + 2 * H
DRAFT = {**PLAIN, "num_hidden_layers": 1}
EAGLE_LAYER = QKV + OUT + FFN + H
LATENT = {"kv_lora_rank": 32, "q_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16}
LATENT_LAYER = H * 24 + 24 + 24 * N * 24 + H * 40 + 32 + 32 * N * 32 + N * 16 * H + FFN + 2 * H
DRAFTS: dict[str, tuple[dict[str, Any], int]] = {
    # SGLang 0.5.23, srt/models/llama_eagle.py and qwen2_eagle.py: a projection with a bias, no norm before attention.
    "LlamaForCausalLMEagle": ({"model_type": "llama"}, EAGLE_LAYER + 2 * H * H + H),
    "Qwen2ForCausalLMEagle": ({"model_type": "qwen2"}, EAGLE_LAYER + (N + 2 * KV) * D + 2 * H * H + H),
    # vLLM 0.33, models/llama_eagle.py, where the config says that there is no bias, and mistral_eagle.py.
    "EagleLlamaForCausalLM": ({"model_type": "llama", "bias": False}, EAGLE_LAYER + 2 * H * H),
    "EagleMistralForCausalLM": ({"model_type": "mistral"}, EAGLE_LAYER + 2 * H * H + 2 * H),
    # vLLM 0.33, models/qwen3_eagle3.py: the layer reads two vectors, with a norm each; queries and keys are normalized.
    "Eagle3Qwen3ForCausalLM": ({"model_type": "qwen3"}, LAYER + QKV + H + 3 * H * H + H + V * H),
    # SGLang 0.5.23, srt/models/dspark.py: two tables of token pairs, a head that says what is accepted, one of three kinds of tables.
    "Qwen3DSparkModel": (
        {"model_type": "qwen3", "markov_rank": 8, "markov_head_type": "vanilla", "target_layer_ids": [1, 3],
         "confidence_head_with_markov": True},
        LAYER + 2 * H * H + 2 * H + 2 * V * 8 + H + 8 + 1,
    ),
    "LingDSparkModel": (
        {"model_type": "qwen3", "markov_rank": 8, "markov_head_type": "rnn", "target_layer_ids": [1], "enable_confidence_head": False},
        LAYER + H * H + 2 * H + 2 * V * 8 + 3 * 8 * (2 * 8 + H) + 3 * 8,
    ),
    # vLLM 0.33, models/qwen3_dflash2.py: two convolutions a layer and three matrices that choose.
    "DFlash2DraftModel": (
        {"model_type": "qwen3", "dflash_config": {"target_layer_ids": [1], "conv_kernel_size": 3, "conv_group_size": 16,
                                                  "selector_rank": 4, "selector_top_k": 2}},
        LAYER + H * H + 2 * H + 2 * (2 * 3 * H + 2 * 3 * (H // 16) * H) + 2 * V * 4 + 4 * H,
    ),
    # vLLM 0.33, models/laguna_dflash.py: a norm for each layer of the target, and a gate for each head.
    "DFlashLagunaForCausalLM": (
        {"model_type": "laguna", "dflash_config": {"target_layer_ids": [1, 3]}}, LAYER + 2 * H * H + 2 * H + 2 * H + N * H,
    ),
    # vLLM 0.33, models/llama4_eagle.py, cohere_eagle.py (one norm a layer, a bias) and minicpm_eagle.py (two norms before the projection).
    "EagleLlama4ForCausalLM": (
        {"model_type": "llama4_text", "intermediate_size_mlp": I}, QKV + OUT + FFN + 2 * H + 2 * H * H + H
    ),
    "EagleCohereForCausalLM": ({"model_type": "cohere", "head_dim": H // N}, QKV + OUT + FFN + H + 2 * H * H + H + H),
    "EagleMiniCPMForCausalLM": ({"model_type": "minicpm"}, QKV + OUT + FFN + 2 * H + 2 * H * H + 2 * H + H),
    # models/deepseek_eagle.py: latent attention, a dense layer, two norms before the projection.
    "EagleDeepSeekMTPModel": (
        {"model_type": "deepseek_v3", **LATENT, "first_k_dense_replace": 1}, LATENT_LAYER + 2 * H * H + 2 * H + H
    ),
    # models/kimi_k3/nvidia/dspark_mla.py and models/gemma4_dspark.py: a norm and a projection of what is joined, tables of token pairs.
    "K3DSparkModel": (
        {"model_type": "k3_dspark", **LATENT, "target_hidden_size": 2 * H, "num_target_layers": 3, "target_layer_ids": [1, 2, 3],
         "markov_rank": 8},
        LATENT_LAYER + 6 * H * H + 2 * H + 2 * V * 8,
    ),
    "Gemma4DSparkModel": (
        {"model_type": "gemma4_text", "global_head_dim": D, "layer_types": ["full_attention"], "target_layer_ids": [1, 3],
         "markov_rank": 8, "enable_confidence_head": True},
        QKV + OUT + FFN + 2 * D + 4 * H + 2 * H * H + 2 * H + 2 * V * 8 + H + 1,
    ),
    # llama.cpp 0c1e57098, conversion/qwen.py: the speculators library's form.
    "DSparkSpeculator": (
        {"transformer_layer_config": {"model_type": "qwen3"}, "aux_hidden_state_layer_ids": [1, 3], "markov_rank": 8,
         "enable_confidence_head": False},
        LAYER + 2 * H * H + 2 * H + 2 * V * 8,
    ),
    # vLLM 0.33, models/qwen3_xpress.py: a table, four projections and a matrix a channel over the block, and a gated FFN.
    "Qwen3XPressModel": (
        {"model_type": "qwen3", "xpress_rank": 8, "xpress_mlp_hidden": 12, "xpress_block_size": 5},
        LAYER + H * H + 2 * H + 2 * V * 8 + 2 * 8 * H + 3 * 8 * 8 + 8 * 25 + 3 * 8 * 12,
    ),
    # models/lilicorr.py: projections with biases, two tables, and a layer of attention and FFN over candidates.
    "LiLiCorrDraftModel": (
        {"model_type": "qwen3", "dflash_config": {
            "target_layer_ids": [1], "block_size": 4, "lilicorr_hidden_size": 0, "lilicorr_num_heads": 2, "lilicorr_num_layers": 1,
            "lilicorr_mlp_ratio": 2.0, "lilicorr_factor_dim": 6, "lilicorr_candidate_topk": 4}},
        LAYER + H * H + 2 * H + 2 * (H * H + H) + 10 + 6 * H + H * H + H + 3 * H + 4 * H + 2 * 7 + 2
        + (4 * H * H + 4 * H + 4 * H * H + 3 * H + 2 * H) + 2 * H + 3 * H * H + H + 3 * (6 * H + 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAFTS)
def test_drafts_have_the_tensors_that_the_engine_reads(name: str) -> None:
    config, elements = DRAFTS[name]
    a = parse({**DRAFT, **config, "architectures": [name]})
    assert (total(a), a.status, a.unmodelled_keys) == (elements, "partial", ())


def test_a_draft_of_another_kind_is_refused() -> None:
    config = {**DRAFT, "model_type": "qwen3", "architectures": ["Qwen3DSparkModel"], "markov_rank": 8, "markov_head_type": "zzz"}
    with pytest.raises(ArchcalcError, match="markov_head_type is 'zzz'"):
        parse(config)
    with pytest.raises(ArchcalcError, match="selector_rank is missing"):
        parse({**DRAFT, "model_type": "qwen3", "architectures": ["DFlash2DraftModel"]})


VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 4,
    "image_size": 16,
}
TEXT = {**PLAIN, "model_type": "qwen3"}
WHOLE = OUTSIDE + 2 * LAYER
# SigLIP's layer and what stands before and behind the layers (transformers 5.24, models/siglip/modeling_siglip.py).
SIGLIP = 2 * (4 * 32 * 32 + 4 * 32 + 2 * 32 * 48 + 48 + 32 + 4 * 32) + 3 * 16 * 32 + 32 + 16 * 32 + 2 * 32


@pytest.mark.parametrize(
    ("config", "elements"),
    [
        # vLLM 0.33, models/ovis2_5.py: a mixture of visual words, and a table of them.
        ({"model_type": "ovis2_5", "llm_config": TEXT, "vit_config": {**VISION, "hidden_stride": 2}, "visual_vocab_size": 20},
         WHOLE + SIGLIP + 15 * 128 + 2 * 15 + 20 * H),
        # vLLM 0.33, models/bee.py and rvl.py: a norm before the projector, four times as wide or not.
        ({"architectures": ["BeeForConditionalGeneration"], "model_type": "bee", "text_config": TEXT, "vision_config": VISION},
         WHOLE + SIGLIP + 2 * 32 + 32 * 4 * H + 4 * H + 4 * H * H + H + H),
        ({"architectures": ["RForConditionalGeneration"], "model_type": "R", "text_config": TEXT, "vision_config": VISION},
         WHOLE + SIGLIP + 2 * 32 + 32 * H + H + H * H + H + H),
        # SGLang 0.5.23, srt/models/nvila.py and nvila_lite.py.
        ({"model_type": "nvila", "text_config": TEXT, "vision_config": {**VISION, "vision_use_head": False}},
         WHOLE + SIGLIP + 2 * 128 + 128 * H + H + H * H + H),
        ({"model_type": "nvila_lite", "text_config": TEXT, "vision_config": {**VISION, "vision_use_head": False}},
         WHOLE + SIGLIP + 2 * 288 + 288 * 96 + 96 + 2 * 96 + 96 * H + H + H * H + H),
        # SGLang 0.5.23, srt/models/locate_anything.py, over MoonViT's norms and fused projections.
        ({"model_type": "locateanything", "text_config": TEXT,
          "vision_config": {**{k: n for k, n in VISION.items() if k != "image_size"}, "init_pos_emb_height": 4,
                            "init_pos_emb_width": 4, "merge_kernel_size": [2, 2]}},
         WHOLE + SIGLIP + 2 * 128 + 128 * H + H + H * H + H),
        # vLLM 0.33, models/ultravox.py: a norm over eight frames, two matrices of which the second reads half, a norm between.
        ({"model_type": "ultravox", "text_config": TEXT, "hidden_size": 40, "projector_ln_mid": True,
          "audio_config": {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "num_mel_bins": 8,
                           "max_source_positions": 10}},
         WHOLE + 3 * 8 * 32 + 32 + 3 * 32 * 32 + 32 + 10 * 32 + 2 * 32 + 4 * 32 * 32 + 3 * 32 + 2 * 32 * 48 + 48 + 32 + 4 * 32
         + 256 + 256 * 40 + 20 * H + 20),
    ],
)  # fmt: skip
def test_parts_beside_a_text_model_are_those_that_the_engine_reads(config: dict[str, Any], elements: int) -> None:
    if "vision_config" in config and config["model_type"] in ("bee", "R"):
        config = {**config, "vision_config": {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False}}
    a = parse(config)
    assert (total(a), a.status, a.unmodelled_keys) == (elements, "partial", ())


def test_ultravox_that_only_names_its_parts_is_refused() -> None:
    with pytest.raises(ArchcalcError, match="text_model_id"):
        parse({"model_type": "ultravox", "text_model_id": "meta-llama/Llama-3.2-1B-Instruct"})


def test_layers_that_share_banks_of_experts_hold_each_bank_once() -> None:
    """Intern-S2 Mobius against Qwen 3.5 with the same keys (vLLM 0.33, models/interns2_mobius.py: two banks for four layers)."""
    text = {
        **PLAIN, "num_hidden_layers": 4, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I,
        "shared_expert_intermediate_size": I,
    }  # fmt: skip
    whole = parse({"model_type": "qwen3_5_moe", "text_config": text, "vision_config": {}})
    banks = parse({"model_type": "interns2_mobius", "text_config": {**text, "num_blocks": 2}, "vision_config": {}})
    assert total(whole) - total(banks) == 2 * EXPERTS
    routed = [t for _, t, _ in banks.each_tensor() if t.experts]
    # A token visits two experts of its bank in each of two layers.
    assert {t.experts.active for t in routed if t.experts} == {4} and len(routed) == 4


def test_matrices_that_mix_frequencies_are_one_a_head() -> None:
    """Intern-S1 Pro against Qwen3-VL with experts (vLLM 0.33, layers/rotary_embedding/fope.py)."""
    text = {**PLAIN, "num_experts": E, "num_experts_per_tok": 2, "moe_intermediate_size": I}
    plain = parse({"model_type": "qwen3_vl_moe", "text_config": text, "vision_config": {"deepstack_visual_indexes": []}})
    mixed = parse({"model_type": "interns1_pro", "text_config": {**text, "rope_scaling": {"num_inv_freq": 6}}, "vision_config": {}})
    assert total(mixed) - total(plain) == 2 * KV * 6 * 6


def test_regnet_s_blocks_stand_before_and_behind_the_joined_patches() -> None:
    """Kanana-V (timm 1.0, models/regnet.py `Bottleneck`): a block whose width changes has a shortcut of its own."""
    wide, narrow = 32, 16
    vision = {"depth": 1, "embed_dim": wide, "num_heads": 2, "hidden_size": H}
    projector = {
        "encoder_hidden_size": wide, "hidden_size": narrow, "output_hidden_size": H, "merge_size": 2, "depth": 1, "mlp_depth": 2,
        "pos_emb": True, "pos_emb_size": 9,
    }  # fmt: skip
    config = {"text_config": {**PLAIN, "model_type": "llama"}, "vision_config": vision, "projector_config": projector}
    a = parse({"architectures": ["KananaVForConditionalGeneration"], "model_type": "kanana_v", **config})

    def block(inner: int) -> int:
        squeezed = inner // 4
        return 2 * inner * narrow + 9 * narrow + narrow**2 + 8 * narrow + 2 * squeezed * narrow + squeezed + narrow

    abstractor = 9 * wide + block(wide) + block(4 * narrow) + narrow * H + H + H * H + H
    held = [t for g in a.groups for t in g.tensors if t.name.startswith("abstractor.")]
    assert sum(t.elements for t in held) == abstractor
    assert not any("merger" in t.name for g in a.groups for t in g.tensors)
