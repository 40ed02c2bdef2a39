"""Configs as they are published, in forms that the reference implementation has left behind or fills in.

Totals are the publishers': the index of a checkpoint, or what transformers 5.24.0 builds on the meta device.
"""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse, schema_of
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.figures import checkpoint
from archcalc.model import Architecture


def total(a: Architecture) -> int:
    return sum(c.total for c in components(a) if c.part != "mtp")


# openbmb/MiniCPM-Llama3-V-2_5, config.json; its index has 34,148,369,344 bytes in float32.
MINICPM_2_5 = {
    "version": "2.5", "architectures": ["MiniCPMV"], "attention_bias": False, "batch_vision_input": True, "drop_vision_last_layer": False,
    "hidden_act": "silu", "hidden_size": 4096, "image_size": 448, "intermediate_size": 14336, "max_position_embeddings": 8192,
    "mm_use_im_start_end": True, "model_type": "minicpmv", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
    "patch_size": 14, "query_num": 96, "slice_config": {"max_slice_nums": 9, "patch_size": 14, "model_type": "minicpmv"},
    "slice_mode": True, "tie_word_embeddings": False, "vocab_size": 128256,
    "vision_config": {
        "hidden_size": 1152, "image_size": 980, "intermediate_size": 4304, "model_type": "idefics2", "num_attention_heads": 16,
        "num_hidden_layers": 27, "patch_size": 14,
    },
}  # fmt: skip
# deepseek-ai/DeepSeek-OCR-2, config.json. The text model's keys stand in language_config and beside it.
OCR_TEXT = {
    "first_k_dense_replace": 1, "hidden_size": 1280, "intermediate_size": 6848, "kv_lora_rank": None, "lm_head": True,
    "max_position_embeddings": 8192, "moe_intermediate_size": 896, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2,
    "num_attention_heads": 10, "num_experts_per_tok": 6, "num_hidden_layers": 12, "num_key_value_heads": 10, "q_lora_rank": None,
    "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "rm_head": False, "topk_group": 1, "topk_method": "greedy", "use_mla": False,
    "v_head_dim": 0, "vocab_size": 129280,
}  # fmt: skip
OCR_2 = {
    "candidate_resolutions": [[1024, 1024]], "global_view_pos": "head", "architectures": ["DeepseekOCR2ForCausalLM"],
    "language_config": {"architectures": ["DeepseekV2ForCausalLM"], "torch_dtype": "bfloat16", **OCR_TEXT},
    "model_type": "deepseek_vl_v2", "tile_tag": "2D", "torch_dtype": "bfloat16",
    "projector_config": {"input_dim": 896, "model_type": "mlp_projector", "n_embed": 1280, "projector_type": "linear"},
    "vision_config": {
        "image_size": 1024, "mlp_ratio": 3.7362, "model_name": "deepencoderv2", "model_type": "vision",
        "width": {
            "qwen2-0-5b": {"dim": 896},
            "sam_vit_b": {"downsample_channels": [512, 1024], "global_attn_indexes": [2, 5, 8, 11], "layers": 12, "width": 768},
        },
    },
    **OCR_TEXT,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "published"),
    [(MINICPM_2_5, 34_148_369_344 // 4), (OCR_2, 3_389_119_360)],
    ids=["MiniCPM-Llama3-V-2.5", "DeepSeek-OCR-2"],
)
def test_a_published_form_is_counted(config: dict[str, Any], published: int) -> None:
    a = parse(config)
    assert (total(a), a.status, a.unmodelled_keys) == (published, "counted", ())


def test_minicpm_v_2_names_its_tower_and_no_version() -> None:
    """openbmb/MiniCPM-V-2: 26 of the 27 layers of timm's SigLIP, without its pooling, and positions of the queries stored."""
    config = {
        "architectures": ["MiniCPMV"], "dim_model_base": 256, "drop_vision_last_layer": True, "hidden_size": 2304, "image_size": 448,
        "intermediate_size": 5760, "max_position_embeddings": 4096, "max_slice_nums": 9, "mm_use_im_start_end": True,
        "model_type": "minicpmv", "num_attention_heads": 36, "num_hidden_layers": 40, "num_key_value_heads": 36, "patch_size": 14,
        "query_num": 64, "scale_depth": 1.4, "scale_emb": 12, "scale_resolution": 448, "slice_mode": True, "vocab_size": 122753,
        "vision_encoder": "vit_so400m_patch14_siglip_384.webli",
    }  # fmt: skip
    a = parse(config)
    names = {t.name: t.shape for g in a.groups for t in g.tensors}
    assert a.status == "counted"
    assert names["resampler.pos_embed"] == (64, 2304) and names["vpm.pos_embed"] == (1, 27 * 27, 1152)
    assert not any("attn_pool" in name for name in names)
    assert [len(s.pattern) for s in a.stacks if s.prefix == "vpm.blocks"] == [26]
    assert total(parse({**config, "tie_word_embeddings": False})) - total(a) == 122753 * 2304


@pytest.mark.parametrize(("heads", "parameters"), [(16, 83_050_416), (20, 85_041_072)])
def test_gemma_4_towers_may_leave_out_the_heads_of_keys(heads: int, parameters: int) -> None:
    tower = {"hidden_size": 1152, "num_attention_heads": heads, "head_dim": 72, "intermediate_size": 4304, "num_hidden_layers": 3}
    whole = {"model_type": "gemma4", "text_config": {"model_type": "gemma4_text"}}
    assert total(parse({**whole, "vision_config": tower})) - total(parse(whole)) - 1152 * 2304 == parameters


def test_a_message_names_the_part_that_it_speaks_of() -> None:
    config = {"model_type": "llava", "vision_config": {"hidden_size": 1000, "num_attention_heads": 16}}
    with pytest.raises(ConfigError, match=r"vision_config: hidden_size \(1000\)"):
        parse(config)


@pytest.mark.parametrize(
    ("name", "dtype"),
    # Indexes of MiniMaxAI/MiniMax-M1-80k (two bytes a parameter), and of openai-community/gpt2 and google-t5/t5-small (four).
    [("minimax_m1", "BF16"), ("gpt2", "F32"), ("t5", "F32"), ("llama", "BF16")],
)
def test_the_dtype_that_is_taken_where_none_is_stated(name: str, dtype: str) -> None:
    base, notes = checkpoint.base_dtype(schema_of(name).model_validate(SIZES.get(name, {})).standalone())
    assert base == dtype
    assert notes and "no dtype" in notes[0]


SIZES: dict[str, dict[str, Any]] = {"minimax_m1": {"attn_type_list": [0, 1], "num_hidden_layers": 2}}


@pytest.mark.parametrize(
    "key",
    [
        "forced_decoder_ids",
        "forced_bos_token_id",
        "bad_words_ids",
        "suppress_tokens",
        "onnx_export",
        "min_new_tokens",
        "guidance_scale",
    ],
)
def test_how_text_is_generated_changes_no_figure(key: str) -> None:
    assert parse({**LLAMA, key: [[1, 2]]}).status == "counted"


@pytest.mark.parametrize("value", [None, [], {}])
def test_a_key_that_states_nothing_is_understood(value: Any) -> None:
    assert parse({**LLAMA, "anything": value}).status == "counted"
    assert parse({**LLAMA, "anything": 1}).unmodelled_keys == ("anything",)


LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 1000,
}  # fmt: skip


