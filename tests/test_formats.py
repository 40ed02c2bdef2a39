"""Other ways to write a model down: the same model gives the same figures, and what is damaged is one message."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from archcalc import loader
from archcalc.analysis.inspect import inspect
from archcalc.errors import ArchcalcError, ConfigError, FormatError, UnsupportedError
from archcalc.figures import checkpoint
from archcalc.formats import format_of, gguf_names, headers, read
from archcalc.report import Inspection
from checkpoints import gguf_bytes, write_safetensors
from conftest import Run

# A model as others write it, and the bundled model that it is.
SAME: dict[str, tuple[dict[str, Any], str]] = {
    "meta-params": (
        {"dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256, "ffn_dim_multiplier": 1.3,
         "multiple_of": 1024, "norm_eps": 1e-05, "rope_theta": 500000.0, "use_scaled_rope": True},
        "llama-3.1-8b",
    ),
    "meta-params, tied": (
        {"dim": 2048, "n_layers": 16, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256, "ffn_dim_multiplier": 1.5,
         "multiple_of": 256, "norm_eps": 1e-05, "rope_theta": 500000.0, "use_scaled_rope": True},
        "llama-3.2-1b",
    ),
    "mistral-params": (
        {"dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 32768, "n_heads": 32, "n_kv_heads": 8,
         "rope_theta": 1000000000.0, "norm_eps": 1e-05, "vocab_size": 131072},
        "devstral-small-2507",
    ),
    "deepseek-inference": (
        {"vocab_size": 102400, "dim": 2048, "inter_dim": 10944, "moe_inter_dim": 1408, "n_layers": 27, "n_dense_layers": 1,
         "n_heads": 16, "n_routed_experts": 64, "n_shared_experts": 2, "n_activated_experts": 6, "route_scale": 1.0,
         "q_lora_rank": 0, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
         "mscale": 0.707},
        "deepseek-v2-lite",
    ),
    "torchchat": (
        {"block_size": 131072, "dim": 4096, "ffn_dim_multiplier": 1.3, "multiple_of": 1024, "n_heads": 32, "n_local_heads": 8,
         "n_layers": 32, "rope_base": 500000.0, "vocab_size": 128256, "use_tiktoken": True, "norm_eps": 1e-05,
         "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}},
        "llama-3.1-8b",
    ),
}  # fmt: skip
V3 = {
    "vocab_size": 129280, "dim": 7168, "inter_dim": 18432, "moe_inter_dim": 2048, "n_layers": 61, "n_dense_layers": 3, "n_heads": 128,
    "n_routed_experts": 256, "n_shared_experts": 1, "n_activated_experts": 8, "n_expert_groups": 8, "n_limited_groups": 4,
    "route_scale": 2.5, "score_func": "sigmoid", "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "dtype": "fp8",
}  # fmt: skip
VISION = {
    "dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256, "ffn_dim_multiplier": 1.3, "multiple_of": 1024,
    "norm_eps": 1e-05, "rope_theta": 500000.0, "use_scaled_rope": True, "vision_chunk_size": 560, "vision_max_num_chunks": 4,
    "vision_num_cross_attention_layers": 8,
}  # fmt: skip


def inspected(path: str) -> Inspection:
    loaded = loader.load(path, offline=True)
    return inspect(loaded.architecture, loaded.source, note=loaded.note, header=loaded.header)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(name: str, content: dict[str, Any] | bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    return write


@pytest.mark.parametrize("name", SAME)
def test_the_same_model_in_two_formats_gives_the_same_figures(name: str, written: Any) -> None:
    config, bundled = SAME[name]
    got, want = inspected(written("m/params.json", config)), inspected(bundled)
    assert (got.source.format, got.status) == (name.partition(",")[0], "counted")
    assert got.params == want.params
    assert got.kv_cache == want.kv_cache
    assert got.checkpoint == want.checkpoint
    assert got.architecture.layer_kinds == want.architecture.layer_kinds
    assert inspected(str(Path(written("m/params.json", config)).parent)).params == want.params


def test_deepseek_v3_without_its_mtp_layer(written: Any) -> None:
    got, want = inspected(written("config_671B.json", V3)), inspected("deepseek-v3")
    assert (got.params.total, got.params.active, got.params.mtp) == (want.params.total, want.params.active, 0)
    assert got.kv_cache == want.kv_cache
    assert got.checkpoint is not None
    assert want.checkpoint is not None
    assert set(got.checkpoint.by_dtype) == set(want.checkpoint.by_dtype)


def test_cross_attention_layers_stand_at_equal_distances() -> None:
    config = read(VISION).config
    assert config["text_config"]["cross_attention_layers"] == [3, 8, 13, 18, 23, 28, 33, 38]
    assert config["text_config"]["num_hidden_layers"] == 40
    assert config["vision_config"]["supported_aspect_ratios"] == [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]


@pytest.mark.parametrize(
    ("config", "form", "model_type"),
    [
        ({"dim": 512, "n_layers": 8, "n_heads": 8}, "torchchat", "llama"),
        ({**VISION, "vision_chunk_size": None}, "meta-params", "llama"),
        (VISION, "meta-params", "mllama"),
        (V3, "deepseek-inference", "deepseek_v3"),
        ({**V3, "score_func": "softmax"}, "deepseek-inference", "deepseek_v2"),
        ({**V3, "index_topk": 2048}, "deepseek-inference", "deepseek_v32"),
        ({**SAME["mistral-params"][0], "moe": {"num_experts": 8, "num_experts_per_tok": 2}}, "mistral-params", "mixtral"),
        ({**SAME["mistral-params"][0], "sliding_window": [None, 4096]}, "mistral-params", "ministral"),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024}, "nanogpt", None),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768, "sequence_len": 1024}, "nanochat", None),
        ({"model_type": "llama", "dim": 1, "n_layers": 2}, "hf-config", "llama"),
    ],
)
def test_formats_are_told_apart_by_their_keys(config: dict[str, Any], form: str, model_type: str | None) -> None:
    assert format_of(config) == form
    assert read(config).config.get("model_type") == model_type


def test_what_a_file_does_not_state_is_said(written: Any) -> None:
    r = inspected(written("params.json", {**SAME["meta-params"][0], "use_scaled_rope": False}))
    assert r.architecture.context_tokens is None
    assert r.kv_cache is None
    assert any("no dtype: BF16" in note for note in r.notes)
    tied = inspected(written("tied.json", SAME["meta-params, tied"][0]))
    assert any("whether the head is the embedding" in note for note in tied.notes)


def test_keys_that_a_format_does_not_have_are_reported(written: Any) -> None:
    r = inspected(written("params.json", {**SAME["meta-params"][0], "mystery_layers": 3}))
    assert (r.status, r.unmodelled_keys) == ("partial", ["mystery_layers"])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"vocab_size": -1}, ConfigError, "the tokenizer"),
        ({"dim": "4096"}, ConfigError, "dim is"),
        ({"n_layers": 0}, ConfigError, "n_layers is"),
        ({"multiple_of": 0}, ConfigError, "multiple_of is"),
        ({"ffn_dim_multiplier": -1.0}, ConfigError, "ffn_dim_multiplier is"),
        ({"moe_args": {"num_experts": 16}}, UnsupportedError, "moe_args"),
    ],
)
def test_keys_that_cannot_be(change: dict[str, Any], error: type[ArchcalcError], message: str) -> None:
    with pytest.raises(error, match=message):
        read({**SAME["meta-params"][0], **change})


def test_keys_of_the_format_can_be_set(written: Any) -> None:
    path = written("params.json", SAME["meta-params"][0])
    assert loader.load(path, overrides=["n_layers=2"]).architecture.layers == 2


def test_a_quantization_stated_beside_the_config(written: Any) -> None:
    from archcalc import zoo

    path = written("m/config.json", zoo.config("llama-3.1-8b"))
    written("m/hf_quant_config.json", {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}})
    r = inspected(str(Path(path).parent))
    assert r.checkpoint is not None
    assert "F8_E4M3" in r.checkpoint.by_dtype


# Draft models

EAGLE3 = {
    "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 1, "vocab_size": 128256, "draft_vocab_size": 32000,
    "max_position_embeddings": 2048, "torch_dtype": "float16", "tie_word_embeddings": False,
}  # fmt: skip
DFLASH = {
    "architectures": ["DFlashDraftModel"], "model_type": "qwen3", "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 3, "head_dim": 16, "vocab_size": 500, "num_target_layers": 8, "block_size": 8,
    "dflash_config": {"target_layer_ids": [1, 5], "mask_token_id": 9},
}  # fmt: skip


def test_an_eagle3_draft_is_as_large_as_the_published_one(written: Any) -> None:
    # yuhuili/EAGLE3-LLaMA3.1-Instruct-8B: a file of 850 MB, the target's embedding left out.
    r = inspected(written("config.json", EAGLE3))
    layer = 2 * 4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14336 + 3 * 4096
    assert r.params.total == layer + 3 * 4096 * 4096 + 4096 + 32000 * 4096 == 424_689_664
    assert r.checkpoint is not None
    assert r.checkpoint.bytes == 2 * 424_689_664 + 8 * 32000 + 128256
    assert r.kv_cache is not None
    assert r.kv_cache.bytes_per_token == 2 * 8 * 128 * 2
    names = {name for name, _, _ in checkpoint.expand(loader.load(written("config.json", EAGLE3)).architecture)}
    assert {"midlayer.self_attn.q_proj.weight", "midlayer.hidden_norm.weight", "fc.weight", "d2t", "t2d"} < names
    assert "embed_tokens.weight" not in names


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({}, 0),
        ({"dflash_config": {"target_layer_ids": [1, 3, 5]}}, 64 * 64),
        ({"dflash_config": {"projector_type": "domino", "emb_dim": 5, "gru_hidden_dim": 7, "target_layer_ids": [1, 5]}},
         3 * 7 * 64 + 3 * 7 * 7 + 5 * (64 + 7) + 500 * 5),
        ({"dflash_config": {"projector_type": "dspark", "markov_rank": 6, "target_layer_ids": [1, 5]}}, 2 * 500 * 6 + 64 + 6 + 1),
        ({"dflash_config": {"projector_type": "dspark", "markov_rank": 6, "enable_confidence_head": False, "target_layer_ids": [1, 5]}},
         2 * 500 * 6),
    ],
)  # fmt: skip
def test_dflash_and_the_heads_built_on_it(change: dict[str, Any], more: int, written: Any) -> None:
    plain = 3 * (64 * 64 + 2 * 32 * 64 + 64 * 64 + 2 * 16 + 3 * 64 * 96 + 2 * 64) + 2 * 64 * 64 + 2 * 64
    r = inspected(written("config.json", {**DFLASH, **change}))
    assert (r.status, r.params.total) == ("counted", plain + more)


def test_p_eagle_has_plain_layers_behind_the_first(written: Any) -> None:
    config = {**EAGLE3, "architectures": ["PEagleDraftModel"], "num_hidden_layers": 2}
    plain = 4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14336 + 2 * 4096
    assert inspected(written("config.json", config)).params.total == 424_689_664 + plain + 3 * 4096


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({**EAGLE3, "num_hidden_layers": 2}, "num_hidden_layers"),
        ({**EAGLE3, "eagle_config": {"eagle_aux_hidden_state_layer_ids": 3}}, "eagle_aux_hidden_state_layer_ids"),
        ({**DFLASH, "dflash_config": {"attention_mode": "mla"}}, "attention_mode"),
        ({**DFLASH, "dflash_config": {"projector_type": "new"}}, "projector_type"),
        ({**DFLASH, "dflash_config": {"projector_type": "domino"}}, "gru_hidden_dim"),
    ],
)
def test_drafts_of_another_kind_are_refused(config: dict[str, Any], key: str, written: Any) -> None:
    with pytest.raises((ConfigError, UnsupportedError), match=key):
        inspected(written("config.json", config))


# GGUF

QWEN3 = {
    "general.architecture": "qwen3", "qwen3.block_count": 4, "qwen3.embedding_length": 256, "qwen3.feed_forward_length": 512,
    "qwen3.attention.head_count": 4, "qwen3.attention.head_count_kv": 2, "qwen3.attention.key_length": 64,
    "qwen3.attention.layer_norm_rms_epsilon": 1e-6, "qwen3.context_length": 4096, "qwen3.rope.freq_base": 1e6,
    "tokenizer.ggml.tokens": ["a", "b", "c"], "tokenizer.ggml.scores": [0.5] * 5000,
}  # fmt: skip
QWEN3_CONFIG = {
    "model_type": "qwen3", "hidden_size": 256, "num_hidden_layers": 4, "intermediate_size": 512, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 512, "max_position_embeddings": 4096, "tie_word_embeddings": False,
}  # fmt: skip


def gguf_tensors(config: dict[str, Any], file_type: str) -> list[tuple[str, tuple[int, ...], str]]:
    from archcalc.arch import parse

    a = parse(config)._replace(quantization={"quant_method": "gguf", "file_type": file_type})
    return list(gguf_names.inventory(a))


def test_gguf_names_are_llama_cpps() -> None:
    # As llama-gguf prints them for a Qwen3 of one layer.
    assert sorted(name for name, _, _ in gguf_tensors({**QWEN3_CONFIG, "num_hidden_layers": 1}, "q4_k_m")) == [
        "blk.0.attn_k.weight", "blk.0.attn_k_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_output.weight",
        "blk.0.attn_q.weight", "blk.0.attn_q_norm.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight", "blk.0.ffn_gate.weight",
        "blk.0.ffn_norm.weight", "blk.0.ffn_up.weight", "output.weight", "output_norm.weight", "token_embd.weight",
    ]  # fmt: skip


@pytest.mark.parametrize("version", [2, 3])
def test_a_gguf_file_and_a_config_give_the_same_figures(written: Any, version: int) -> None:
    tensors = gguf_tensors(QWEN3_CONFIG, "q4_k_m")
    r = inspected(written("m.gguf", gguf_bytes({**QWEN3, "general.file_type": 15}, tensors, version)))
    want = inspected(written("config.json", QWEN3_CONFIG))
    assert (r.source.format, r.status) == ("gguf", "counted")
    assert (r.params, r.kv_cache) == (want.params, want.kv_cache)
    assert r.checkpoint is not None
    assert r.checkpoint.bytes == sum(
        checkpoint.storage_bytes(dtype, prod) for _, shape, dtype in tensors for prod in [_size(shape)]
    )
    assert not any("verify" in note for note in r.notes)


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for each in shape:
        n *= each
    return n


def test_an_unknown_gguf_is_counted_from_its_header(written: Any) -> None:
    metadata = {key.replace("qwen3", "newarch"): value for key, value in QWEN3.items()} | {"general.architecture": "newarch"}
    r = inspected(written("m.gguf", gguf_bytes(metadata, gguf_tensors(QWEN3_CONFIG, "q4_k_m"))))
    want = inspected(written("config.json", QWEN3_CONFIG))
    assert (r.status, r.params.total, r.kv_cache) == ("header", want.params.total, None)
    assert (r.architecture.layers, r.architecture.hidden_size, r.architecture.context_tokens) == (4, 256, 4096)


GOOD = gguf_bytes(QWEN3, gguf_tensors(QWEN3_CONFIG, "q8_0"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not GGUF"),
        (b"GGUF", "truncated"),
        (b"GGML" + GOOD[4:], "not GGUF"),
        (GOOD[:4] + struct.pack("<I", 1) + GOOD[8:], "version 1"),
        (GOOD[:4] + struct.pack("<I", 9) + GOOD[8:], "version 9"),
        (GOOD[:8] + struct.pack("<Q", 2**60) + GOOD[16:], "tensors"),
        (GOOD[:16] + struct.pack("<Q", 2**60) + GOOD[24:], "keys"),
        (GOOD[:24] + struct.pack("<Q", 2**62) + GOOD[32:], "bytes"),
        (GOOD[:-3], "truncated"),
        (GOOD[: len(GOOD) // 2], "truncated"),
        (gguf_bytes({}, []), "general.architecture"),
        (gguf_bytes({"a\x1b[31m": 1}, []), "damaged"),
        (gguf_bytes({"general.architecture": "x"}, [("a\nb", (3,), "F32")]), "damaged"),
        (gguf_bytes({"general.architecture": 7}, []), "general.architecture"),
        (gguf_bytes({"general.architecture": "x"}, [("a", (2**60, 2**60), "F32")]), "absurd"),
        (gguf_bytes({"general.architecture": "x"}, [("a", (3, 7), "Q4_K")]), "blocks"),
        (gguf_bytes({"general.architecture": "x"}, [("a", (3,), "F32"), ("a", (3,), "F32")]), "twice"),
        (gguf_bytes({"general.architecture": "x"}, [("a", (3,), "F32")])[:-12] + struct.pack("<IQ", 99, 0), "type 99"),
    ],
)
def test_damaged_gguf_is_one_message(written: Any, data: bytes, message: str) -> None:
    path = written("bad.gguf", data)
    with pytest.raises(FormatError, match=message) as caught:
        loader.load(path)
    assert "bad.gguf" in caught.value.message
    assert "\n" not in caught.value.message


# safetensors


def test_an_unknown_model_is_counted_from_its_safetensors(tmp_path: Path) -> None:
    tensors = [
        ("model.embed_tokens.weight", (100, 8), "BF16"),
        *((f"model.layers.{i}.self_attn.q_proj.weight", (8, 8), "BF16") for i in range(3)),
        *((f"model.layers.{i}.mlp.experts.{e}.w.weight", (4, 8), "BF16") for i in range(3) for e in range(2)),
        ("model.vision_tower.blocks.0.w", (2, 2), "F32"),
        ("lm_head.weight", (100, 8), "BF16"),
    ]
    write_safetensors(tmp_path / "model.safetensors", tensors, data=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "newest", "hidden_size": 8, "num_hidden_layers": 3}))
    r = inspected(str(tmp_path))
    assert (r.status, r.source.format, r.kv_cache, r.architecture.layers) == ("header", "hf-config", None, 3)
    assert r.params.total == sum(_size(shape) for _, shape, _ in tensors)
    assert r.params.by_part == {"embedding": 800, "decoder": 3 * 64 + 6 * 32, "head": 800, "vision": 4, "audio": 0, "other": 0}
    assert r.checkpoint is not None
    assert r.checkpoint.by_dtype == {"BF16": r.params.total - 4, "F32": 4}
    assert (r.architecture.heads, r.architecture.kind) == (None, "moe")


def test_a_known_config_beside_weights_is_what_is_read(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", [("a", (3,), "F32")])
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_CONFIG))
    assert inspected(str(tmp_path)).status == "counted"


def _file(header: Any, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def _one(**entry: Any) -> bytes:
    return _file({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | entry})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b"\x05\0\0", "truncated"),
        (_file(b"{}", 2**63), "header would have"),
        (_file(b"{}", 2**26), "truncated"),
        (_file(b"", 0), "header would have 0"),
        (_file(b"[1,2]"), "no JSON object"),
        (_file(b'{"a": '), "no JSON"),
        (_file(b"{" + b'"a":{' * 50_000), "no JSON"),
        (_file(b'{"a":{},"a":{}}'), "twice"),
        (_file({"a": 3}), "no object"),
        (_file({"a\nb": 3}), "damaged"),
        (_one(dtype="F33"), "dtype"),
        (_one(shape=[-1]), "shape"),
        (_one(shape=[2**40, 2**40]), "shape"),
        (_one(shape=[1] * 40), "shape"),
        (_one(shape="x"), "shape"),
        (_one(data_offsets=[0]), "data_offsets"),
        (_one(data_offsets=[8, 0]), "data_offsets"),
        (_one(data_offsets=[0, 9]), "9 bytes for F32"),
        (b"PK\3\4" + b"\0" * 30, "pickle"),
    ],
)
def test_damaged_safetensors_is_one_message(written: Any, data: bytes, message: str) -> None:
    path = written("bad.safetensors", data)
    with pytest.raises(FormatError, match=message) as caught:
        headers.read(path)
    assert "bad.safetensors" in caught.value.message
    assert "\n" not in caught.value.message


def test_names_with_braces_are_counted_as_they_stand(tmp_path: Path, run: Run) -> None:
    write_safetensors(tmp_path / "odd.safetensors", [("layers.0.{x}", (3,), "F32"), ("{}.1.{", (2,), "F32"), ("5.w", (1,), "F32")])
    done = run("tensors", "odd.safetensors", "--expand", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["name"] for line in done.stdout.splitlines()} == {"layers.0.{x}", "{}.1.{", "5.w"}


def test_numbers_of_thousands_of_digits_are_part_of_a_name(tmp_path: Path) -> None:
    name = f"layers.{'9' * 9000}.w"
    write_safetensors(tmp_path / "m.safetensors", [(name, (3,), "F32")])
    assert loader.load(str(tmp_path / "m.safetensors")).architecture.groups[0].tensors[0].name == name


def test_no_cache_is_told_of_a_model_counted_from_headers(tmp_path: Path, run: Run) -> None:
    write_safetensors(tmp_path / "m.safetensors", [("layers.0.w", (3,), "F32")])
    for command in (("kv", "m.safetensors", "--ctx", "4k"), ("fit", "m.safetensors", "--gpu", "h100", "--ctx", "4k")):
        done = run(*command)
        assert done.returncode != 0
        assert "headers" in done.stderr
    assert run("inspect", "m.safetensors").returncode == 0


# What a GGUF file leaves out

LATENT_CONFIG = {
    "model_type": "deepseek_v2", "vocab_size": 512, "hidden_size": 256, "num_hidden_layers": 3, "intermediate_size": 512,
    "num_attention_heads": 4, "num_key_value_heads": 4, "q_lora_rank": None, "kv_lora_rank": 64, "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32, "v_head_dim": 32, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
    "moe_intermediate_size": 128, "first_k_dense_replace": 1, "max_position_embeddings": 4096,
}  # fmt: skip
LATENT = {
    "general.architecture": "deepseek2", "general.file_type": 1, "deepseek2.block_count": 3, "deepseek2.context_length": 4096,
    "deepseek2.embedding_length": 256, "deepseek2.feed_forward_length": 512, "deepseek2.leading_dense_block_count": 1,
    "deepseek2.vocab_size": 512, "deepseek2.expert_count": 8, "deepseek2.expert_used_count": 2, "deepseek2.expert_shared_count": 1,
    "deepseek2.expert_feed_forward_length": 128, "deepseek2.attention.head_count": 4, "deepseek2.attention.kv_lora_rank": 64,
    "deepseek2.rope.dimension_count": 16,
}  # fmt: skip
# As the converter wrote before llama.cpp absorbed MLA's up-projection, and since.
LATENT_FORMS = {
    "whole": {"head_count_kv": 4, "key_length": 48, "value_length": 32},
    "absorbed": {"head_count_kv": 1, "key_length": 80, "value_length": 64, "key_length_mla": 48, "value_length_mla": 32},
}


@pytest.mark.parametrize(
    ("form", "row"),
    [
        # ollama/ollama#5136 and ggml-org/llama.cpp#17201 log full keys and values for such files: (32 + 16 + 32) x 4 heads.
        ("whole", 4 * (32 + 16 + 32)),
        ("absorbed", 64 + 16),
    ],
)
def test_a_gguf_of_mla_caches_what_its_form_makes_llama_cpp_cache(form: str, row: int, written: Any) -> None:
    from archcalc.analysis.kv import kv
    from archcalc.loader import load

    metadata = LATENT | {f"deepseek2.attention.{key}": value for key, value in LATENT_FORMS[form].items()}
    path = written("m.gguf", gguf_bytes(metadata, gguf_tensors(LATENT_CONFIG, "f16")))
    assert kv(load(path), "llama.cpp", context_tokens=1024).bytes == 3 * 1024 * row * 2
    # The model is the same whatever the file's form, and queries at full rank stay so.
    read_, want = inspected(path), inspected(written("config.json", LATENT_CONFIG))
    assert read_.params == want.params
    assert any("key_length_mla" in note for note in read_.notes) == (form == "whole")


def test_mtp_layers_of_a_gguf_are_the_last_of_its_blocks(written: Any) -> None:
    metadata = LATENT | {f"deepseek2.attention.{key}": value for key, value in LATENT_FORMS["absorbed"].items()}
    metadata |= {"deepseek2.block_count": 4, "deepseek2.nextn_predict_layers": 1}
    r = inspected(written("m.gguf", gguf_bytes(metadata, gguf_tensors(LATENT_CONFIG, "f16"))))
    assert (r.architecture.layers, r.architecture.mtp_layers) == (3, 1)


def _metadata(name: str, **changes: Any) -> dict[str, Any]:
    """A small model's metadata; None leaves a key out."""
    keys = {
        "block_count": 2, "context_length": 2048, "embedding_length": 256, "feed_forward_length": 512, "attention.head_count": 4,
        "vocab_size": 512, **{key.replace("__", "."): value for key, value in changes.items()},
    }  # fmt: skip
    return {"general.architecture": name} | {f"{name}.{key}": value for key, value in keys.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "changes", "want"),
    [
        # llama-model.cpp `load_hparams`: n_head_kv = n_head, n_embd_head = n_embd / n_head, where the file says nothing else.
        ("llama", {}, {"num_key_value_heads": 4, "head_dim": 64}),
        ("qwen2", {}, {"num_key_value_heads": 4}),
        ("qwen3", {}, {"num_key_value_heads": 4, "head_dim": 64}),
        ("gemma2", {}, {"num_key_value_heads": 4, "head_dim": 64}),
        ("seed_oss", {}, {"num_key_value_heads": 4, "head_dim": 64}),
        ("smollm3", {}, {"num_key_value_heads": 4}),
        # models/gemma3.cpp: no window, no sliding layers.
        ("gemma3", {}, {"layer_types": ["full_attention"] * 2, "sliding_window": None}),
        # models/qwen2moe.cpp: n_ff_exp = n_ff / n_expert_used, n_ff_shexp = n_ff.
        ("qwen2moe", {"expert_count": 8, "expert_used_count": 2},
         {"moe_intermediate_size": 256, "shared_expert_intermediate_size": 512}),
        ("qwen3moe", {"expert_count": 8, "expert_used_count": 2}, {"moe_intermediate_size": 256}),
    ],
)  # fmt: skip
def test_what_a_gguf_leaves_out_is_what_llama_cpp_takes(name: str, changes: dict[str, Any], want: dict[str, Any]) -> None:
    from archcalc.arch import parse
    from archcalc.formats.gguf_config import config_of
    from archcalc.formats.headers import Header

    config = config_of(Header("gguf", {}, _metadata(name, **changes), ("m.gguf",)))
    assert config is not None
    assert {key: config.get(key) for key in want} == want
    assert not parse(config).unmodelled_keys


