"""Configs of one type in several forms, and keys that stand where few look: what is read of them, and what says that it is not."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.errors import UnsupportedError
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
