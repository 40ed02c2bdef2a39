"""Configs of one type in several forms, and keys that stand where few look: what is read of them, and what says that it is not."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.figures.checkpoint import summary
from archcalc.model import Architecture


def total(a: Architecture) -> int:
    return sum(c.total for c in components(a) if c.part != "mtp")


CHATGLM = {
    "architectures": ["ChatGLMModel"], "model_type": "chatglm", "hidden_size": 4096, "inner_hidden_size": 16384,
    "max_sequence_length": 2048, "num_attention_heads": 32, "num_layers": 28, "position_encoding_2d": True, "torch_dtype": "float16",
    "vocab_size": 130528, "layernorm_epsilon": 1e-05, "gmask_token_id": 130001, "auto_map": {"AutoModel": "modeling_chatglm.X"},
}  # fmt: skip


def test_the_first_chatglm_is_not_read_as_the_second() -> None:
    """THUDM/chatglm-6b: what PEFT prints of it is "all params: 6173286400", the tied table once. Its first revision, with 150,528 tokens,
    has metadata.total_size 13,744,473,856 in pytorch_model.bin.index.json: both tables, norms in fp32, and 28 x 32 frequencies."""
    a = parse(CHATGLM)
    assert (total(a), a.status, a.unmodelled_keys) == (6_173_286_400, "counted", ())
    assert summary(parse({**CHATGLM, "vocab_size": 150528})).bytes == 13_744_473_856
    assert [(c.kind, c.heads, c.key_dim, c.value_dim) for c in a.stacks[0].kinds[0].caches] == [("full", 32, 128, 128)]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "mlx"])
def test_the_first_chatglm_is_served_by_no_engine_of_the_second(engine: str) -> None:
    from archcalc.analysis.kv import allocate
    from archcalc.engines._allocation import Workload

    with pytest.raises(UnsupportedError, match="chatglm_6b"):
        allocate(parse(CHATGLM), engine, Workload(1024))


@pytest.mark.parametrize("form", [CHATGLM, {
    "model_type": "chatglm", "architectures": ["ChatGLMModel"], "num_layers": 28, "hidden_size": 4096, "num_attention_heads": 32,
    "padded_vocab_size": 65024, "ffn_hidden_size": 13696,
}])  # fmt: skip
def test_weights_packed_by_their_publisher_are_told(form: dict[str, Any]) -> None:
    a = parse({**form, "quantization_bit": 4})
    assert a.status == "partial" and any("quantization_bit is 4" in note for note in a.notes)
    assert parse({**form, "quantization_bit": 0}).status == "counted"


# transformers 4.51.3: `distance_embedding` of `2 * max_position_embeddings - 1` rows as wide as a head, in the attention of each layer.
RELATIVE = {
    "hidden_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 96, "max_position_embeddings": 64,
    "vocab_size": 200, "pad_token_id": 1,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
@pytest.mark.parametrize(
    ("name", "tables"),
    [
        *((name, 2) for name in ("bert", "bert-generation", "camembert", "data2vec-text", "electra", "ernie", "esm", "layoutlm")),
        *(
            (name, 2)
            for name in ("megatron-bert", "roberta", "roberta-prelayernorm", "roc_bert", "xlm-roberta", "xlm-roberta-xl", "xmod")
        ),
        ("albert", 1),  # a group of shared layers
        *((name, 0) for name in ("rembert", "deberta", "mpnet", "roformer", "big_bird")),
    ],
)
def test_tables_of_distances_are_stored_and_no_parameters(name: str, tables: int, kind: str) -> None:
    plain, stated = (
        parse({"model_type": name, **RELATIVE}),
        parse({"model_type": name, **RELATIVE, "position_embedding_type": kind}),
    )
    assert stated.status == "counted" and any("tables" in note for note in stated.notes) == (tables > 0)
    # ESM has a table of positions where they are absolute.
    assert total(plain) - total(stated) == (64 * 48 if name == "esm" else 0)
    assert summary(stated).stored - total(stated) - (summary(plain).stored - total(plain)) == tables * 127 * 12


@pytest.mark.parametrize("name", ["splinter", "bros", "markuplm", "lilt", "canine", "dpr", "git"])
def test_relative_positions_that_are_not_counted_are_named(name: str) -> None:
    for kind, told in (("relative_key", ("position_embedding_type",)), ("absolute", ())):
        a = parse({"model_type": name, **RELATIVE, "position_embedding_type": kind})
        assert (a.unmodelled_keys, a.status) == (told, "partial" if told else "counted")


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"])
@pytest.mark.parametrize(
    "name", ["clip", "siglip", "siglip2", "altclip", "clipseg", "chinese_clip", "metaclip_2", "owlvit", "owlv2", "aimv2", "blip"]
)
def test_a_key_beside_two_towers_is_of_neither_and_is_named(name: str, key: str) -> None:
    """transformers 5.24 reads none of them there: models/clip/configuration_clip.py `CLIPConfig` and the like."""
    a = parse({"model_type": name, key: 64})
    assert (a.status, a.unmodelled_keys, total(a)) == ("partial", (key,), total(parse({"model_type": name})))
    # A copy of what the text tower states itself says nothing new.
    inside = {"model_type": name, key: 64, "text_config": {key: 64, "num_attention_heads": 4}}
    assert key not in parse(inside).unmodelled_keys


# transformers 5.24 on the meta device, `head_dim: null` in the first golden row of each type.
REFUSED = """
qwen3 qwen3_moe qwen3_next qwen3_5_text glm4 glm4_moe gpt_oss exaone4 minimax_m2 ministral hunyuan_v1_dense cwm cohere2 dots1 gemma gemma2
"""
DIVIDED = "llama mistral mixtral arcee ernie4_5 diffllama nemotron minimax"


@pytest.mark.parametrize(("names", "refused"), [(REFUSED, True), (DIVIDED, False)])
def test_heads_of_no_stated_width_are_refused_where_the_reference_refuses_them(names: str, refused: bool) -> None:
    import json
    from pathlib import Path

    from archcalc.errors import ConfigError

    for name in names.split():
        row = json.loads((Path(__file__).parent / "golden" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[0])
        config = {**row["config"], "head_dim": None}
        if refused:
            with pytest.raises(ConfigError, match="head_dim"):
                parse(config)
            assert parse({key: value for key, value in config.items() if key != "head_dim"}).status == "counted"
        else:
            assert parse(config).status == "counted"


def test_an_encoder_alone_is_no_decoder() -> None:
    """transformers 5.24, models/t5/modeling_t5.py `T5EncoderModel`: is_decoder is not reset, as it is for the encoder of a whole model."""
    t5 = {"model_type": "t5", "d_model": 32, "num_layers": 2, "vocab_size": 100, "is_decoder": True}
    with pytest.raises(UnsupportedError, match="is_decoder"):
        parse({**t5, "architectures": ["T5EncoderModel"]})
    assert parse({**t5, "architectures": ["T5ForConditionalGeneration"]}).status == "counted"


@pytest.mark.parametrize(
    "name", ["deberta", "albert", "longformer", "layoutlm", "luke", "yoso", "mra", "nystromformer", "ibert", "fnet"]
)
def test_flags_of_a_decoder_change_nothing_where_the_reference_reads_none(name: str) -> None:
    """transformers 5.24: the modeling files of these know neither a cache nor an encoder's output."""
    plain = parse({"model_type": name, **RELATIVE})
    stated = parse({"model_type": name, **RELATIVE, "is_decoder": True, "add_cross_attention": True})
    assert total(plain) == total(stated) and not stated.crosses
    assert not any(layer.caches for s in stated.stacks for layer in s.kinds)


