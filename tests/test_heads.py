"""Heads other than the vocabulary's, as the class in `architectures` says. What is expected was read off transformers 5.23."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.arch import parse
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


def test_an_encoder_is_counted_as_a_language_model_and_says_so() -> None:
    a = parse({**BERT, "architectures": ["BertModel"]})
    assert any("predictions" in t.name for g in a.groups for t in g.tensors)
    assert "BertModel" in a.notes[0]


def test_a_class_that_is_not_known_is_counted_with_the_vocabulary_and_says_so() -> None:
    a = parse({**LLAMA, "architectures": ["LlamaForQuestionAnswering"]})
    assert any(t.name == "lm_head.weight" for _, t, _ in a.each_tensor())
    assert "LlamaForQuestionAnswering" in a.notes[0]


def test_a_class_named_like_a_model_without_a_head_may_have_one() -> None:
    chatglm = {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "num_layers": 1, "hidden_size": 64, "num_attention_heads": 4,
        "ffn_hidden_size": 128, "padded_vocab_size": 1000, "kv_channels": 16, "seq_length": 32, "multi_query_group_num": 2,
    }  # fmt: skip
    assert any("output_layer" in t.name for _, t, _ in parse(chatglm).each_tensor())
