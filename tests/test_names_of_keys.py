"""Names that a config may state a value by, and names that the reference does not read. Totals are those of transformers 5.24, which built
each class without weights."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.errors import ConfigError
from archcalc.model import Architecture
from conftest import Run

BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 1536, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
}  # fmt: skip
GPT2 = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257,
    "n_positions": 1024, "n_inner": None,
}  # fmt: skip
BART = {
    "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 256, "encoder_layers": 3, "decoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512, "vocab_size": 1000,
    "max_position_embeddings": 128,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 1000, "max_position_embeddings": 256,
}  # fmt: skip
GLM_LITE = {
    "hidden_size": 2048, "num_hidden_layers": 47, "num_attention_heads": 20, "intermediate_size": 10240, "vocab_size": 154880,
    "n_routed_experts": 64, "num_experts_per_tok": 4, "kv_lora_rank": 512, "max_position_embeddings": 202752,
}  # fmt: skip
# https://huggingface.co/nomic-ai/nomic-embed-text-v1/blob/main/config.json
NOMIC = {
    "activation_function": "swiglu", "architectures": ["NomicBertModel"], "causal": False, "dense_seq_output": True,
    "fused_bias_fc": True, "layer_norm_epsilon": 1e-12, "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
    "model_type": "nomic_bert", "n_embd": 768, "n_head": 12, "n_inner": 3072, "n_layer": 12, "n_positions": 8192,
    "pad_vocab_size_multiple": 64, "parallel_block": False, "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0, "type_vocab_size": 2, "use_rms_norm": False, "use_xentropy": True, "vocab_size": 30528,
}  # fmt: skip


TOTAL_OF_BART = 3_486_464


def _without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


def _total(a: Architecture) -> int:
    return sum(c.total for c in components(a) if c.part != "mtp")


@pytest.mark.parametrize(
    ("config", "total"),
    [
        # `attribute_map`: the rotary part of each head.
        ({"model_type": "glm4_moe_lite", **GLM_LITE, "head_dim": 48}, 29_930_303_104),
        # These split the width among the heads whatever `head_dim` says.
        ({**BERT, "head_dim": 64}, 22_713_216),
        ({**GPT2, "model_type": "gpt_bigcode", "architectures": ["GPTBigCodeForCausalLM"], "head_dim": 48}, 111446784),
        # The reference's `attribute_map`, alone.
        ({**_without(BART, "encoder_layers"), "num_hidden_layers": 3}, TOTAL_OF_BART),
        ({**_without(BART, "encoder_attention_heads"), "num_attention_heads": 4}, TOTAL_OF_BART),
        ({**_without(BART, "d_model"), "hidden_size": 256}, TOTAL_OF_BART),
        (BART, TOTAL_OF_BART),
        # The first form of a type.
        (NOMIC, 136_731_648),
        # A number of labels makes names anew.
        (
            {**LLAMA, "architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "a", "1": "b"}, "num_labels": 5},
            146_560,
        ),
    ],
)
def test_a_value_is_read_by_each_of_its_names(config: dict[str, Any], total: int) -> None:
    a = parse(config)
    assert (a.status, _total(a)) == ("counted", total)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({**GPT2, "hidden_size": 1536}, "hidden_size"),
        ({**GPT2, "num_hidden_layers": 24}, "num_hidden_layers"),
        ({**BART, "num_hidden_layers": 6}, "num_hidden_layers"),
        (
            {
                **LLAMA,
                "model_type": "mixtral",
                "num_key_value_heads": 2,
                "num_local_experts": 8,
                "num_experts": 16,
                "num_experts_per_tok": 2,
            },
            "num_experts",
        ),
    ],
)
def test_two_names_with_two_values_are_told(config: dict[str, Any], key: str) -> None:
    a = parse(config)
    assert (a.status, a.unmodelled_keys) == ("partial", (key,))
    same = parse({**config, key: None})
    assert (same.status, _total(same)) == ("counted", _total(a))


@pytest.mark.parametrize(
    "config",
    [
        # https://huggingface.co/Qwen/Qwen-7B/blob/main/config.json states both, and the code reads one.
        {**LLAMA, "model_type": "qwen", "kv_channels": 16, "seq_length": 128, "no_bias": True},
        {
            **LLAMA,
            "model_type": "gpt_oss",
            "num_key_value_heads": 2,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "experts_per_token": 4,
        },
    ],
)
def test_a_name_that_the_reference_passes_over_is_no_second_value(config: dict[str, Any]) -> None:
    a = parse(config)
    assert (a.status, a.unmodelled_keys) == ("counted", ())


def test_classes_are_a_list(cli: Run) -> None:
    with pytest.raises(ConfigError, match="architectures is 'LlamaForSequenceClassification': a list was expected"):
        parse({**LLAMA, "architectures": "LlamaForSequenceClassification"})
    made = cli("inspect", "llama-3.1-8b", "--set", "architectures=LlamaForSequenceClassification", "--offline")
    assert (made.returncode, made.stdout) == (2, "")
    assert """--set architectures='["LlamaForSequenceClassification"]'""" in made.stderr


@pytest.mark.parametrize("stated", [None, 768])
def test_trocr_projects_what_its_decoder_does_not_take(stated: int | None) -> None:
    """microsoft/trocr-base: the decoder's keys and values are made of rows as wide as the encoder's."""
    decoder = {
        "model_type": "trocr", "d_model": 1024, "decoder_layers": 12, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096,
        "vocab_size": 50265, "max_position_embeddings": 512, "cross_attention_hidden_size": stated, "is_decoder": True,
        "add_cross_attention": True,
    }  # fmt: skip
    encoder = {
        "model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "image_size": 384, "patch_size": 16,
    }  # fmt: skip
    a = parse({"model_type": "vision-encoder-decoder", "encoder": encoder, "decoder": decoder})
    # Without, enc_to_dec_proj, and keys and values of 12 layers that are 256 columns wider.
    assert _total(a) == 333_949_440 + (0 if stated else 768 * 1024 + 1024 + 12 * 2 * 256 * 1024)


# `attribute_map` of transformers 5.24: a name, and the field that it is read for where that is not stated.
@pytest.mark.parametrize(
    ("model_type", "name", "field", "value"),
    [
        ("detr", "hidden_size", "d_model", 128),
        ("detr", "num_hidden_layers", "encoder_layers", 3),
        ("conditional_detr", "num_hidden_layers", "encoder_layers", 3),
        ("table-transformer", "num_hidden_layers", "encoder_layers", 3),
        ("deformable_detr", "num_attention_heads", "encoder_attention_heads", 4),
        ("rt_detr", "hidden_size", "d_model", 128),
        ("mask2former", "hidden_size", "hidden_dim", 128),
        ("mask2former", "num_hidden_layers", "decoder_layers", 4),
        ("speecht5", "num_hidden_layers", "encoder_layers", 3),
        ("glm4_moe_lite", "head_dim", "qk_rope_head_dim", 48),
    ],
)
def test_another_name_alone_counts_as_its_field(model_type: str, name: str, field: str, value: int) -> None:
    more = GLM_LITE if model_type == "glm4_moe_lite" else {}
    usual, own, other = (parse({"model_type": model_type, **more, **d}) for d in ({}, {field: value}, {name: value}))
    assert _total(other) == _total(own) != _total(usual) and other.status == own.status
