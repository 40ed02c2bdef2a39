"""Heads other than the vocabulary's, as the class in `architectures` says. What is expected was read off transformers 5.23 and 5.24."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import parse
from archcalc.arch._heads import task_of
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 1000, "tie_word_embeddings": False,
}  # fmt: skip
BERT = {
    "model_type": "bert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 1000, "max_position_embeddings": 32,
}  # fmt: skip
GPT2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 1000, "n_positions": 32}
BART = {
    "model_type": "bart", "d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 1000,
}  # fmt: skip
DEEP = {"dense.weight": (64, 64), "dense.bias": (64,), "out_proj.weight": (3, 64), "out_proj.bias": (3,)}


def _tensors(config: dict[str, Any], named: str) -> dict[str, tuple[int, ...]]:
    a = parse({**config, "architectures": [named], "id2label": {"0": "a", "1": "b", "2": "c"}})
    assert a.status == "counted" and not a.unmodelled_keys and not a.notes
    return _named(a)


def _named(a: Architecture) -> dict[str, tuple[int, ...]]:
    found = {t.name: t.shape for g in a.groups for t in g.tensors}
    found.update(
        {f"{s.prefix}.{i}.{t.name}": t.shape for s in a.stacks for i, k in enumerate(s.pattern) for t in s.kinds[k].tensors}
    )
    return found


@pytest.mark.parametrize(
    ("config", "named", "head"),
    [
        (LLAMA, "LlamaForSequenceClassification", {"score.weight": (3, 64)}),
        (LLAMA, "LlamaForTokenClassification", {"score.weight": (3, 64), "score.bias": (3,)}),
        (LLAMA, "LlamaModel", {}),
        (GPT2, "GPT2ForTokenClassification", {"classifier.weight": (3, 64), "classifier.bias": (3,)}),
        (BART, "BartForSequenceClassification", {f"classification_head.{name}": shape for name, shape in DEEP.items()}),
    ],
)
def test_the_class_decides_which_head_there_is(config: dict[str, Any], named: str, head: dict[str, tuple[int, ...]]) -> None:
    tensors = _tensors(config, named)
    plain = _named(parse(config))
    assert {name: shape for name, shape in tensors.items() if name in head} == head
    assert not {"lm_head.weight", "lm_head.bias", "cls.predictions.bias", "final_logits_bias"} & set(tensors)
    # The rest is what the language model has, below no prefix where there is no head.
    rest = sorted(name for name in tensors if name not in head)
    bodies = [name for name in plain if not name.startswith(("lm_head", "cls.", "final_logits_bias"))]
    assert rest == sorted(name.partition(".")[2] if named.endswith("Model") else name for name in bodies)


def _rows() -> Iterator[tuple[dict[str, Any], int]]:
    """A small config of each type under each of its classes, with two labels (or as many as the class has) and with three."""
    for line in (Path(__file__).parent / "data" / "heads.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for named, totals in row["totals"].items():
            for labels, total in zip(({}, {"id2label": {"0": "a", "1": "b", "2": "c"}}), totals, strict=False):
                yield {**row["config"], **labels, "architectures": [named]}, total


@pytest.mark.parametrize(("config", "total"), list(_rows()))
def test_every_class_has_as_many_parameters_as_the_reference_builds(config: dict[str, Any], total: int) -> None:
    a = parse(config)
    assert (a.status, a.notes if config["model_type"] != "albert" else ()) == ("counted", ())
    assert sum(c.total for c in components(a)) == total


def _rewarded(labels: int) -> dict[str, tuple[int, ...]]:
    return {"score.0.weight": (64, 64), "score.0.bias": (64,), "score.2.weight": (labels, 64), "score.2.bias": (labels,)}


@pytest.mark.parametrize(
    ("model_type", "named", "head"),
    [
        ("qwen2", "Qwen2ForRewardModel", _rewarded(1)),
        ("qwen2", "Qwen2ForProcessRewardModel", _rewarded(2)),
        ("internlm2", "InternLM2ForRewardModel", {"v_head.weight": (1, 64)}),
    ],
)
def test_reward_models_have_the_heads_that_vllm_reads(model_type: str, named: str, head: dict[str, tuple[int, ...]]) -> None:
    """vLLM 0.33, models/qwen2_rm.py (`score`) and models/internlm2.py (`v_head`)."""
    a = parse({**LLAMA, "num_key_value_heads": 2, "model_type": model_type, "architectures": [named]})
    assert {t.name: t.shape for g in a.groups if g.part == "head" for t in g.tensors} == head
    assert a.status == "counted"


@pytest.mark.parametrize(
    ("config", "named"),
    [(LLAMA, "LlamaForMultipleChoice"), (BERT, "DPRContextEncoder"), (BERT, "ColBERT"), (BERT, "BertForImageTextRetrieval"),
     (GPT2, "GPT2ForRewardModel")],
)  # fmt: skip
def test_a_class_that_is_not_known_is_partly_counted_and_says_with_which_head(config: dict[str, Any], named: str) -> None:
    a, plain = parse({**config, "architectures": [named]}), parse(config)
    assert (a.status, plain.status) == ("partial", "counted")
    assert sum(t.elements for _, t, _ in a.each_tensor()) == sum(t.elements for _, t, _ in plain.each_tensor())
    assert "with the vocabulary's head" in a.notes[-1] and named in a.notes[-1]


@pytest.mark.parametrize(
    ("named", "pooled", "head"),
    [
        ("BertModel", True, ()), ("BertForSequenceClassification", True, ("classifier.weight", "classifier.bias")),
        ("BertForTokenClassification", False, ("classifier.weight", "classifier.bias")),
        ("BertForNextSentencePrediction", True, ("cls.seq_relationship.weight", "cls.seq_relationship.bias")),
    ],
)  # fmt: skip
def test_a_pooler_is_there_where_the_class_builds_it(named: str, pooled: bool, head: tuple[str, ...]) -> None:
    a = parse({**BERT, "architectures": [named]})
    assert any("pooler.dense" in t.name for _, t, _ in a.each_tensor()) == pooled
    assert tuple(t.name for g in a.groups if g.part == "head" for t in g.tensors) == head


def test_a_class_named_like_a_model_without_a_head_may_have_one() -> None:
    chatglm = {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "num_layers": 1, "hidden_size": 64, "num_attention_heads": 4,
        "ffn_hidden_size": 128, "padded_vocab_size": 1000, "kv_channels": 16, "seq_length": 32, "multi_query_group_num": 2,
    }  # fmt: skip
    assert any("output_layer" in t.name for _, t, _ in parse(chatglm).each_tensor())


@pytest.mark.parametrize(
    "named", ["ChronosBoltModelForForecasting", "SundialForPrediction", "LlamaForTimeSeriesPrediction", "QwenForObjectDetection"]
)
def test_a_class_that_predicts_no_tokens_is_refused_where_a_vocabulary_would_be_counted(named: str) -> None:
    """Forecasters and detectors on a language model have patches or boxes in place of its vocabulary (chronos-forecasting,
    chronos/chronos_bolt.py `ChronosBoltModelForForecasting`: two residual blocks of T5's width)."""
    with pytest.raises(UnsupportedError, match=f"architectures names {named}, which predicts no tokens"):
        parse({**LLAMA, "architectures": [named]})


@pytest.mark.parametrize(
    "named",
    [
        "ReformerModelWithLMHead",
        "FlaubertWithLMHeadModel",
        "GPT2LMHeadModel",
        "EvollaForProteinText2Text",
        "IdeficsForVisionText2Text",
    ],
)
def test_an_odd_name_of_a_class_that_writes_tokens_is_its_types_usual_class(named: str) -> None:
    assert task_of([named]) == ""