@pytest.mark.parametrize("decoder", ["llama", "xlnet", "opt"])
def test_a_decoder_that_reads_no_encoder_is_refused_beside_one(decoder: str) -> None:
    """transformers 5.24, models/encoder_decoder/modeling_encoder_decoder.py `EncoderDecoderModel.__init__`."""
    inner = {"model_type": decoder, **RELATIVE, "d_model": 48, "n_layer": 2, "n_head": 4, "d_inner": 96, "ffn_dim": 96}
    with pytest.raises(UnsupportedError, match="nothing of an encoder"):
        parse({"model_type": "encoder-decoder", "encoder": {"model_type": "bert", **RELATIVE}, "decoder": inner})
    vision = {"model_type": "vision-encoder-decoder", "encoder": {"model_type": "vit"}}
    with pytest.raises(UnsupportedError, match="parts of its own"):
        parse({**vision, "decoder": {"model_type": "gemma3"}})


def bundled(name: str, **changes: Any) -> Architecture:
    from archcalc import zoo

    return parse({**(zoo.config(name) or {}), **changes})


def test_hunyuans_experts_have_a_width_of_their_own() -> None:
    """vLLM 0.24, models/hunyuan_v1.py: "moe_intermediate_size is preferred"; the shared FFN is `num_shared_expert` of `intermediate_size`
    wide, and there where `use_mixed_mlp_moe` says so. mlx-lm 0.32, models/hunyuan.py, likewise."""
    whole, h, layers, experts = total(bundled("hunyuan-a13b")), 4096, 32, 64
    narrow = total(bundled("hunyuan-a13b", moe_intermediate_size=[1536] * layers))
    assert whole - narrow == layers * experts * 3 * h * (3072 - 1536)
    assert total(bundled("hunyuan-a13b", num_shared_expert=2)) - whole == layers * 3 * h * 3072
    assert whole - total(bundled("hunyuan-a13b", use_mixed_mlp_moe=False)) == layers * 3 * h * 3072
    assert whole - total(bundled("hunyuan-a13b", use_qk_norm=False)) == layers * 2 * 128
    with pytest.raises(UnsupportedError, match="mlp_bias"):
        bundled("hunyuan-a13b", mlp_bias=True)