@pytest.mark.parametrize(
    ("name", "changes", "key"),
    [
        ("llama", {"block_count": None}, "llama.block_count"),
        ("llama", {"embedding_length": None}, "llama.embedding_length"),
        ("llama", {"context_length": None}, "llama.context_length"),
        ("llama", {"attention__head_count": None}, "llama.attention.head_count"),
        ("qwen3", {"feed_forward_length": None}, "qwen3.feed_forward_length"),
        ("qwen3", {"vocab_size": None}, "qwen3.vocab_size"),
        ("llama", {"expert_count": 8}, "llama.expert_used_count"),
        ("gpt-oss", {"expert_count": 8, "expert_used_count": 2, "attention__sliding_window": None}, "gpt-oss.attention.sliding_window"),
        ("deepseek2", {"attention__key_length": 48, "attention__value_length": 32, "rope__dimension_count": 16},
         "deepseek2.attention.kv_lora_rank"),
    ],
)  # fmt: skip
def test_a_key_that_llama_cpp_needs_is_named(name: str, changes: dict[str, Any], key: str) -> None:
    from archcalc.errors import FormatError
    from archcalc.formats.gguf_config import config_of
    from archcalc.formats.headers import Header

    with pytest.raises(FormatError, match=re.escape(key)):
        config_of(Header("gguf", {}, _metadata(name, **changes), ("m.gguf",)))
