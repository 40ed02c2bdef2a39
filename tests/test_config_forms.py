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