def test_molmos_tables_have_the_rows_of_the_embedding() -> None:
    """vLLM 0.30, models/molmo.py: `config.embedding_size or config.vocab_size` of the embedding and of the head."""
    base = bundled("molmo-7b-d")
    more = total(bundled("molmo-7b-d", embedding_size=152064 + 1000)) - total(base)
    assert more == 2 * 1000 * base.facts.hidden_size


def test_a_saved_window_of_modernberts_decoder_is_read() -> None:
    """transformers 5.24, models/modernbert_decoder/configuration_modernbert_decoder.py: a stated `sliding_window` is set after that which
    follows from `local_attention`."""
    config = {"model_type": "modernbert-decoder", "num_hidden_layers": 6, "hidden_size": 768, "num_attention_heads": 12,
              "vocab_size": 50368, "intermediate_size": 1152, "local_attention": 128}  # fmt: skip

    def windows(c: dict[str, Any]) -> set[int | None]:
        return {cache.window for stack in parse(c).stacks for layer in stack.kinds for cache in layer.caches}

    assert (windows(config), windows({**config, "sliding_window": 1024})) == ({None, 64}, {None, 1024})


def test_two_copies_of_a_text_model_that_differ_are_refused() -> None:
    """deepseek-ai/DeepSeek-OCR states its text model twice: its code reads the outer keys, vLLM `language_config`."""
    from archcalc import zoo

    inner = (zoo.config("deepseek-ocr") or {})["language_config"]
    with pytest.raises(ConfigError, match=r"n_routed_experts is 64, and language_config\.n_routed_experts is 32"):
        bundled("deepseek-ocr", language_config={**inner, "n_routed_experts": 32})


def test_chatglms_classifier_stands_beside_the_vocabularys_head() -> None:
    """THUDM/chatglm2-6b, modeling_chatglm.py `ChatGLMForSequenceClassification`: `output_layer` is part of `ChatGLMModel`."""
    config = {"model_type": "chatglm", "padded_vocab_size": 65024, "hidden_size": 4096, "num_layers": 28, "ffn_hidden_size": 13696,
              "num_attention_heads": 32, "kv_channels": 128, "multi_query_attention": True, "multi_query_group_num": 2,
              "add_qkv_bias": True, "seq_length": 32768}  # fmt: skip
    body = total(parse({**config, "architectures": ["ChatGLMModel"]}))
    assert body == total(parse({**config, "architectures": ["ChatGLMForConditionalGeneration"]}))
    assert total(parse({**config, "architectures": ["ChatGLMForSequenceClassification"], "num_labels": 3})) - body == 4096 * 3 + 3
    assert parse({**config, "architectures": ["ChatGLMForTokenClassification"]}).status == "partial"


def test_tables_and_norms_that_few_configs_ask_for() -> None:
    """Tele-AI/Telechat, models/7B/modeling_telechat.py (`word_embeddings_layernorm`); allenai/OLMo 0.4, olmo/model.py (`wpe`)."""
    telechat = {"model_type": "telechat", "vocab_size": 160256, "hidden_size": 4096, "n_layer": 30, "n_head": 32,
                "ffn_hidden_size": 12288}  # fmt: skip
    assert total(parse({**telechat, "embed_layernorm": True})) - total(parse(telechat)) == 4096
    olmo = {"model_type": "hf_olmo", "d_model": 2048, "n_layers": 16, "n_heads": 16, "mlp_ratio": 8, "vocab_size": 50280,
            "embedding_size": 50304, "max_sequence_length": 2048, "activation_type": "swiglu"}  # fmt: skip
    assert total(parse(olmo)) - total(parse({**olmo, "rope": True})) == 2048 * 2048
    assert total(parse({**olmo, "alibi": True})) == total(parse({**olmo, "rope": True}))