def test_music_flamingo_s_positions_in_time_are_not_the_text_model_s() -> None:
    own = {
        "head_dim": 1280,
        "max_position_embeddings": 1200.0,
        "rope_parameters": {"rope_theta": 1200.0, "partial_rotary_factor": 0.2},
    }
    plain, stated = parse({"model_type": "musicflamingo"}), parse({"model_type": "musicflamingo", **own})
    assert stated.status == "counted" and total(plain) == total(stated) == 12_708_843_520


def test_a_part_of_another_kind_is_told_by_its_type() -> None:
    config = {"model_type": "llava", "vision_config": {"model_type": "clip"}}
    with pytest.raises(ConfigError, match="vision_config is the config of a clip"):
        parse(config)


# Keys that published configs state and no class of transformers 5.24 reads, by the model that states them.
@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"model_type": "paligemma", "text_config": {**LLAMA, "model_type": "gemma", "num_key_value_heads": 4}},
            {"vision_config": {"projector_hidden_act": "gelu_fast"}},
        ),  # google/paligemma-3b-pt-224
        (
            {"model_type": "llava", "text_config": {**LLAMA, "num_key_value_heads": 4}},
            {"vision_config": {"is_composition": True}},
        ),  # mistral-community/pixtral-12b
        (  # HuggingFaceM4/Idefics3-8B-Llama3
            {"model_type": "idefics3"},
            {"text_config": {"perceiver_config": {"resampler_depth": 6}, "qk_layer_norms": False, "neftune_noise_alpha": 0.0}},
        ),
        ({"model_type": "idefics3"}, {"text_config": {"_flash_attn_2_enabled": True}}),  # HuggingFaceTB/SmolVLM-256M-Instruct
        ({**LLAMA, "model_type": "recurrent_gemma"}, {"embeddings_scale_by_sqrt_dim": True}),  # google/recurrentgemma-2b
        ({**LLAMA, "model_type": "gte"}, {"pack_qkv": True, "layer_norm_type": "layer_norm", "matryoshka_dimensions": [256]}),
        (
            {"model_type": "voxtral"},
            {"audio_config": {"head_dim": 64, "num_key_value_heads": 20}},
        ),  # mistralai/Voxtral-Mini-3B-2507
    ],
)
def test_keys_that_the_reference_passes_over_change_nothing(config: dict[str, Any], said: dict[str, Any]) -> None:
    # A part that says nothing of itself is of another size than one that is not there.
    plain = parse({**config, **{key: {} for key, held in said.items() if isinstance(held, dict) and key not in config}})
    stated = parse({**config, **said})
    assert (stated.status, stated.unmodelled_keys) == (plain.status, plain.unmodelled_keys) == ("counted", ())
    assert total(stated) == total(plain)


@pytest.mark.parametrize(
    "said",
    [
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "hyb_act": False},  # GPTQModel 2 to 4
        {"quant_method": "fp8", "activation_scheme": "static", "export": {"pack_method": "reorder"}},  # amd/*-FP8-KV
    ],
)
def test_what_a_quantizer_notes_of_its_own_export_changes_nothing(said: dict[str, Any]) -> None:
    assert parse({**LLAMA, "quantization_config": said}).status == "counted"


def test_deepseek_vl_has_no_part_that_draws() -> None:
    """deepseek-ai/deepseek-vl-1.3b-chat, whose safetensors hold 1,975,235,584 elements; Janus's keys of drawing add their parts."""
    aligner = {"cls": "MlpProjector", "params": {"depth": 2, "input_dim": 1024, "n_embed": 2048, "projector_type": "mlp_gelu"}}
    tower = {"cls": "CLIPVisionTower", "params": {"image_size": 384, "model_name": "siglip_large_patch16_384", "select_layer": -1}}
    text = {
        "model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "max_position_embeddings": 16384,
        "num_attention_heads": 16, "num_hidden_layers": 24, "vocab_size": 102400,
    }  # fmt: skip
    config = {"model_type": "multi_modality", "aligner_config": aligner, "language_config": text, "vision_config": tower}
    assert total(parse(config)) == 1_975_235_584
    assert total(parse({**config, "gen_vision_config": {"cls": "VQ-16"}})) > 1_975_235_584
    with pytest.raises(UnsupportedError, match="HybridVisionTower"):
        parse({**config, "vision_config": {"cls": "HybridVisionTower"}})
